"""Everything that touches the UNet: hooks, slot tags, keys and values, the LoRA. Knows no file and no face."""

from __future__ import annotations

__all__: list[str] = []
