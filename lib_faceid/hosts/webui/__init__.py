"""WebUIs: what AUTOMATIC1111's and those that come from it share. `engine.py` asks what they do not."""

from __future__ import annotations

__all__: list[str] = []
