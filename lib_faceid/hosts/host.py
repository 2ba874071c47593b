"""What every host is and does: the protocols behind which the house sees the program around it, and the only ones.

A host is a folder here. `Host` is the program: for the page, the HTTP API and what gets a job ready. `Sampling` is that
program while it draws one job: for `hosts/attached.py: AttachedJob`, which alone attaches jobs, and surely detaches
them. A host's own part is to say when: before each step, after it, and at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from torch import nn

from lib_faceid.effects.effect import EffectKind
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import LoraWeights
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Pass
from lib_faceid.models.folders import Roots
from lib_faceid.pictures.requested import BASE64_ONLY, RequestPolicy

__all__ = ["Host", "Progress", "Sampling", "Settings"]


@dataclass(frozen=True)
class Settings:
    """What users set in a host for all of its jobs."""

    face_device: Literal["cpu", "auto"] = "cpu"
    """Where faces are analysed: "cpu", or "auto" for a GPU where there is one."""
    only_approved: bool = False
    """Whether only approved people may be drawn; `models/faceid/settings.json` may say so besides, for every host."""
    requests: RequestPolicy = BASE64_ONLY
    """What a request may name as a picture."""


class Host(Protocol):
    """A program in which pictures are drawn. Everything is asked anew each time: users change it while it runs."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def carries(self) -> frozenset[EffectKind]:
        """The kinds of effects that it can apply; a unit that has another is refused in words."""
        ...

    def roots(self) -> Roots:
        """Return the folders in which its models lie."""
        ...

    def base(self) -> int | None:
        """Return the cross attention dimension of the loaded checkpoint; None while none is loaded."""
        ...

    def settings(self) -> Settings:
        """Return what is set at the moment."""
        ...

    def models(self) -> Models:
        """Return where its models come from: `hosts/usual.py: models_of`, unless there are others than in `roots`."""
        ...


class Progress(NamedTuple):
    """How far a pass is where a step begins."""

    at: float
    """How much of the pass lies before the step: 0 is the first."""
    step: float = 0.0
    """How much of the pass the step is; 0 where the host does not know how many there are."""


class Sampling(Protocol):
    """A host while it draws one job. What it answers is of the step that comes next."""

    @property
    def unet(self) -> nn.Module:
        """The UNet that is about to run: another one after a refiner, or with a checkpoint for hires fix."""
        ...

    @property
    def current_pass(self) -> Pass:
        """Which pass it is, which images of the job it draws, and which part of the picture."""
        ...

    def progress(self) -> Progress:
        """Return how far the pass is; asked once for each step, or for each UNet call of one."""
        ...

    def rows(self, injection: Injection) -> AbstractContextManager[None]:
        """Say whose the rows of the coming UNet calls are, by `set_rows` or `expect_tags`.

        Asked where somebody acts in the step only, and in every step where `injection.writing` is not None: a host that
        carries "text" has the texts written here. What is there for this step alone is undone on leaving.
        """
        ...

    def put_loras(self, loras: Sequence[tuple[LoraWeights, float]]) -> None:
        """Have these LoRAs at these strengths in the UNet, from memory, in place of those of an earlier call.

        None: take them out again, exactly. The same ones again: the host may have forgotten them.
        """
        ...

    def say(self, message: str) -> None:
        """Show a message with the job's pictures, in whichever way users look at them."""
        ...

    @property
    def is_interrupted(self) -> bool:
        """Whether the pictures at hand were ended by the user before their last step."""
        ...
