"""Hundreds of jobs in a row in a live WebUI, mixed at random from a seed: `python dev.py soak`."""

from __future__ import annotations

__all__: list[str] = []
