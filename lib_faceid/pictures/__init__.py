"""Pictures as users and requests hand them over, read safely into one kind of array."""

from __future__ import annotations

__all__: list[str] = []
