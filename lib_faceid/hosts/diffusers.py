"""diffusers as a host: its pipelines sample, our hooks put the person in. Its own IP-Adapter is not used."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from PIL import Image
from torch import nn

from lib_faceid.errors import HostError
from lib_faceid.generation import Prepared
from lib_faceid.hosts.diffusers_checkpoint import Parts, load_parts
from lib_faceid.hosts.request import Request
from lib_faceid.unet.injection import Injection, inject
from lib_faceid.unet.lora import merge_lora

__all__ = ["Studio", "load_studio"]


class Studio:
    """A checkpoint on its device, ready to draw."""

    def __init__(self, name: str, parts: Parts, device: torch.device) -> None:
        self.name = name
        self.family = parts.family
        """SD 1.5 or SDXL"""
        self._pipeline = _pipeline(parts).to(device)
        self._pipeline.set_progress_bar_config(leave=False, disable=None)  # None: only on a terminal

    @property
    def unet(self) -> nn.Module:
        """The network that people are put into."""
        return self._pipeline.unet

    @contextmanager
    def person(self, prepared: Sequence[Prepared]) -> Generator[Injection, None, None]:
        """Put people into the UNet, their LoRA merged. On leaving, also by an exception, it is as it was before."""
        with ExitStack() as entered:
            for one in prepared:
                entered.enter_context(merge_lora(self.unet, one.adapter, one.lora))
            yield entered.enter_context(inject(self.unet, [one.contribution for one in prepared]))

    def draw(
        self,
        request: Request,
        injection: Injection | None = None,
        after_step: Callable[[int], None] = lambda _steps_done: None,
    ) -> Image.Image:
        """Return the picture; with an injection (from `person`) the one with that person in it.

        The same request gives the same picture. `after_step` may raise to end it. Raises HostError when memory runs
        out or the numbers overflow.
        """
        step_done = _steer(injection, request, after_step)
        width_px, height_px = request.size_px or (None, None)
        try:
            drawn = self._pipeline(
                prompt=request.prompt,
                negative_prompt=request.negative or None,
                width=width_px,
                height=height_px,
                num_inference_steps=request.steps,
                guidance_scale=request.cfg,
                generator=torch.Generator("cpu").manual_seed(request.seed),  # the same noise on every device
                callback_on_step_end=step_done,
                output_type="np",
            )
        except torch.cuda.OutOfMemoryError as error:
            raise HostError(
                "The memory of the GPU is too small for a picture of this size. Ask for a smaller one, and close other "
                "programs that use the GPU."
            ) from error
        return _to_image(drawn.images[0])


def load_studio(checkpoint: Path, *, full_precision: bool = False) -> Studio:
    """Return the checkpoint on CUDA, else MPS, else the CPU; in float16 but for the CPU and where asked otherwise.

    Raises FileError, or WrongFamilyError for anything but SD 1.5 and SDXL.
    """
    device = _best_device()
    half = device.type != "cpu" and not full_precision
    parts = load_parts(checkpoint, torch.float16 if half else torch.float32)
    return Studio(checkpoint.stem, parts, device)


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _pipeline(parts: Parts) -> Any:
    """Return diffusers' pipeline of these parts: no safety checker, whose weights are a separate download."""
    if parts.family == "SDXL":
        return StableDiffusionXLPipeline(**parts.modules, add_watermarker=False)
    absent: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return StableDiffusionPipeline(**parts.modules, **absent)


def _steer(
    injection: Injection | None, request: Request, after_step: Callable[[int], None]
) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    """Tell the injection its rows and the first step; return the callback that tells it the others."""
    if injection:
        injection.set_rows([0, 1] if request.cfg > 1 else [1])  # diffusers puts the negative side first
        injection.set_progress(0)

    def step_done(_pipeline: Any, step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        if injection:
            injection.set_progress((step + 1) / request.steps)
        after_step(step + 1)
        return {}

    return step_done


def _to_image(pixels: np.ndarray[Any, np.dtype[np.float32]]) -> Image.Image:
    """Return a picture from pixels [H, W, 3] between 0 and 1."""
    if not np.isfinite(pixels).all():
        raise HostError("The picture holds values that are no numbers. Try again with --full-precision.")
    return Image.fromarray((pixels * 255).round().astype(np.uint8))
