"""What is here and what is missing, as data and in words."""

from __future__ import annotations

__all__: list[str] = []
