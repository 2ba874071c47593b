"""What a unit does to the UNet during a job: tokens for the cross-attention, LoRA weights, and their hooks."""

from __future__ import annotations

__all__: list[str] = []
