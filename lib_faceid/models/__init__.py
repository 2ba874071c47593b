"""Model files: what can be had, where it lies, how it is fetched, and how it is read."""

from __future__ import annotations

__all__: list[str] = []
