"""The host of our own: a Stable Diffusion checkpoint on diffusers' pipeline."""

from __future__ import annotations

__all__: list[str] = []
