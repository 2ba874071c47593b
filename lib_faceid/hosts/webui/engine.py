"""What WebUIs do each in their own way: everything else in this folder is the same in all of them.

Page, scripts, callbacks, settings and API are AUTOMATIC1111's wherever its descendants run. Where the UNet lies, and
how rows and LoRAs reach it, they have rebuilt. Which of them runs is asked here, once, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

from torch import nn

from lib_faceid.effects.effect import EffectKind
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import LoraWeights
from lib_faceid.jobs.job import Job

__all__ = ["Engine", "JobLoras", "engine"]


class JobLoras(Protocol):
    """The LoRAs that one job has in UNets, from memory."""

    def put(self, unet: nn.Module, loras: Sequence[tuple[LoraWeights, float]]) -> Sequence[str]:
        """Have these in the UNet in place of those of an earlier call; return what the user should know about it."""
        ...

    def take_out(self) -> None:
        """Take them out again, exactly, without a look at the UNet: asking for one may load a checkpoint."""
        ...


class Engine(Protocol):
    """How one kind of WebUI draws."""

    @property
    def name(self) -> str:
        """What messages call the program."""
        ...

    @property
    def carries(self) -> frozenset[EffectKind]:
        """The kinds of effects that it can apply."""
        ...

    @property
    def forgets_loras(self) -> bool:
        """Whether every pass begins with the weights of checkpoint and prompt: what is put in sooner is wasted work."""
        ...

    def check(self) -> None:
        """Raise HostError where nobody can be drawn with what is chosen, such as another kind of model."""
        ...

    def unet(self) -> nn.Module:
        """Return the UNet of the checkpoint, which is loaded for it if there is none."""
        ...

    def unet_at_hand(self) -> nn.Module | None:
        """Return the UNet that is loaded, of whichever kind; None where none is, and none is loaded for it."""
        ...

    def rows(self, p: Any, job: Job, params: Any, injection: Injection) -> AbstractContextManager[None]:
        """Have the rows of the coming step's UNet calls say whose they are, by `params`, which are the WebUI's."""
        ...

    def loras(self, job: Job) -> JobLoras:
        """Return what puts the LoRAs of a job into UNets."""
        ...


@cache
def engine() -> Engine:
    """Return how the WebUI that runs here draws."""
    if find_spec("modules_forge") is None:
        from lib_faceid.hosts.a1111.engine import A1111

        return A1111()
    from lib_faceid.hosts.forge.engine import Forge

    return Forge()
