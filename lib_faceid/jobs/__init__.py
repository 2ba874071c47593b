"""One job: its adapters are chosen, its references read, its effects attached to the UNet and taken out again."""

from __future__ import annotations

__all__: list[str] = []
