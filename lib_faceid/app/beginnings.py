"""What the first picture is asked for with: miniatures want other numbers than real checkpoints."""

from __future__ import annotations

from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.miniature.trained import TRAINED_NAME

__all__ = ["beginning"]

TRAINED = Request("a photo of a person, blue background", size_px=(128, 128), steps=20, cfg=2)
RANDOM = Request("a photo of a person in a garden, smiling", size_px=(256, 256), steps=6, cfg=4)
REAL = Request("a photo of a person in a garden, smiling", size_px=(512, 512))


def beginning(checkpoint: str) -> Request:
    """Return a request that suits a checkpoint of that name."""
    if checkpoint == TRAINED_NAME:
        return TRAINED
    return RANDOM if checkpoint.startswith(f"{TRAINED_NAME}_") else REAL
