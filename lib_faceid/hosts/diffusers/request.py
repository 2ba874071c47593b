"""What a picture is asked for with. Any host without a page of its own takes this."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """A picture to draw; the person comes on top of it."""

    prompt: str
    negative: str = ""
    size_px: tuple[int, int] | None = None
    """Width and height, multiples of 8; None is what the checkpoint's family was trained on."""
    steps: int = 25
    cfg: float = 7.0
    """How strictly the prompt is followed; up to 1 there is no negative side, and half the work."""
    seed: int = 0
