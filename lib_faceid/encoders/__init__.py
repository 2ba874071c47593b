"""CLIP image encoders: read from a file, and what they give of a picture."""

from __future__ import annotations

__all__: list[str] = []
