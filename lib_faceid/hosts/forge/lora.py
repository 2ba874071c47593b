"""The FaceID LoRA in Forge: one more of the patches from which it makes a pass's weights, from memory.

Forge merges what the patcher of a pass names, and takes out what the next one no longer does: exactly, from backups.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lib_faceid.effects.lora import LoraWeights, named_lora
from lib_faceid.hosts.forge.patcher import patcher, put_patcher

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
        changed = _without_ours(patcher())
        if typed := _typed(changed):
            self._set(changed)
            return [f"FaceID LoRA taken from the prompt ({typed})."]
        for adapter, strength in loras:
            changed.add_patches(
                **_named(changed, f"{NAME}{adapter.fingerprint}"),
                patches={
                    f"diffusion_model.{name}.weight": ("lora", (pair.up, pair.down, None, None, None))
                    for name, pair in named_lora(adapter, unet).items()
                },
                strength_patch=strength,
            )
        self._set(changed)
        self._is_in = True
        return ()

    def take_out(self) -> None:
        """Take them out of the pass; where they were merged they go with the next one."""
        if self._is_in:
            self._is_in = False
            self._set(_without_ours(patcher()))

    def _set(self, changed: Any) -> None:
        put_patcher(changed)
        changed.refresh_loras()  # what the pass is drawn with may have been made ready already


def _without_ours(before: Any) -> Any:
    changed = before.clone()
    changed.lora_patches = {key: one for key, one in changed.lora_patches.items() if not str(key[0]).startswith(NAME)}
    return changed


def _typed(of_pass: Any) -> str:
    """Return the name of the first FaceID LoRA that the prompt brought; nothing where it brought none."""
    names = (str(key[0]).replace("\\", "/").rpartition("/")[2] for key in of_pass.lora_patches)
    return next((name for name in names if "faceid" in name.lower()), "")


def _named(of_pass: Any, name: str) -> dict[str, Any]:
    """Return what names a patch; and says that it is computed in each call, where Forge does so with the user's own."""
    named = {"filename": name, "online_mode": _is_online(of_pass)}
    known = inspect.signature(of_pass.add_patches).parameters
    return {key: value for key, value in named.items() if key in known}


def _is_online(of_pass: Any) -> bool:
    """Say whether LoRAs are to stay beside the weights, which are stored in fewer bits than can be merged into."""
    if getattr(of_pass.model, "storage_dtype", torch.float32) in (torch.float32, torch.float16, torch.bfloat16):
        return False
    from backend.args import dynamic_args

    return bool(dynamic_args.get("online_lora", False))
