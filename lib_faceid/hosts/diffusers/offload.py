"""Where a pipeline's networks lie while it draws: all on the GPU, or only the one, or the layer, that computes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import nn

from lib_faceid.errors import MissingPackageError

__all__ = ["Offload", "offload_for", "place"]

Offload = Literal["none", "network", "layer"]
"""Everything stays on the GPU; the network that computes is there alone; or one layer of it after the other."""
ROOM = 3 * 1024**3  # bytes for what is computed: attention and latents of a picture of 1024 px, and the VAE's


def offload_for(sizes: Iterable[int], free: int) -> Offload:
    """Return how networks of these sizes are drawn with, with so much memory of the GPU free, all in bytes."""
    found = list(sizes)
    if sum(found) + ROOM <= free:
        return "none"
    return "network" if max(found, default=0) + ROOM <= free else "layer"


def place(pipeline: Any, device: torch.device) -> Offload:
    """Put a pipeline where it draws. Raises MissingPackageError where it does not fit, and accelerate is missing."""
    if device.type != "cuda":
        pipeline.to(device)
        return "none"
    networks = [one for one in pipeline.components.values() if isinstance(one, nn.Module)]
    how = offload_for(map(_size, networks), torch.cuda.mem_get_info(device)[0])
    if how == "none":
        pipeline.to(device)
        return how
    if find_spec("accelerate") is None:
        raise MissingPackageError(
            "The GPU's memory does not hold all of this checkpoint at once, and keeping parts of it in the machine's "
            f"needs accelerate. Run: {sys.executable} -m pip install accelerate"
        )
    if how == "network":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)
    return how


def _size(network: nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in network.parameters())
