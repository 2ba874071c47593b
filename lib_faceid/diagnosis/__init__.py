"""What went wrong in a picture, and the one thing to change."""

from __future__ import annotations

__all__: list[str] = []
