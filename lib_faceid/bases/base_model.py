"""The base models that adapters exist for, known by the width of the context that they read."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["BASE_LABELS", "FLUX", "SD15", "SDXL", "UNETS", "bases_in_words", "describe_base"]

SD15, SDXL, FLUX = 768, 2048, 4096
UNETS = (SD15, SDXL)
"""Those whose adapters act in the cross-attention of a UNet; the other is a transformer."""
BASE_LABELS: Mapping[int, str] = {SD15: "SD 1.5", SDXL: "SDXL", FLUX: "FLUX.1"}
"""Width of the context (cross_attention_dim) -> what users call the base model."""
OTHERS = {1024: "SD 2", 1280: "the refiner of SDXL"}


def describe_base(cross_attention_dim: int) -> str:
    """Return what a checkpoint of that cross attention dimension is, also where no adapter exists for it."""
    known = BASE_LABELS.get(cross_attention_dim) or OTHERS.get(cross_attention_dim)
    return known or f"of another base model (cross attention {cross_attention_dim})"


def bases_in_words() -> str:
    """Return the base models that adapters exist for: "SD 1.5, SDXL and FLUX.1"."""
    *first, last = BASE_LABELS.values()
    return f"{', '.join(first)} and {last}"
