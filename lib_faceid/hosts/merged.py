"""LoRAs merged into a UNet's weights, for a host without LoRAs of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from torch import nn

from lib_faceid.effects.lora import LoraWeights, merge_lora

__all__ = ["MergedLoras"]

Loras = Sequence[tuple[LoraWeights, float]]


class MergedLoras:
    """The LoRAs that one job has in a UNet. What the same ones would do is not done again."""

    def __init__(self) -> None:
        self._merged = ExitStack()
        self._now: tuple[nn.Module, list[tuple[LoraWeights, float]]] | None = None

    def put(self, unet: nn.Module, loras: Loras) -> None:
        """Merge these, in place of those of an earlier call. Raises MismatchError for one that does not fit."""
        if self._now == (unet, list(loras)):
            return
        self.take_out()
        if not loras:
            return
        for adapter, strength in loras:
            self._merged.enter_context(merge_lora(unet, adapter, strength))
        self._now = unet, list(loras)

    def take_out(self) -> None:
        """Put the weights back as they were."""
        self._now = None
        self._merged.close()
