"""The AUTOMATIC1111 WebUI: its callbacks, settings, prompts, cards and routes."""

from __future__ import annotations

__all__: list[str] = []
