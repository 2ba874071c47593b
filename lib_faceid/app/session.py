"""Pictures of the people in a job, without a WebUI: the checkpoint stays loaded from one picture to the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lib_faceid.app.parameters import parameters_text
from lib_faceid.app.resources import Resources, load_pipeline
from lib_faceid.app.trying import Trying, seeds_of
from lib_faceid.errors import UnitError
from lib_faceid.hosts.diffusers.measured import measured
from lib_faceid.hosts.diffusers.memory import enough_memory
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.expected import Judge, analyser_of_people, expected_in, judge_for
from lib_faceid.jobs.job import Job, Prepared
from lib_faceid.jobs.scoring import Scoring
from lib_faceid.likeness.meaning import LIKENESS_KEY, infotext_of
from lib_faceid.likeness.score import PictureScore
from lib_faceid.likeness.search import Search
from lib_faceid.likeness.watching import Watches
from lib_faceid.pictures.provenance import XMP, XMP_KEY
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.job_options import INFOTEXT_KEY, JobOptions
from lib_faceid.units.tags import find_tags, units_of_tags
from lib_faceid.units.unit import Unit

if TYPE_CHECKING:
    from lib_faceid.hosts.diffusers.flux import FluxDrawing
    from lib_faceid.hosts.diffusers.pipeline import Pipeline
    from lib_faceid.hosts.diffusers.sampling import Attached

__all__ = ["GeneratedImage", "Look", "Opened", "Progress", "Session"]

NO_OPTIONS = JobOptions()
Look = Callable[[], Image.Image]
"""Gives the picture as it is so far."""
Progress = Callable[[str, int, int, "Look | None"], None]
"""Is called with what is being done, the step, all steps, and with a look at the picture once it has begun."""


@dataclass(frozen=True, eq=False)
class GeneratedImage:
    """A picture, and what is known of it."""

    image: Image.Image
    request: Request
    parameters: str
    """As the WebUI writes and reads them."""
    seconds: float
    is_marked: bool = True
    """Whether its file says that a model made it."""
    search: Search | None = None
    """What was tried, where it is the best of several seeds."""
    seeds: Sequence[int] = ()
    """Those that were tried."""
    score: PictureScore | None = None
    """How alike its people are to those who were asked for; None where nobody was, or nothing looked."""
    notes: tuple[str, ...] = ()
    """What is to be said besides: that nothing could look, or that a likeness has fallen."""

    @property
    def metadata(self) -> dict[str, str]:
        """What goes into a PNG, as its texts."""
        return {"parameters": self.parameters, **({XMP_KEY: XMP} if self.is_marked else {})}


@dataclass(eq=False)
class Session:
    """Generates pictures with the models of `resources`; the checkpoint stays loaded from one to the next."""

    resources: Resources
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)
    _pipeline: tuple[Path, Pipeline | FluxDrawing] | None = field(default=None, init=False)
    _watches: Watches = field(default_factory=Watches, init=False)

    def job(self, units: Sequence[Unit], request: Request, controls: Sequence[ControlUnit] = ()) -> Job:
        """Return the job of these units, of those in the request's prompt tags and of ControlNets. Raises UnitError."""
        _, tagged = units_of_tags(request.prompt, request.negative, self.resources.people().names)
        return Job(units, self.resources.models(), tagged, controls)

    def prepare(self, job: Job, checkpoint: Path) -> tuple[Prepared, ...]:
        """Return the job's units, ready for that checkpoint, whose weights are not loaded for it; its ControlNets too.

        Raises FaceIDError: a model is missing, does not fit, or no face was found.
        """
        widths = measured(checkpoint)
        prepared = job.prepare_for(*widths)
        for one in prepared:
            if not one.unit.acts_in(hires=False):
                raise UnitError(
                    f"{one.label}: hires is '{one.unit.hires}', and there is one pass only. Leave it at 'both'."
                )
        job.controls_for(widths.context)
        return prepared

    def draw(
        self,
        checkpoint: Path,
        job: Job,
        requests: Sequence[Request],
        progress: Progress = lambda *_: None,
        options: JobOptions = NO_OPTIONS,
    ) -> Iterator[GeneratedImage]:
        """Give the picture of each request; of a search the pictures that are kept, the most alike first.

        `progress` may raise to end it. Each one with a person is looked at, unless the options or missing face models
        say otherwise. Raises FaceIDError.
        """
        with self.opened(checkpoint, job, requests, progress, options) as opened:
            for number, now in enumerate(requests):
                yield from opened.pictures(now, number, f"Picture {number + 1} of {len(requests)}")

    @contextmanager
    def opened(
        self,
        checkpoint: Path,
        job: Job,
        requests: Sequence[Request],
        progress: Progress = lambda *_: None,
        options: JobOptions = NO_OPTIONS,
    ) -> Generator[Opened]:
        """Keep a job attached to the loaded checkpoint, for any number of pictures one after the other.

        requests: those that are known; as many images of the job can be drawn. Raises FaceIDError.
        """
        prepared = self.prepare(job, checkpoint)
        infotexts = {infotext_key(one.number): one.infotext() for one in prepared}
        infotexts |= {one.key: one.infotext() for one in job.controls}
        quiet = replace(self.resources, offers_downloads=False).models()  # the picture is finished without face models
        looks = partial(analyser_of_people, prepared, quiet)
        scoring = Scoring(job, looks, self._watches) if options.score else None
        judges = [self.judge_of(prepared, number) for number in range(len(requests))] if options.searches else []
        with self._turn, enough_memory():  # one UNet, one job in it
            progress("Loading the checkpoint", 0, requests[0].steps, None)
            pipeline = self._loaded(checkpoint)
            with pipeline.attached(job) as attached:
                marks = self.resources.marks
                yield Opened(job, pipeline, attached, options, progress, infotexts, scoring, judges, marks)

    def judge_of(self, prepared: Sequence[Prepared], image: int, counts: Sequence[int] | None = None) -> Judge:
        """Return what says how alike a picture is to its people; the least alike counts, of the units `counts` alone.

        Raises UnitError where there is nobody to judge by, MismatchError for people of another recogniser.
        """
        analyser = analyser_of_people(prepared, self.resources.models())
        return judge_for(expected_in(prepared, image), analyser, counts)

    def _loaded(self, checkpoint: Path) -> Pipeline | FluxDrawing:
        if self._pipeline is None or self._pipeline[0] != checkpoint:
            self._pipeline = None  # the old one goes before the new one comes
            self._pipeline = (
                checkpoint,
                load_pipeline(checkpoint, full_precision=self.resources.full_precision, roots=self.resources.roots),
            )
        return self._pipeline[1]


@dataclass(frozen=True, eq=False)
class Opened:
    """A job that is attached, and draws."""

    job: Job
    pipeline: Pipeline | FluxDrawing
    attached: Attached
    options: JobOptions
    progress: Progress
    infotexts: Mapping[str, str]
    scoring: Scoring | None
    judges: Sequence[Judge]
    marks: bool

    def pictures(self, request: Request, number: int = 0, what: str = "Picture") -> Iterator[GeneratedImage]:
        """Give the picture of a request as image `number` of the job; of a search those that are kept."""
        drawing = _Drawing(self.pipeline, self.attached, number, request, what, self.progress)
        for one in drawing.best(self.options, self.judges[number]) if self.judges else drawing.plain():
            score, notes = self.scoring.look(np.asarray(one.image), number) if self.scoring else (None, [])
            likeness = {LIKENESS_KEY: infotext_of(score)} if score else {}
            more = {"Sampler": self.pipeline.sampler, **self.infotexts, **_search_infotext(one), **likeness}
            parameters = parameters_text(one.request, one.image.size, self.pipeline.name, more)
            yield replace(one, parameters=parameters, score=score, notes=tuple(notes), is_marked=self.marks)


@dataclass(frozen=True, eq=False)
class _Drawing:
    """One picture of a job at work."""

    pipeline: Pipeline | FluxDrawing
    job: Attached
    number: int
    request: Request
    what: str
    progress: Progress

    def plain(self) -> Iterator[GeneratedImage]:
        """Give the picture."""
        began, now = time.perf_counter(), self._without_tags
        after_step = lambda step, look: self.progress(self.what, step, now.steps, look)  # noqa: E731
        image = self.pipeline.draw(now, self.job, self.number, after_step)
        yield GeneratedImage(image, self.request, "", time.perf_counter() - began)

    def best(self, options: JobOptions, judge: Judge) -> Iterator[GeneratedImage]:
        """Give the best of several seeds."""
        began, seeds = time.perf_counter(), seeds_of(self.request, self.number, options)
        progress = lambda doing, step, look: self.progress(f"{self.what}: {doing}", step, self.request.steps, look)  # noqa: E731
        work = Trying(self.pipeline, self.job, self.number, self._without_tags, seeds, judge, progress)
        found = work.run(options)
        seconds = (time.perf_counter() - began) / len(found.images)
        for seed, image in found.images:
            yield GeneratedImage(image, replace(self.request, seed=seed), "", seconds, search=found.search, seeds=seeds)

    @property
    def _without_tags(self) -> Request:
        return replace(self.request, prompt=find_tags(self.request.prompt)[0])


def _search_infotext(generated: GeneratedImage) -> dict[str, str]:
    """Return what the metadata say of the search for a picture."""
    return {INFOTEXT_KEY: generated.search.infotext(generated.seeds)} if generated.search else {}
