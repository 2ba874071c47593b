"""Forge as the engine of jobs; `hosts.webui.engine.Engine`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from modules import sd_models, shared
from torch import nn

from lib_faceid.effects.effect import EffectKind
from lib_faceid.effects.injection import Injection
from lib_faceid.errors import HostError
from lib_faceid.hosts.forge.flux import draws_flux, require_plain
from lib_faceid.hosts.forge.lora import PatchLoras
from lib_faceid.hosts.forge.rows import carried_rows
from lib_faceid.jobs.job import Job
from lib_faceid.unet.layers import attention_layers, is_transformer

__all__ = ["Forge"]


class Forge:
    """The WebUI with model patchers, and its descendants."""

    name = "Forge"
    forgets_loras = True

    def __init__(self) -> None:
        of_flux: set[EffectKind] = {"context"} if draws_flux() else set()
        self.carries: frozenset[EffectKind] = frozenset({"tokens", "lora", "residuals", "text", *of_flux})

    def check(self) -> None:
        """Raise HostError for a checkpoint that nothing is drawn with: no UNet of Stable Diffusion, nor FLUX.1."""
        unet = self.unet()
        if is_transformer(unet) and "context" in self.carries:
            require_plain(unet, str(getattr(shared.sd_model.sd_checkpoint_info, "name", "")))
            return
        try:
            attention_layers(unet)
        except HostError as error:
            kind = type(shared.sd_model).__name__
            known = "SD 1.5, SDXL and FLUX.1 [dev] and [schnell]" if "context" in self.carries else "SD 1.5 and SDXL"
            raise HostError(f"FaceID exists for {known}; the checkpoint that is loaded is {kind}.") from error

    def unet(self) -> nn.Module:
        """Return the UNet of the checkpoint."""
        return shared.sd_model.forge_objects.unet.model.diffusion_model

    def unet_at_hand(self) -> nn.Module | None:
        """Return the UNet that is loaded; None where the next job will load another checkpoint in its place."""
        data = sd_models.model_data
        objects = getattr(data.sd_model, "forge_objects", None)
        is_chosen = getattr(data, "forge_hash", "") == str(getattr(data, "forge_loading_parameters", ""))
        return objects.unet.model.diffusion_model if objects is not None and is_chosen else None

    def rows(self, p: Any, job: Job, params: Any, injection: Injection) -> AbstractContextManager[None]:
        """Have slots travel beside the conditionings, which are given the people who are written into them."""
        if injection.writing is not None:
            from lib_faceid.hosts.forge.texts import written  # here, as most jobs write nobody into the prompt

            params.text_cond = written(p, injection.writing, params)
        return carried_rows(params, injection)

    def loras(self, job: Job) -> PatchLoras:
        """Return what puts a job's LoRAs among the patches of a pass."""
        return PatchLoras()
