"""Memory that runs out while a picture is drawn: a sentence, nothing held, and the next picture is right."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from lib_faceid.errors import FaceIDError, HostError
from lib_faceid.hosts.diffusers.memory import enough_memory, is_out_of_memory
from lib_faceid.hosts.diffusers.pipeline import Pipeline, load_pipeline
from lib_faceid.hosts.diffusers.request import Request

REQUEST = Request("a photo of a person", size_px=(64, 64), steps=2, cfg=4, seed=1)
LACKING = [
    (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), "GPU"),
    (RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"), "GPU"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "GPU"),
    (
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        "machine",
    ),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"), "machine"),
    (MemoryError(), "machine"),
]


@pytest.fixture(scope="module")
def pipeline(miniature_checkpoint: Callable[[str], Path]) -> Pipeline:
    return load_pipeline(miniature_checkpoint("sd15"))


@pytest.mark.parametrize(("error", "whose"), LACKING, ids=lambda one: one if isinstance(one, str) else repr(one)[:40])
def test_it_is_a_sentence_and_frees_what_was_held(error: Exception, whose: str) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def works() -> None:
        large = torch.zeros(10)
        held.append(weakref.ref(large))
        raise error

    with pytest.raises(HostError, match=f"The memory of the {whose} is too small .* Ask for a smaller") as raised:
        enough_memory()(works)()
    gc.collect()
    assert held[0]() is None  # while the error is still looked at
    assert raised.value.__suppress_context__


def test_other_errors_stay_what_they_are() -> None:
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FaceIDError("full"), KeyError("memory")):
        assert not is_out_of_memory(error)
        with pytest.raises(type(error)), enough_memory():
            raise error


@pytest.mark.parametrize("part", ["unet", "vae.decoder"])
def test_the_next_picture_is_right(pipeline: Pipeline, part: str) -> None:
    expected = np.asarray(pipeline.draw(REQUEST))

    def runs_out(*_: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    name, _, inside = part.partition(".")
    handle = pipeline._diffusers.components[name].get_submodule(inside).register_forward_pre_hook(runs_out)
    with pytest.raises(HostError, match="The memory of the machine is too small"):
        pipeline.draw(REQUEST)
    handle.remove()
    np.testing.assert_array_equal(np.asarray(pipeline.draw(REQUEST)), expected)


def test_the_vae_of_sdxl_is_as_it_was() -> None:
    """It is put to full precision for a picture, and had stayed there."""

    class Vae(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float16))
            self.config = SimpleNamespace(scaling_factor=1.0)

        @property
        def dtype(self) -> torch.dtype:
            return self.weight.dtype

        def decode(self, _: torch.Tensor) -> NoReturn:
            assert self.dtype == torch.float32
            raise MemoryError

    vae = Vae()
    pipeline: Any = SimpleNamespace(_diffusers=SimpleNamespace(vae=vae), family="SDXL")
    with pytest.raises(HostError, match="The memory of the machine is too small"):
        Pipeline._decoded(pipeline, torch.zeros(1, 4, 8, 8))
    assert vae.dtype == torch.float16
