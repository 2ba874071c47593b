"""The base models that adapters exist for, known by the width of the context their cross-attention reads."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["BASE_LABELS", "SD15", "SDXL", "describe_base"]

SD15, SDXL = 768, 2048
BASE_LABELS: Mapping[int, str] = {SD15: "SD 1.5", SDXL: "SDXL"}
"""cross_attention_dim -> what users call the base model."""
OTHERS = {1024: "SD 2", 1280: "the refiner of SDXL", 4096: "SD 3 or FLUX"}


def describe_base(cross_attention_dim: int) -> str:
    """Return what a checkpoint of that cross attention dimension is, also where no adapter exists for it."""
    known = BASE_LABELS.get(cross_attention_dim) or OTHERS.get(cross_attention_dim)
    return known or f"of another base model (cross attention {cross_attention_dim})"
