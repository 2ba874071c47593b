"""Many pictures from one manifest: planned, drawn by any engine exactly once, reported. Nothing here knows a WebUI."""

from __future__ import annotations

__all__: list[str] = []
