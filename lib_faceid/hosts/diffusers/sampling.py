"""diffusers while it draws one job: its rows are known, and so are its steps; `hosts.host.Sampling`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from lib_faceid.console import say
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.lora import LoraWeights
from lib_faceid.hosts.attached import AttachedJob
from lib_faceid.hosts.host import Progress
from lib_faceid.hosts.merged import MergedLoras
from lib_faceid.jobs.job import Job, Pass
from lib_faceid.units.trigger import Line, lines_of, refuse_negative

__all__ = ["Attached", "DiffusersSampling", "Step", "attached_to"]


@dataclass(frozen=True)
class Step:
    """A step that comes next: of which picture of the job, which one, and of how many."""

    image: int = 0
    number: int = 0
    """Counted from 0."""
    steps: int = 1
    has_negative: bool = True
    """Whether the negative side is drawn as well."""


class DiffusersSampling:
    """One job in a pipeline. step: the one that comes next, set before each."""

    def __init__(self, pipeline: Any, say: Callable[[str], None] = say) -> None:
        self._pipeline = pipeline
        self.step = Step()
        self.line = Line("")
        """The prompt at hand, where people are written into it."""
        self.noted = ""
        """What was said of it last."""
        self._say = say
        self._merged = MergedLoras()

    @property
    def unet(self) -> nn.Module:
        """The pipeline's UNet, or its transformer."""
        return getattr(self._pipeline, "transformer", None) or self._pipeline.unet

    @property
    def current_pass(self) -> Pass:
        """The one pass that there is, of one picture."""
        return Pass(images=range(self.step.image, self.step.image + 1))

    @property
    def is_interrupted(self) -> bool:
        """Whether the pipeline was told to leave out its last steps."""
        return bool(getattr(self._pipeline, "interrupt", False))  # there once it has drawn

    def say(self, message: str) -> None:
        """Show a message on the console, or wherever the program says things."""
        self._say(message)

    def progress(self) -> Progress:
        """Return how far the picture is."""
        return Progress(self.step.number / self.step.steps, 1 / self.step.steps)

    @contextmanager
    def rows(self, injection: Injection) -> Generator[None]:
        """Say whose the rows are: diffusers puts the negative side first."""
        injection.set_rows([0, 1] if self.step.has_negative else [1])
        if injection.writing is None:
            yield
            return
        from lib_faceid.hosts.diffusers.text import written_rows  # here, as most jobs write nobody into the prompt

        with written_rows(self._pipeline, injection.writing, self.line, has_negative=self.step.has_negative):
            yield

    def put_loras(self, loras: Sequence[tuple[LoraWeights, float]]) -> None:
        """Merge the LoRAs into the UNet's weights."""
        self._merged.put(self.unet, loras)


@dataclass(frozen=True)
class Attached:
    """A job that is attached to a pipeline, for its pictures to be drawn with."""

    job: AttachedJob
    sampling: DiffusersSampling

    def prompt(self, prompt: str, negative: str, image: int) -> str:
        """Return the prompt that the pipeline itself is given: that without trigger words, where people are written.

        Raises UnitError where they cannot be.
        """
        self.sampling.step = Step(image)
        writing = self.job.attach().writing
        if writing is None:
            return prompt
        refuse_negative([negative], writing.trigger)
        ((self.sampling.line,),), note = lines_of([[prompt]], writing.trigger, len(writing.people))
        if note and note != self.sampling.noted:  # once, and not for each picture
            self.sampling.say(f"FaceID: {note}")
            self.sampling.noted = note
        return self.sampling.line.drawn(writing.trigger, ()).text

    def begin(self, step: Step) -> None:
        """Before the UNet calls of a step."""
        self.sampling.step = step
        self.job.begin_step()


@contextmanager
def attached_to(pipeline: Any, job: Job) -> Generator[Attached]:
    """Attach a job to diffusers' pipeline and merge its LoRAs, until the end of the block, also by an exception."""
    sampling = DiffusersSampling(pipeline)
    with AttachedJob(job, sampling) as attached:
        attached.attach()
        yield Attached(attached, sampling)
