"""The published FaceID files: which variant one is, and the network that makes tokens of an identity."""

from __future__ import annotations

__all__: list[str] = []
