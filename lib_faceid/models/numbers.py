"""What the numbers of weights have to be: of a floating-point kind, and finite."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lib_faceid.errors import FileError
from lib_faceid.models.tree import printable

__all__ = ["check_finite", "check_floats"]


def check_floats(name: str, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Raise FileError for a tensor that holds no floating-point numbers. No number is looked at.

    Whole numbers in place of weights are a packed model: without the scales that belong to them they draw noise.
    """
    for key, tensor in tensors:
        if tensor.dtype not in _FLOATS:
            raise FileError(
                f"{name} cannot be used: {printable(key)} holds {str(tensor.dtype).removeprefix('torch.')} values, and "
                f"floating-point numbers were expected (a packed model is read by the program that packed it alone). "
                f"Use the original file."
            )


def check_finite(name: str, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Raise FileError, naming the tensor, where a number is NaN or infinite. Reads all of them."""
    for key, tensor in tensors:
        numbers = tensor.float() if tensor.dtype.itemsize == 1 else tensor  # for 8 bits torch has no such test
        finite = torch.isfinite(numbers)
        if not finite.all():
            raise FileError(
                f"{name} cannot be used: {printable(key)} holds values that are no numbers (NaN or infinite; "
                f"{int((~finite).sum()):,} of {tensor.numel():,}). The file is damaged, or its training failed; use "
                f"another one."
            )


_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2}
