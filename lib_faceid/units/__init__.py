"""The unit in other forms: metadata, JSON schema, presets, and values that override it."""

from __future__ import annotations

__all__: list[str] = []
