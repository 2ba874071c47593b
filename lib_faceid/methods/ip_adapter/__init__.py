"""IP-Adapter: an image as the prompt, by what CLIP makes of it."""

from __future__ import annotations

__all__: list[str] = []
