"""What a picture is asked for with where nobody says: each kind of checkpoint wants other numbers."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.app.resources import checkpoint_name
from lib_faceid.errors import FileError
from lib_faceid.hosts.diffusers.measured import flux_kind
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.miniature.trained import TRAINED_NAME

__all__ = ["beginning", "usual"]

TRAINED = Request("a photo of a person, blue background", size_px=(128, 128), steps=20, cfg=2)
RANDOM = Request("a photo of a person in a garden, smiling", size_px=(256, 256), steps=6, cfg=4)
REAL = Request("a photo of a person in a garden, smiling", size_px=(512, 512))


def beginning(checkpoint: str) -> Request:
    """Return a request that suits a checkpoint of that name."""
    if checkpoint == TRAINED_NAME:
        return TRAINED
    return RANDOM if checkpoint.startswith(f"{TRAINED_NAME}_") else REAL


def usual(checkpoint: Path) -> Request:
    """Return the numbers that suit a checkpoint, without a prompt: those of its authors for FLUX.1."""
    if checkpoint_name(checkpoint) == TRAINED_NAME:
        return TRAINED
    try:
        kind = flux_kind(checkpoint)
    except FileError:  # which is said when it is to be drawn with
        kind = None
    if kind is None:
        return Request("")
    return Request("", steps=28, cfg=3.5) if kind.has_guidance else Request("", steps=4, cfg=0)
