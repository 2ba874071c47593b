"""FLUX.1 on diffusers: its transformer reads the prompt in one row with the picture, and our tokens between the two."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from lib_faceid.errors import HostError, UnitError
from lib_faceid.hosts.diffusers.flux_parts import FAMILY, LONG, SHORT, flux_pipeline
from lib_faceid.hosts.diffusers.memory import enough_memory
from lib_faceid.hosts.diffusers.offload import place
from lib_faceid.hosts.diffusers.pipeline import best_device, decoded_image, to_image
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.hosts.diffusers.sampling import Attached, Step, attached_to
from lib_faceid.hosts.diffusers.sketch import Sketch
from lib_faceid.hosts.diffusers.steering import AfterStep, steer
from lib_faceid.jobs.job import Job
from lib_faceid.models.folders import Roots

__all__ = ["FluxDrawing", "load_flux"]


class FluxDrawing:
    """A FLUX.1 checkpoint where it draws, as `pipeline.Pipeline` is one of Stable Diffusion."""

    def __init__(self, name: str, diffusers: Any, device: torch.device) -> None:
        self.name = name
        self.family = FAMILY
        self.sampler = "Euler"
        self.offload = place(diffusers, device)
        """Whether parts of it wait in the machine's memory."""
        self._diffusers = diffusers
        self._diffusers.set_progress_bar_config(leave=False, disable=None)  # None: only on a terminal

    @property
    def unet(self) -> nn.Module:
        """The network that jobs are attached to: the transformer."""
        return self._diffusers.transformer

    @contextmanager
    def attached(self, job: Job) -> Generator[Attached]:
        """Attach a job to the transformer until the end of the block, also by an exception."""
        with attached_to(self._diffusers, job) as attached:
            yield attached

    @enough_memory()
    def draw(
        self,
        request: Request,
        job: Attached | None = None,
        image: int = 0,
        after_step: AfterStep = lambda _steps_done, _look: None,
        begun: Sketch | None = None,
    ) -> Image.Image:
        """Return the picture; the arguments are those of `Pipeline.draw`, but that nothing can be begun.

        Raises UnitError for a negative prompt and for a size that cannot be, HostError when memory runs out.
        """
        if begun is not None:
            raise _no_sketch()
        size_px = self._checked(request)
        so_far = lambda latents: self._decoded(latents, size_px)  # noqa: E731
        first = Step(image, 0, request.steps, has_negative=False)
        step_done = steer(job, first, after_step, so_far, range(request.steps))
        drawn = self._diffusers(
            prompt=request.prompt,
            width=size_px[0],
            height=size_px[1],
            num_inference_steps=request.steps,
            guidance_scale=request.cfg,
            generator=torch.Generator("cpu").manual_seed(request.seed),  # the same noise on every device
            callback_on_step_end=step_done,
            max_sequence_length=LONG if self._diffusers.transformer.config.guidance_embeds else SHORT,
            output_type="np",
        )
        return to_image(drawn.images[0])

    def sketch(self, *_: object, **__: object) -> Sketch:
        """Raise HostError: a picture that is not finished cannot be gone on with."""
        raise _no_sketch()

    def look_at(self, sketch: Sketch) -> Image.Image:
        """Raise HostError, as `sketch` does."""
        raise _no_sketch()

    def _checked(self, request: Request) -> tuple[int, int]:
        """Return width and height. Raises UnitError for what this checkpoint cannot draw."""
        if request.negative.strip():
            raise UnitError(
                f"{FAMILY} draws without a negative side, so a negative prompt cannot act. Leave it empty, and say in "
                "the prompt what is to be there."
            )
        side = self._diffusers.default_sample_size * self._diffusers.vae_scale_factor
        size_px, unit = request.size_px or (side, side), 2 * self._diffusers.vae_scale_factor
        if any(length % unit for length in size_px):
            raise UnitError(f"size is {size_px[0]}x{size_px[1]}: {FAMILY} draws multiples of {unit}.")
        return size_px

    @torch.inference_mode()
    def _decoded(self, packed: Tensor, size_px: tuple[int, int]) -> Image.Image:
        """Return the picture of latents [1, places, channels], as far as it is."""
        pipeline, vae = self._diffusers, self._diffusers.vae
        latents = pipeline._unpack_latents(packed, size_px[1], size_px[0], pipeline.vae_scale_factor)  # noqa: SLF001
        latents = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0)
        pixels = vae.decode(latents.to(vae.dtype)).sample[0]
        return decoded_image(pixels)


@enough_memory()
def load_flux(checkpoint: Path, roots: Roots, *, full_precision: bool = False) -> FluxDrawing:
    """Return the checkpoint on CUDA, else MPS, else the CPU; in bfloat16 but for the CPU and where asked otherwise.

    What does not fit into the GPU's memory waits in the machine's. roots: where the parts are looked for that one file
    lacks. Raises FileError, MissingModelError.
    """
    device = best_device()
    half = device.type != "cpu" and not full_precision
    pipeline = flux_pipeline(checkpoint, roots, torch.bfloat16 if half else torch.float32)
    return FluxDrawing(checkpoint.name if checkpoint.is_dir() else checkpoint.stem, pipeline, device)


def _no_sketch() -> HostError:
    return HostError(f"{FAMILY} pictures are drawn from beginning to end. Set look_ahead off.")
