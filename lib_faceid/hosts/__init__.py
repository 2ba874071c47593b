"""The programs that the engine runs in. Nothing outside this folder knows which one it is."""

from __future__ import annotations

__all__: list[str] = []
