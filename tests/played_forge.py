"""Forge, played as far as we use it: its patchers, and how it makes UNet calls of conditionings."""

from __future__ import annotations

import copy
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from played_webui import forget_hosts, play_webui
from torch import Tensor, nn

__all__ = ["EarlyPatcher", "Part", "Patcher", "drawn", "played_forge"]


class Patcher:
    """What Forge knows of a UNet in one pass."""

    def __init__(self, unet: nn.Module, options: dict[str, Any] | None = None) -> None:
        self.model = SimpleNamespace(diffusion_model=unet, storage_dtype=torch.float32)
        self.model_options = options or {"transformer_options": {}}
        self.lora_patches: dict[Any, Any] = {}
        self.refreshed: list[Any] = []

    def clone(self) -> Patcher:
        made = Patcher(self.model.diffusion_model, copy.deepcopy(self.model_options))
        made.lora_patches = dict(self.lora_patches)
        made.refreshed = self.refreshed
        return made

    def add_patches(self, *, filename: str, patches: Any, strength_patch: float = 1, online_mode: bool = False) -> None:
        self.lora_patches[filename, strength_patch, 1.0, online_mode] = patches

    def refresh_loras(self) -> None:
        self.refreshed.append(list(self.lora_patches))


class EarlyPatcher:
    """The same in the Forge of early 2024: a list of patches for each weight."""

    def __init__(self, unet: nn.Module) -> None:
        self.model = SimpleNamespace(diffusion_model=unet)
        self.patches: dict[str, list[Any]] = {}
        self.patches_uuid: object = 0

    def clone(self) -> EarlyPatcher:
        made = EarlyPatcher(self.model.diffusion_model)
        made.patches, made.patches_uuid = {key: found[:] for key, found in self.patches.items()}, self.patches_uuid
        return made

    def add_patches(self, patches: Any, strength_patch: float = 1.0) -> None:
        for key, patch in patches.items():
            self.patches.setdefault(key, []).append((strength_patch, patch, 1.0))


class Part:
    """A part of a conditioning that is a tensor."""

    def __init__(self, cond: Tensor) -> None:
        self.cond = cond

    def process_cond(self, batch_size: int, **_: Any) -> Part:
        return self

    def can_concat(self, other: Any) -> bool:
        return self.cond.shape == other.cond.shape

    def concat(self, others: list[Part]) -> Tensor:
        return torch.cat([self.cond, *(one.cond for one in others)])


def drawn(
    patcher: Patcher, x: Tensor, conds: list[Tensor], uncond: Tensor | None, tiles: int = 1, **more: Tensor
) -> list[Tensor]:
    """Go through one step as Forge does, in one call where it can; give what the UNet makes of each call.

    more: what a conditioning holds besides its context.
    """

    def parts_of(context: Tensor) -> dict[str, Any]:
        return {"model_conds": {name: Part(one) for name, one in {"context": context, **more}.items()}}

    cond = [parts_of(one) for one in conds]
    unconds = None if uncond is None else [parts_of(uncond)]
    rest = (5.0, patcher.model_options, 7)
    for modifier in patcher.model_options.get("conditioning_modifiers", ()):
        _, x, _, unconds, cond, *rest = modifier(None, x, None, unconds, cond, *rest)
    parts = [one["model_conds"] for one in [*cond, *(unconds or ())]]
    parts = [
        {name: part.process_cond(batch_size=len(x), device="cpu", area=None) for name, part in one.items()}
        for one in parts
    ]
    groups: list[list[dict[str, Any]]] = []
    for part in parts:
        same = [group for group in groups if all(part[name].can_concat(group[0][name]) for name in part)]
        same[0].append(part) if same else groups.append([part])
    made: list[Tensor] = []
    for group in groups:
        named = {name: group[0][name].concat([one[name] for one in group[1:]]) for name in group[0]}
        named["context"] = named["context"].repeat(tiles, 1, 1)
        rows = x.repeat(len(group) * tiles, 1, 1, 1)
        with torch.no_grad():
            made.append(patcher.model.diffusion_model(rows, torch.full((len(rows),), 500), **named))
    return made


@contextmanager
def played_forge(monkeypatch: pytest.MonkeyPatch, unet: nn.Module, *others: str) -> Generator[Any]:
    """The WebUI's modules with a checkpoint as Forge holds it; gives our engine, and the objects of the pass.

    others: modules that this Forge has besides.
    """
    package = play_webui(monkeypatch)
    for name in ("modules_forge", *others):
        played = ModuleType(name)
        played.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, played)
    objects = SimpleNamespace(unet=Patcher(unet))
    package.shared.sd_model = SimpleNamespace(forge_objects=objects)
    package.sd_models.model_data = SimpleNamespace(sd_model=package.shared.sd_model)
    engine = import_module("lib_faceid.hosts.webui.engine").engine()
    yield SimpleNamespace(engine=engine, objects=objects, package=package)
    forget_hosts()
