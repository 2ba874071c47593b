"""What was drawn, how, and how alike it was: one file, off until somebody switches it on."""

from __future__ import annotations

__all__: list[str] = []
