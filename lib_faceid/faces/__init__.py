"""Photos to faces: found, straightened, recognised and judged. Models of others do the seeing."""

from __future__ import annotations

__all__: list[str] = []
