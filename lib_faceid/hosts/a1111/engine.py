"""AUTOMATIC1111's WebUI as the engine of jobs; `hosts.webui.engine.Engine`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from modules import sd_models, sd_unet, shared
from torch import nn

from lib_faceid.effects.effect import EffectKind
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import LoraWeights
from lib_faceid.errors import HostError
from lib_faceid.hosts.a1111 import lora as extension
from lib_faceid.hosts.a1111.rows import tagged_rows
from lib_faceid.hosts.merged import MergedLoras
from lib_faceid.jobs.job import Job

__all__ = ["A1111"]


class A1111:
    """The WebUI that all others come from."""

    name = "the WebUI"
    carries: frozenset[EffectKind] = frozenset({"tokens", "lora", "residuals", "text"})
    forgets_loras = False

    def check(self) -> None:
        """Raise HostError for a UNet that runs outside of torch."""
        if sd_unet.get_unet_option() is not None:
            raise HostError("FaceID cannot act on a TensorRT UNet. Set 'SD Unet' to None in the settings.")

    def unet(self) -> nn.Module:
        """Return the UNet of the checkpoint."""
        return shared.sd_model.model.diffusion_model

    def unet_at_hand(self) -> nn.Module | None:
        """Return the UNet that is loaded."""
        # Not `shared.sd_model`: asking for that would load a checkpoint.
        model = sd_models.model_data.sd_model
        return None if model is None else model.model.diffusion_model

    def rows(self, p: Any, job: Job, params: Any, injection: Injection) -> AbstractContextManager[None]:
        """Tag the rows of the conditioning."""
        return tagged_rows(p, job, params, injection)

    def loras(self, job: Job) -> _Loras:
        """Return what puts a job's LoRAs beside those of the prompt."""
        return _Loras(job)


class _Loras:
    """LoRAs beside those of the prompt; in the weights themselves where the built-in Lora extension is off."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._merged = MergedLoras()

    def put(self, unet: nn.Module, loras: Sequence[tuple[LoraWeights, float]]) -> Sequence[str]:
        """Have these in the UNet."""
        if extension.is_available():
            return extension.activate(loras, [one.adapter for one in self._job.prepared])
        self._merged.put(unet, loras)
        return ()

    def take_out(self) -> None:
        """Take them out."""
        if extension.is_available():
            extension.activate((), [one.adapter for one in self._job.prepared])
        self._merged.take_out()
