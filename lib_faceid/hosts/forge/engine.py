"""Forge as the engine of jobs; `hosts.webui.engine.Engine`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from modules import sd_models, shared
from torch import nn

from lib_faceid.effects.effect import EffectKind
from lib_faceid.effects.injection import Injection
from lib_faceid.errors import HostError
from lib_faceid.hosts.forge.lora import PatchLoras
from lib_faceid.hosts.forge.rows import carried_rows
from lib_faceid.jobs.job import Job
from lib_faceid.unet.layers import attention_layers

__all__ = ["Forge"]


class Forge:
    """The WebUI with model patchers, and its descendants."""

    name = "Forge"
    carries: frozenset[EffectKind] = frozenset({"tokens", "lora", "residuals"})
    forgets_loras = True

    def check(self) -> None:
        """Raise HostError for a checkpoint of another kind than Stable Diffusion's UNets."""
        try:
            attention_layers(self.unet())
        except HostError as error:
            kind = type(shared.sd_model).__name__
            ours = " FLUX.1 is drawn by our own program alone: python -m lib_faceid." if "flux" in kind.lower() else ""
            raise HostError(
                f"FaceID exists for SD 1.5 and SDXL; the checkpoint that is loaded is {kind}.{ours}"
            ) from error

    def unet(self) -> nn.Module:
        """Return the UNet of the checkpoint."""
        return shared.sd_model.forge_objects.unet.model.diffusion_model

    def unet_at_hand(self) -> nn.Module | None:
        """Return the UNet that is loaded."""
        objects = getattr(sd_models.model_data.sd_model, "forge_objects", None)
        return None if objects is None else objects.unet.model.diffusion_model

    def rows(self, p: Any, job: Job, params: Any, injection: Injection) -> AbstractContextManager[None]:
        """Have slots travel beside the conditionings."""
        return carried_rows(params, injection)

    def loras(self, job: Job) -> PatchLoras:
        """Return what puts a job's LoRAs among the patches of a pass."""
        return PatchLoras()
