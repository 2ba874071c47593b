"""Random numbers for a tree of tensors: the same seed gives the same file on every machine."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from lib_faceid.miniature.tree import Shape
from lib_faceid.whole_files import being_written

__all__ = ["random_weights", "write_safetensors"]

NOTE = "Random numbers in a published layout, for tests and demos of sd-webui-faceid. Nothing was trained."


def random_weights(
    shapes: Mapping[str, Shape], seed: int, gains: Mapping[str, float] | None = None
) -> dict[str, torch.Tensor]:
    """Return float16 tensors, none of them zero, of sizes that keep activations near unit variance.

    Layers that training starts at zero (the last one of each block) are random too: every tensor matters.
    `gains` multiplies the tensors whose name a regular expression matches; the first match counts.
    """
    return {name: _random(name, shape, seed) * _gain(name, gains or {}) for name, shape in shapes.items()}


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], note: str = NOTE, **metadata: str) -> Path:
    """Write a `.safetensors` file that says what it is, whole or not at all, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with being_written(path) as part:
        save_file(dict(tensors), part, metadata={"note": note, **metadata})
    return path


def _random(name: str, shape: Shape, seed: int) -> torch.Tensor:
    if name.endswith("position_ids"):
        return torch.arange(math.prod(shape)).reshape(shape)
    # A generator for each name: a tensor stays what it is when others come or go.
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()) ^ seed)
    noise = torch.empty(shape, dtype=torch.float16).normal_(generator=generator)
    if "embedding" in name:
        return noise / 2
    if shape[2:] == (3, 3):
        return _smooth(noise)
    if len(shape) > 1:
        return noise / math.sqrt(math.prod(shape[1:]))  # divided by the square root of the inputs that are summed up
    is_scale = name.endswith("weight")  # of a normalisation
    return 1 + noise / 10 if is_scale else noise / 20


def _smooth(noise: torch.Tensor) -> torch.Tensor:
    """Return 3x3 kernels that blur as well as mix channels, so that pictures show shapes instead of grain."""
    row = torch.tensor([0.25, 0.5, 0.25], dtype=noise.dtype)
    blur = row[:, None] * row
    mixed = noise[:, :, 1:2, 1:2] * blur + noise / 20
    return mixed * (1.6 / math.sqrt(noise.shape[1]))


def _gain(name: str, gains: Mapping[str, float]) -> float:
    return next((gain for pattern, gain in gains.items() if re.search(pattern, name)), 1)
