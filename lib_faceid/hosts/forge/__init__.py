"""What Forge and its descendants do in their own way: one UNet, under patchers that every pass makes anew."""

from __future__ import annotations

__all__: list[str] = []
