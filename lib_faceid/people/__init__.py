"""Faces to people: photos joined to one identity, kept in files, found again."""

from __future__ import annotations

__all__: list[str] = []
