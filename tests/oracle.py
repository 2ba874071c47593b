"""diffusers' own IP-Adapter, as the oracle of the tests of parity. It shares no code with the engine."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from builders import SDXL, Parts
from parity import SCALE, Case, World
from torch import Tensor, nn
from unets import call, inputs

from lib_faceid.references.identity import Identity

__all__ = ["RAW", "Oracle", "WorldWithOracle", "load_pipeline"]

RAW = {"portrait_unnorm", "instantid"}
"""Variants that read the recogniser's vectors as they are."""


def load_pipeline(unet: nn.Module, adapters: Sequence[Parts]) -> Any:
    """Return a pipeline around a copy of the UNet, with adapters that diffusers loaded by itself."""
    diffusers: Any = importlib.import_module("diffusers")  # its parameters deny the None that they take
    pipeline = diffusers.StableDiffusionPipeline(
        vae=None,
        text_encoder=None,
        tokenizer=None,
        unet=copy.deepcopy(unet),
        scheduler=diffusers.DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    count = len(adapters)
    pipeline.load_ip_adapter(
        [parts.nested() for parts in adapters],
        subfolder=[None] * count,
        weight_name=["x"] * count,
        image_encoder_folder=None,
    )
    return pipeline


class Oracle:
    """diffusers, with an adapter that it loaded by itself."""

    def __init__(self, unet: nn.Module, parts: Parts) -> None:
        self._has_lora = any("lora" in key for key in parts.ip_adapter)
        self._pipeline = load_pipeline(unet, [parts])

    def __call__(self, case: Case, lora: float = 0.0, scale: Any = SCALE) -> Tensor:
        """Return what the UNet predicts for an uncond and a cond row; `scale` may be a dict by block."""
        unet = self._pipeline.unet
        self._pipeline.set_ip_adapter_scale(scale)
        if self._has_lora:
            self._pipeline.set_adapters(["faceid_0"], adapter_weights=[lora])
        embeddings = case.person.id_embeddings
        if case.variant not in RAW:
            embeddings = embeddings / embeddings.norm(dim=-1, keepdim=True)
        embeds = torch.stack([torch.zeros_like(embeddings), embeddings])
        if case.variant in RAW:
            # diffusers does not know these variants: their network is IP-Adapter Plus's, which reads a sequence.
            embeds = embeds[:, :, None]
        network = unet.encoder_hid_proj.image_projection_layers[0]
        _give_clip(network, case.person)
        network.shortcut, network.shortcut_scale = case.variant == "plusv2", case.structure
        return call(unet, inputs(case.cross_dim), added_cond_kwargs={"image_embeds": [embeds]})


def _give_clip(network: nn.Module, person: Identity) -> None:
    if person.clip_hidden is not None and person.clip_hidden_uncond is not None:
        blank = person.clip_hidden_uncond.expand_as(person.clip_hidden)
        network.clip_embeds = torch.stack([blank, person.clip_hidden])


class WorldWithOracle(World):
    """Keeps one oracle at a time: it is a whole UNet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._oracle: tuple[tuple[str, int], Oracle] | None = None

    def expected(self, case: Case, lora: float = 0.0, scale: Any = SCALE) -> Tensor:
        if self._oracle is None or self._oracle[0] != case.key:
            unet = self.unet("sdxl" if case.cross_dim == SDXL else "diffusers")
            self._oracle = (case.key, Oracle(unet, self.parts(case.key)))
        return self._oracle[1](case, lora, scale)
