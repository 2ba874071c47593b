"""The program without a WebUI: its models, a session that draws, and the page of our own."""

from __future__ import annotations

__all__: list[str] = []
