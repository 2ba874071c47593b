"""The published adapter files: which variant one is, and the network that makes tokens of a reference."""

from __future__ import annotations

__all__: list[str] = []
