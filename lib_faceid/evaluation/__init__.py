"""How good adapters are with a user's own weights, people and prompts, by protocols that are written down."""

from __future__ import annotations

__all__: list[str] = []
