"""Memory that runs out: said in a sentence, whatever ran out of it, and what the work held is freed."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Generator
from contextlib import contextmanager

import torch

from lib_faceid.errors import HostError

__all__ = ["enough_memory", "is_out_of_memory"]

# CUDA has a type for it. torch's CPU and MPS raise a RuntimeError that says it, and Python a MemoryError.
SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "could not allocate", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory ran out, of a GPU or of the machine."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


@contextmanager
def enough_memory() -> Generator[None]:
    """Raise HostError where memory runs out inside, after what the work held is freed. A decorator as well."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        is_gpu = not isinstance(error, MemoryError) and "cpu" not in str(error).lower()
        _free(error)
        raise HostError(
            f"The memory of the {'GPU' if is_gpu else 'machine'} is too small for this checkpoint and size. Ask for a "
            "smaller picture, and close other programs that use it."
        ) from None


def _free(error: BaseException) -> None:
    """Drop what the failed calls hold, which lives as long as the error does, and what torch keeps for later."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
