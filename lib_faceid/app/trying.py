"""Several seeds of one picture, each drawn as far as a search wants it, on our own host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lib_faceid.hosts.diffusers.request import LARGEST_SEED, Request
from lib_faceid.jobs.expected import Judge
from lib_faceid.likeness.search import Look, Plan, Search, search
from lib_faceid.units.job_options import JobOptions

if TYPE_CHECKING:
    from lib_faceid.hosts.diffusers.flux import FluxDrawing
    from lib_faceid.hosts.diffusers.pipeline import Pipeline
    from lib_faceid.hosts.diffusers.sampling import Attached
    from lib_faceid.hosts.diffusers.sketch import Sketch

__all__ = ["Tried", "Trying", "seeds_of"]

Progress = Callable[[str, int, "Callable[[], Image.Image] | None"], None]
"""Is called with what is done, the step, and what gives the picture so far; may raise to end it."""


def seeds_of(request: Request, number: int, options: JobOptions) -> list[int]:
    """Return the seeds that are tried for a picture of that number, whose own is `request.seed`: none twice."""
    first = request.seed + number * (options.best_of - 1)
    return [(first + at) % (LARGEST_SEED + 1) for at in range(options.best_of)]


@dataclass(frozen=True, eq=False)
class Tried:
    """What came of it."""

    search: Search
    images: Sequence[tuple[int, Image.Image]]
    """(seed, picture) of those that are kept, the most alike first."""


@dataclass(eq=False)
class Trying:
    """Several seeds of one picture at work."""

    pipeline: Pipeline | FluxDrawing
    job: Attached
    image: int
    """The picture's number in the job."""
    request: Request
    seeds: Sequence[int]
    judge: Judge
    progress: Progress
    _finished: dict[int, Image.Image] = field(default_factory=dict, init=False)
    _begun: dict[int, Sketch] = field(default_factory=dict, init=False)
    _doing: str = field(default="", init=False)

    def run(self, options: JobOptions) -> Tried:
        """Return the pictures that are kept."""
        plan = Plan(len(self.seeds), self.request.steps, options.keep, options.likeness_target, options.look_ahead)
        found = search(plan, self._draw_all, self._drop, self._say)
        return Tried(found, [(self.seeds[one], self._finished[one]) for one in found.chosen])

    def _say(self, line: str) -> None:
        self._doing = line

    def _draw_all(self, numbers: Sequence[int], step: int) -> list[Look]:
        return [self._draw(number, step) for number in numbers]

    def _draw(self, number: int, until: int) -> Look:
        request, begun = replace(self.request, seed=self.seeds[number]), self._begun.pop(number, None)
        after_step = lambda step, look: self.progress(self._doing, step, look)  # noqa: E731
        if until == request.steps:
            seen = self._finished[number] = self.pipeline.draw(request, self.job, self.image, after_step, begun)
        else:
            sketch = self.pipeline.sketch(request, until, self.job, self.image, after_step, begun)
            self._begun[number], seen = sketch, self.pipeline.look_at(sketch)
        return Look(self.judge(np.asarray(seen)), until - (begun.step if begun else 0))

    def _drop(self, number: int) -> None:
        self._begun.pop(number, None)
        self._finished.pop(number, None)
