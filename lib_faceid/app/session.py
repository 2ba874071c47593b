"""Pictures of the people in a job, without a WebUI: the checkpoint stays loaded from one picture to the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from lib_faceid.app.parameters import parameters_text
from lib_faceid.app.resources import Workshop, load_studio
from lib_faceid.errors import UnitError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.hosts.diffusers.single_file import read_checkpoint
from lib_faceid.jobs.job import Job, Prepared
from lib_faceid.pictures.provenance import XMP, XMP_KEY
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.tags import find_tags, units_called
from lib_faceid.units.unit import Unit

if TYPE_CHECKING:
    from lib_faceid.hosts.diffusers.host import Studio

__all__ = ["Easel", "Look", "Painted", "Progress"]

Look = Callable[[], Image.Image]
"""Gives the picture as it is so far."""
Progress = Callable[[str, int, int, "Look | None"], None]
"""Is called with what is being done, the step, all steps, and with a look at the picture once it has begun."""


@dataclass(frozen=True, eq=False)
class Painted:
    """A picture, and what is known of it."""

    image: Image.Image
    request: Request
    parameters: str
    """As the WebUI writes and reads them."""
    seconds: float
    is_marked: bool = True
    """Whether its file says that a model made it."""

    @property
    def metadata(self) -> dict[str, str]:
        """What goes into a PNG, as its texts."""
        return {"parameters": self.parameters, **({XMP_KEY: XMP} if self.is_marked else {})}


@dataclass(eq=False)
class Easel:
    """A checkpoint at hand, and the models around it."""

    workshop: Workshop
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)
    _studio: tuple[Path, Studio] | None = field(default=None, init=False)

    def job(self, units: Sequence[Unit], request: Request) -> Job:
        """Return the job of these units, and of the people whom the request's prompt calls. Raises UnitError."""
        _, called = units_called(request.prompt, request.negative, self.workshop.people().names)
        return Job(units, self.workshop.models(), called)

    def prepare(self, job: Job, checkpoint: Path) -> tuple[Prepared, ...]:
        """Return the job's units, ready for that checkpoint, whose weights are not loaded for it.

        Raises FaceIDError: a model is missing, does not fit, or no face was found.
        """
        prepared = job.prepare_for(read_checkpoint(checkpoint)[1].cross_attention_dim)
        for one in prepared:
            if not one.unit.acts_in(hires=False):
                raise UnitError(
                    f"{one.whose}: hires is '{one.unit.hires}', and there is one pass only. Leave it at 'both'."
                )
        return prepared

    def paint(
        self, checkpoint: Path, job: Job, requests: Sequence[Request], progress: Progress = lambda *_: None
    ) -> Iterator[Painted]:
        """Give the picture of each request. `progress` may raise to end it. Raises FaceIDError."""
        told = {infotext_key(one.number): one.infotext() for one in self.prepare(job, checkpoint)}
        with self._turn:  # one UNet, one job in it
            progress("Loading the checkpoint", 0, requests[0].steps, None)
            studio = self._loaded(checkpoint)
            with studio.people(job):
                for number, now in enumerate(requests):
                    began = time.perf_counter()
                    what = f"Picture {number + 1} of {len(requests)}"
                    after_step = lambda step, look, what=what, steps=now.steps: progress(what, step, steps, look)  # noqa: E731
                    image = studio.draw(replace(now, prompt=find_tags(now.prompt)[0]), job, number, after_step)
                    parameters = parameters_text(now, image.size, studio.name, told)
                    yield Painted(image, now, parameters, time.perf_counter() - began, self.workshop.marks)

    def _loaded(self, checkpoint: Path) -> Studio:
        if self._studio is None or self._studio[0] != checkpoint:
            self._studio = None  # the old one goes before the new one comes
            self._studio = (checkpoint, load_studio(checkpoint, full_precision=self.workshop.full_precision))
        return self._studio[1]
