"""Reference photos: decoded, analysed, chosen and joined; what the encoders make of them."""

from __future__ import annotations

__all__: list[str] = []
