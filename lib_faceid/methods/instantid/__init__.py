"""InstantID: one face for SDXL, by tokens of the recogniser's raw vector and a ControlNet of its five key points."""

from __future__ import annotations

__all__: list[str] = []
