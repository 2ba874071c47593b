"""The WebUI while it draws one job: which UNet, which pass, how far, and whose the rows are; `hosts.host.Sampling`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from modules import shared
from torch import Tensor, nn

from lib_faceid.console import say as log
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import LoraWeights
from lib_faceid.errors import HostError
from lib_faceid.hosts.host import Progress
from lib_faceid.hosts.merged import MergedLoras
from lib_faceid.hosts.webui import lora as webui_lora
from lib_faceid.hosts.webui.conds import context_of, with_context
from lib_faceid.hosts.webui.passes import pass_of, row_images
from lib_faceid.hosts.webui.steps import Steps
from lib_faceid.hosts.webui.tiles import tagged_boxes, tiles_of
from lib_faceid.jobs.job import Job, Pass
from lib_faceid.unet.rows import follow_images, tag_rows

__all__ = ["WebUISampling", "is_stopped", "loaded_unet", "say"]


class WebUISampling:
    """One job of the WebUI's sampler. params: the WebUI's own of the coming UNet calls, set before each step."""

    def __init__(self, p: Any, job: Job) -> None:
        self._p, self._job = p, job
        self.params: Any = None
        self.steps = Steps()
        """Where its passes are, and in which of their steps each unit acted."""
        self._merged = MergedLoras()

    @property
    def unet(self) -> nn.Module:
        """The UNet of the checkpoint that is loaded."""
        return loaded_unet()

    @property
    def current_pass(self) -> Pass:
        """The pass that is running."""
        return pass_of(self._p)

    @property
    def is_interrupted(self) -> bool:
        """Whether the user has pressed Interrupt or Skip."""
        return is_stopped()

    def say(self, message: str) -> None:
        """Show a message with the job's pictures."""
        say(self._p, message)

    def progress(self) -> Progress:
        """Return how far the sampler is, by its own function and levels of noise."""
        return Progress(*self.steps.advance(self.params))

    @contextmanager
    def rows(self, injection: Injection) -> Generator[None]:
        """Tag the rows that the coming UNet calls are made of; Tiled Diffusion's boxes until the step ends."""
        params = self.params
        params.text_cond = _tagged(params.text_cond, self._slots(params.text_cond, params.x))
        params.text_uncond = _tagged(params.text_uncond, self._slots(params.text_uncond))
        lengths = [context_of(cond).shape[1] for cond in (params.text_cond, params.text_uncond)]
        with tagged_boxes(params) as of_boxes:
            people = len(context_of(params.text_cond))
            injection.expect_tags([*lengths, *of_boxes], people=people, tiles=tiles_of(params))
            yield

    def put_loras(self, loras: Sequence[tuple[LoraWeights, float]]) -> None:
        """Put the LoRAs beside those of the prompt; into the weights where the built-in Lora extension is off."""
        if webui_lora.is_available():
            for message in webui_lora.activate(loras, [one.adapter for one in self._job.prepared]):
                self.say(message)
        elif loras:
            self._merged.put(self.unet, loras)
        else:
            self._merged.take_out()  # without a look at the UNet: asking for one may load a checkpoint

    def _slots(self, cond: Any, latents: Tensor | None = None) -> list[int]:
        """Return the slot of each row: image i of the batch with its identity is i + 1, without it -(i + 1).

        latents: what the step begins with, for the rows of cond; None for those of uncond.
        """
        rows = len(context_of(cond))
        images = row_images(self._p, rows, is_cond=latents is not None)
        if images and latents is not None and self._job.differs_by_image and 0 < max(images) < rows - 1:
            images = follow_images(latents, images)  # Regional Prompter's latent mode sorts them by its regions
        if images is None:
            if self._job.differs_by_image:
                raise HostError(
                    f"It cannot be told which image each of the {rows} prompts of this step belongs to, and the units "
                    f"differ from image to image. Set the batch size to 1, or leave AND out of the prompt."
                )
            images = [0] * rows
        return [-(image + 1) if latents is None else image + 1 for image in images]


def say(p: Any, message: str) -> None:
    """Show a message under the picture, in the API's answer, and once in the log."""
    if message not in p.comments:
        log(message)  # the WebUI's log is its standard output, on any code page
    p.comment(message)


def is_stopped() -> bool:
    """Say whether the user has ended the pictures at hand, or the whole job."""
    return bool(shared.state.interrupted or shared.state.skipped)


def loaded_unet() -> nn.Module:
    """Return the UNet of the WebUI's checkpoint, which is loaded for it if there is none."""
    return shared.sd_model.model.diffusion_model


def _tagged(cond: Any, slots: Sequence[int]) -> Any:
    """Return the conditioning with a tag in front of every row."""
    return with_context(cond, tag_rows(context_of(cond), slots))
