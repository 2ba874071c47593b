"""diffusers as a host: its pipelines sample, our hooks put the person in. Its own IP-Adapter is not used."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from PIL import Image
from torch import Tensor, nn

from lib_faceid.errors import HostError
from lib_faceid.hosts.diffusers.checkpoint import Parts, load_parts
from lib_faceid.hosts.diffusers.latent_preview import rough_image
from lib_faceid.hosts.diffusers.memory import enough_memory
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.hosts.diffusers.sampling import Attached, Step, attached_to
from lib_faceid.hosts.diffusers.sketch import Sketch, going_on, watching
from lib_faceid.hosts.diffusers.steering import AfterStep, steer
from lib_faceid.jobs.job import Job

__all__ = ["AfterStep", "Pipeline", "best_device", "decoded_image", "load_pipeline", "to_image"]

SMALL_DECODER = 5_000_000  # parameters; Stability's have 50 million


class Pipeline:
    """A checkpoint on its device: diffusers' pipeline of it, which a job is attached to."""

    def __init__(self, name: str, parts: Parts, device: torch.device) -> None:
        self.name = name
        self.family = parts.family
        """SD 1.5 or SDXL"""
        self.sampler = "DDIM"
        self._diffusers = _pipeline(parts).to(device)
        self._diffusers.set_progress_bar_config(leave=False, disable=None)  # None: only on a terminal

    @property
    def unet(self) -> nn.Module:
        """The network that jobs are attached to."""
        return self._diffusers.unet

    @contextmanager
    def attached(self, job: Job) -> Generator[Attached]:
        """Attach a job to the UNet and merge its LoRAs, until the end of the block, also by an exception."""
        with attached_to(self._diffusers, job) as attached:
            yield attached

    def draw(
        self,
        request: Request,
        job: Attached | None = None,
        image: int = 0,
        after_step: AfterStep = lambda _steps_done, _look: None,
        begun: Sketch | None = None,
    ) -> Image.Image:
        """Return the picture; with a job, as `attached` gives it, the one with its people in it.

        image: which of the job's pictures it is, counted from 0: units may draw somebody else in each; begun: where to
        go on from, of the same request: the picture is then the same as without. The same request gives the same
        picture. `after_step` may raise to end it. Raises HostError when memory runs out or the numbers overflow.
        """
        return to_image(self._run(request, job, image, after_step, begun)[0])

    def sketch(
        self,
        request: Request,
        until: int,
        job: Attached | None = None,
        image: int = 0,
        after_step: AfterStep = lambda _steps_done, _look: None,
        begun: Sketch | None = None,
    ) -> Sketch:
        """Return the picture as it is after that many of its steps, to go on from. The rest is as for `draw`."""
        latents, estimate = self._run(request, job, image, after_step, begun, until)
        return Sketch(latents, estimate, until)

    def look_at(self, sketch: Sketch) -> Image.Image:
        """Return what a picture in work would be if it were finished now, through the VAE: sharp enough for faces."""
        return self._decoded(sketch.estimate)

    @enough_memory()
    def _run(
        self,
        request: Request,
        job: Attached | None,
        image: int,
        after_step: AfterStep,
        begun: Sketch | None,
        until: int = 0,
    ) -> tuple[Any, Any]:
        """Return the pixels [H, W, 3] and None; or latents and their estimate where it ends after the step `until`."""
        done = begun.step if begun else 0
        steps = range(done, until or request.steps)
        prompt = job.prompt(request.prompt, request.negative, image) if job else request.prompt
        first = Step(image, done, request.steps, has_negative=request.cfg > 1)
        step_done = steer(job, first, after_step, self._so_far, steps)
        width_px, height_px = request.size_px or (None, None)
        scheduler = self._diffusers.scheduler
        with going_on(scheduler, done), watching(scheduler) if until else nullcontext([None]) as estimate:
            drawn = self._diffusers(
                prompt=prompt,
                negative_prompt=request.negative or None,
                width=width_px,
                height=height_px,
                num_inference_steps=request.steps,
                guidance_scale=request.cfg,
                generator=torch.Generator("cpu").manual_seed(request.seed),  # the same noise on every device
                latents=begun.latents if begun else None,
                callback_on_step_end=step_done,
                output_type="latent" if until else "np",
            )
        return (drawn.images, estimate[0]) if until else (drawn.images[0], None)

    def _so_far(self, latents: Tensor) -> Image.Image:
        """Return a picture that is not finished. A miniature's VAE is asked itself: it is cheap, and no other's kin."""
        vae = self._diffusers.vae
        if sum(weights.numel() for weights in vae.decoder.parameters()) > SMALL_DECODER:
            return rough_image(latents[0], self.family)
        return self._decoded(latents)

    @enough_memory()
    def _decoded(self, latents: Tensor) -> Image.Image:
        """Return the picture of latents [1, 4, h, w]."""
        vae = self._diffusers.vae
        with torch.inference_mode():
            is_upcast = self.family == "SDXL" and vae.dtype == torch.float16  # in halves its numbers may overflow
            if is_upcast:
                vae.to(dtype=torch.float32)
            try:
                pixels = vae.decode(latents[:1].to(vae.dtype) / vae.config.scaling_factor).sample[0]
            finally:
                if is_upcast:
                    vae.to(dtype=torch.float16)
        return decoded_image(pixels)


@enough_memory()
def load_pipeline(checkpoint: Path, *, full_precision: bool = False) -> Pipeline:
    """Return the checkpoint on CUDA, else MPS, else the CPU; in float16 but for the CPU and where asked otherwise.

    Raises FileError, or WrongFamilyError for anything but SD 1.5 and SDXL.
    """
    device = best_device()
    half = device.type != "cpu" and not full_precision
    parts = load_parts(checkpoint, torch.float16 if half else torch.float32)
    return Pipeline(checkpoint.stem, parts, device)


def best_device() -> torch.device:
    """Return CUDA, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _pipeline(parts: Parts) -> Any:
    """Return diffusers' pipeline of these parts: no safety checker, whose weights are a separate download."""
    if parts.family == "SDXL":
        return StableDiffusionXLPipeline(**parts.modules, add_watermarker=False)
    absent: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return StableDiffusionPipeline(**parts.modules, **absent)


def decoded_image(pixels: Tensor) -> Image.Image:
    """Return a picture from what a VAE decodes, [3, H, W] between -1 and 1."""
    return to_image((pixels / 2 + 0.5).clamp(0, 1).nan_to_num().float().cpu().permute(1, 2, 0).numpy())


def to_image(pixels: np.ndarray[Any, np.dtype[np.float32]]) -> Image.Image:
    """Return a picture from pixels [H, W, 3] between 0 and 1."""
    if not np.isfinite(pixels).all():
        raise HostError("The picture holds values that are no numbers. Try again with --full-precision.")
    return Image.fromarray((pixels * 255).round().astype(np.uint8))
