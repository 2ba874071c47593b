"""The FaceID LoRA in Forge: patches among those from which it makes a pass's weights, from memory.

Forge merges what the patcher of a pass names, and takes out what the next one no longer does: exactly, from backups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from lib_faceid.effects.lora import LoraWeights, named_lora
from lib_faceid.hosts.forge.patcher import add_patches, make_ready, patcher, put_patcher, without_patches
from lib_faceid.hosts.webui.typed_lora import typed_lora

__all__ = ["PatchLoras"]

NAME = "IP-Adapter FaceID "
"""How the names of our patches begin, where Forge has the files of others."""


class PatchLoras:
    """The LoRAs that one job has among the patches of its passes."""

    def __init__(self) -> None:
        self._is_in = False

    def put(self, unet: nn.Module, loras: Sequence[tuple[LoraWeights, float]]) -> Sequence[str]:
        """Have these among the patches, in place of those of an earlier call.

        A FaceID LoRA that the user typed into the prompt wins: it is never applied twice.
        """
        if typed := typed_lora():
            self.take_out()
            return [f"FaceID LoRA taken from the prompt ({typed.name})."]
        changed = without_patches(patcher(), NAME)
        for adapter, strength in loras:
            pairs = named_lora(adapter, unet).items()
            factors = {f"diffusion_model.{name}.weight": (pair.up, pair.down) for name, pair in pairs}
            add_patches(changed, f"{NAME}{adapter.fingerprint}", factors, strength)
        self._set(changed)
        self._is_in = True
        return ()

    def take_out(self) -> None:
        """Take them out of the pass."""
        if self._is_in:
            self._is_in = False
            self._set(without_patches(patcher(), NAME))

    def _set(self, changed: Any) -> None:
        put_patcher(changed)
        make_ready(changed)  # the pass may be in work already
