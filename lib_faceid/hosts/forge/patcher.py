"""The patcher of a pass: what Forge knows of the UNet in it besides the UNet itself, its LoRAs among them.

Forge names LoRAs and has a loader of its own for them (`lora_patches`). The Forge of early 2024, on which reForge and
Forge Classic build, keeps a list of them for each weight (`patches`), and merges when it loads the model. So does Neo.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

import torch
from modules import shared
from torch import Tensor

__all__ = ["add_patches", "bring_back", "make_ready", "patcher", "put_patcher", "without_patches"]

_ADAPTERS = "ldm_patched.modules.weight_adapter", "modules_forge.packages.comfy.weight_adapter"
"""Where ComfyUI's adapters are, in the latest reForge and in Neo."""
_MEMORY = "ldm_patched.modules.model_management", "backend.memory_management"
_OURS = "faceid_lora"  # of a patch: its name, where the list of a weight's patches has none
Factors = Mapping[str, tuple[Tensor, Tensor]]
"""Name of a weight in the patcher's model -> up and down."""


class _Patch(tuple[Any, ...]):  # noqa: SLOT001 - a tuple can have none of its own
    """A patch in the form of every Forge but the latest reForge."""


def patcher() -> Any:
    """Return the one that the pass is drawn with. Every pass has one of its own, made of the checkpoint's."""
    return shared.sd_model.forge_objects.unet


def put_patcher(changed: Any) -> None:
    """Have the pass drawn with another one; a copy, as it may be the checkpoint's own."""
    shared.sd_model.forge_objects.unet = changed


def add_patches(changed: Any, name: str, factors: Factors, strength: float) -> None:
    """Put a LoRA among the patches of a patcher, under a name."""
    patch = _form_of_patches()
    patches = {weight: patch((*pair, None, None, None)) for weight, pair in factors.items()}
    for one in patches.values():
        setattr(one, _OURS, name)
    if hasattr(changed, "lora_patches"):
        is_online = _is_online(changed)
        changed.add_patches(filename=name, patches=patches, strength_patch=strength, online_mode=is_online)
    else:
        changed.add_patches(patches, strength)


def without_patches(before: Any, name: str) -> Any:
    """Return a copy of a patcher without the patches whose names begin like this."""
    changed = before.clone()
    if hasattr(changed, "lora_patches"):
        found = changed.lora_patches
        changed.lora_patches = {key: one for key, one in found.items() if not str(key[0]).startswith(name)}
        return changed
    changed.patches = {weight: _others(found, name) for weight, found in changed.patches.items()}
    changed.patches = {weight: left for weight, left in changed.patches.items() if left}
    if hasattr(changed, "patches_uuid"):
        changed.patches_uuid = uuid4()  # by which reForge tells whether the weights must be made anew
    return changed


def make_ready(changed: Any) -> None:
    """Have the weights made of a patcher's patches now."""
    if hasattr(changed, "refresh_loras"):
        changed.refresh_loras()
        return
    _memory().load_models_gpu([changed])


def bring_back(latents: Tensor) -> None:
    """Have the UNet of the pass, and its ControlNets, on the GPU, from which another model may have pushed them.

    Forge loads them once, before a pass. latents: of a step [B, 4, h, w], by which it reckons the memory for one.
    """
    of_pass = patcher()
    nets = getattr(of_pass, "controlnet_linked_list", None)
    found = [of_pass, *of_pass.extra_model_patchers_during_sampling, *(nets.get_models() if nets is not None else ())]
    reckoned = of_pass.model_options.get("memory_peak_estimation_modifier", of_pass.memory_required)
    needed = reckoned([2 * latents.shape[0], *latents.shape[1:]])
    _memory().load_models_gpu(list({id(one): one for one in found}.values()), memory_required=needed)


def _memory() -> Any:
    """Return the module that says which models are on the GPU."""
    return sys.modules[next(one for one in _MEMORY if one in sys.modules)]


def _form_of_patches() -> Callable[[tuple[Any, ...]], Any]:
    """Return what makes a patch of up, down, alpha, mid and scale of DoRA."""
    if found := next(filter(_is_there, _ADAPTERS), None):
        adapter = import_module(found).LoRAAdapter
        return lambda factors: adapter(set(), (*factors, None))
    return lambda factors: _Patch(("lora", factors))


def _is_there(module: str) -> bool:
    parents = module.split(".")[:-1]
    return all(".".join(parents[: at + 1]) in sys.modules for at in range(len(parents))) and bool(find_spec(module))


def _others(patches: list[Any], name: str) -> list[Any]:
    return [one for one in patches if not getattr(one[1], _OURS, "").startswith(name)]


def _is_online(changed: Any) -> bool:
    """Say whether LoRAs are to stay beside the weights, which are stored in fewer bits than can be merged into."""
    if getattr(changed.model, "storage_dtype", torch.float32) in (torch.float32, torch.float16, torch.bfloat16):
        return False
    from backend.args import dynamic_args

    return bool(dynamic_args.get("online_lora", False))
