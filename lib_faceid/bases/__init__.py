"""The base models that adapters exist for."""

from __future__ import annotations

__all__: list[str] = []
