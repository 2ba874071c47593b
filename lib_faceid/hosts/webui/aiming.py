"""Aim in the WebUI: before a job begins, pictures of its seed are drawn to find how much of a setting is enough.

Each is a job of its own with the user's settings, as the cells of the X/Y/Z plot are, so that every script and every
extension takes part in it. Then the job itself draws what is proposed. Nothing is changed in the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from modules import processing, shared

from lib_faceid.errors import FaceIDError, HostError
from lib_faceid.hosts.webui.engine import engine
from lib_faceid.hosts.webui.inner import is_inner
from lib_faceid.hosts.webui.job import failing
from lib_faceid.hosts.webui.passes import Pixels, flat_pixels
from lib_faceid.hosts.webui.probes import aims, as_probe, set_aimed
from lib_faceid.hosts.webui.sampling import say
from lib_faceid.hosts.webui.script import models
from lib_faceid.jobs.aiming import aim_with, goal_for
from lib_faceid.jobs.expected import Judge, analyser_of_people, expected_in, judge_for
from lib_faceid.jobs.job import Job
from lib_faceid.likeness.aim import Aim
from lib_faceid.units.aim_request import INFOTEXT_KEY, AimRequest, aim_of
from lib_faceid.units.overrides import override, with_overrides
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.unit import Unit

__all__ = ["begin_aim"]


def begin_aim(p: Any, args: Sequence[Any]) -> None:
    """Search for a setting where the job's request says so, and have the job drawn with what was found.

    Where that cannot be, the job fails before anything of its own is sampled. Nothing is searched for twice: ADetailer
    calls the scripts again with a copy of a running job's `p`.
    """
    if aims(p) or is_inner(p):
        return
    try:
        if (request := aim_of(args)) is not None:
            units = with_overrides(units_from_args(args), p)
            _tell(p, request, _Aiming(p, request, units).run())
    except FaceIDError as error:
        p.init = failing(error)
    except Exception as error:  # noqa: BLE001 - the host would swallow it here, and not in `p.init`
        p.init = _raising(error)


def _tell(p: Any, request: AimRequest, found: Aim) -> None:
    """Say what was found, and set it for the job alone."""
    if shared.state.interrupted or shared.state.stopping_generation:
        raise HostError(f"Aim was interrupted. {found.sentence()}")
    best = found.proposed or found.best
    override(p, request.unit, request.by, best.value)
    p.extra_generation_params[INFOTEXT_KEY] = _Told({**found.as_dict(), "unit": request.unit})
    say(p, f"FaceID {request.unit}: {found.sentence()} This picture has {request.by} {best.value:g}.")


class _Told(dict[str, Any]):
    """One value of `p.extra_generation_params`: an object in the API's answer, a sentence in a picture's metadata."""

    def __call__(self, **_: Any) -> str:
        return self["sentence"]


class _Aiming:
    """The pictures of one search."""

    def __init__(self, p: Any, request: AimRequest, units: Sequence[Unit]) -> None:
        self._p, self._request, self._units = p, request, list(units)
        self._judge: Judge | None = None

    def run(self) -> Aim:
        """Return the curve, and the smallest value that reaches the goal. Raises what a job may raise."""
        p, asked = self._p, self._request
        goal = goal_for(self._units, asked.unit, asked.by, asked.aim)
        set_aimed(p)
        p.seed, p.subseed = processing.get_fixed_seed(p.seed), processing.get_fixed_seed(p.subseed)
        shared.state.job_count = goal.most + 1
        found = aim_with(goal, self._draw, self._likeness)
        if not found.probes:
            raise HostError("Aim was interrupted before its first picture was there.")
        return found

    def _draw(self, name: str, value: float) -> Pixels | None:
        """Return the picture with a setting at that value; None where the user has ended the search."""
        shared.state.textinfo = f"FaceID: {name} {value:g}"
        probe = as_probe(self._p)
        override(probe, self._request.unit, name, value)
        if getattr(probe, "enable_hr", False) and self._units[self._request.unit].hires != "hires":
            probe.enable_hr = False  # who it is shows in the first pass
        try:
            processed = processing.process_images(probe)
        finally:
            probe.close()
        if shared.state.skipped or shared.state.interrupted or shared.state.stopping_generation:
            return None
        return np.ascontiguousarray(flat_pixels(processed.images[processed.index_of_first_image]))

    def _likeness(self, picture: Pixels) -> float | None:
        """Return how alike the unit's person is in a picture. Asked when the job's checkpoint is loaded."""
        if self._judge is None:
            job = Job(self._units, models())
            prepared = job.prepare(engine().unet())
            analyser = analyser_of_people(prepared, models())
            self._judge = judge_for(expected_in(prepared, 0), analyser, [self._request.unit])
        return self._judge(picture)


def _raising(error: Exception) -> Callable[..., NoReturn]:
    def again(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise error

    return again
