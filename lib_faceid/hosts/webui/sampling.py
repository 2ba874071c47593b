"""The WebUI while it draws one job: which UNet, which pass, how far, and whose the rows are; `hosts.host.Sampling`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from modules import shared
from torch import nn

from lib_faceid.console import say as log
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import LoraWeights
from lib_faceid.hosts.host import Progress
from lib_faceid.hosts.webui.engine import engine
from lib_faceid.hosts.webui.passes import pass_of
from lib_faceid.hosts.webui.steps import Steps
from lib_faceid.jobs.job import Job, Pass

__all__ = ["WebUISampling", "is_stopped", "say"]


class WebUISampling:
    """One job of the WebUI's sampler. params: the WebUI's own of the coming UNet calls, set before each step."""

    def __init__(self, p: Any, job: Job) -> None:
        self._p, self._job = p, job
        self.params: Any = None
        self.steps = Steps()
        """Where its passes are, and in which of their steps each unit acted."""
        self._loras = engine().loras(job)

    @property
    def unet(self) -> nn.Module:
        """The UNet of the checkpoint that is loaded."""
        return engine().unet()

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

    def rows(self, injection: Injection) -> AbstractContextManager[None]:
        """Have the rows of the coming UNet calls say whose they are."""
        return engine().rows(self._p, self._job, self.params, injection)

    def put_loras(self, loras: Sequence[tuple[LoraWeights, float]]) -> None:
        """Put the LoRAs beside those of the prompt."""
        if not loras:
            self._loras.take_out()
            return
        for message in self._loras.put(self.unet, loras):
            self.say(message)


def say(p: Any, message: str) -> None:
    """Show a message under the picture, in the API's answer, and once in the log."""
    if message not in p.comments:
        log(message)  # the WebUI's log is its standard output, on any code page
    p.comment(message)


def is_stopped() -> bool:
    """Say whether the user has ended the pictures at hand, or the whole job."""
    return bool(shared.state.interrupted or shared.state.skipped)
