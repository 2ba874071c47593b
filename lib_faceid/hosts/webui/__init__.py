"""WebUIs, AUTOMATIC1111's and those that come from it: what they share, and `engine.py`, which asks what they do not."""

from __future__ import annotations

__all__: list[str] = []
