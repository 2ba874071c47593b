"""A sampler of the WebUI at work: how far it is, and in which of its steps each unit acted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modules import sd_samplers_common
from torch import Tensor

from lib_faceid.hosts.calls_per_step import Pace, pace_of
from lib_faceid.hosts.webui.passes import is_hires_pass
from lib_faceid.jobs.preparing import Prepared, step_range
from lib_faceid.methods.adapter import Adapter

__all__ = ["Run", "Steps", "pace_in"]


class Run:
    """How far one run of a sampler is. The WebUI's own counters are of no use: `state` still names the step before
    when a new one begins, and the denoiser's counts calls and expects another number of them than come.
    """

    def __init__(self, denoiser: Any) -> None:
        self.denoiser = denoiser
        self.is_hires = is_hires_pass(denoiser.p)
        self.step = -1
        self.place = (0.0, 0.0)
        self._pace = pace_in(denoiser)
        self._noisiest = 0.0

    @property
    def steps(self) -> int:
        """The steps of the pass; where nobody knows, those so far."""
        return self._pace.steps or self.step + 1

    def advance(self, noise: Tensor) -> None:
        """Go on to the step that the coming call of the denoiser belongs to, if it is another one."""
        if (step := self._pace.step_of(self.denoiser.step)) == self.step:
            return
        self.step = step
        if self._pace.steps:
            self.place = step / self._pace.steps, 1 / self._pace.steps
        else:  # by what is left of the noise, in the model's own measure, as the WebUI does for its refiner
            left = float(self.denoiser.inner_model.sigma_to_t(noise.max()))
            self._noisiest = max(self._noisiest, left)
            self.place = (1 - left / self._noisiest if self._noisiest else 0.0), 0.0


class Steps:
    """Where the passes of a job are, and in which of their steps each unit acted."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._known: dict[bool, int] = {}
        self._acted: dict[tuple[int | str, Adapter, bool], set[int]] = {}

    def advance(self, params: Any) -> tuple[float, float]:
        """Go on to the coming call of the denoiser.

        Return how much of the pass lies before its step, and how much the step is, where that is known, else 0.
        """
        denoiser = params.denoiser
        if self._run is None or self._run.denoiser is not denoiser or denoiser.step == 0:  # it may be used again
            self._run = Run(denoiser)
        self._run.advance(params.sigma)
        self._known[self._run.is_hires] = self._run.steps
        return self._run.place

    def note(self, taking_part: Iterable[Prepared]) -> None:
        """Write down which of these units act in this step."""
        if self._run is None:
            return
        for one in taking_part:
            if one.schedule.weight_at(*self._run.place):
                self._acted.setdefault((one.number, one.adapter, self._run.is_hires), set()).add(self._run.step)

    def summary(self, prepared: Prepared) -> str:
        """Return it in words for one unit, both passes of hires fix where there were two."""
        found: list[str] = []
        for is_hires, steps in sorted(self._known.items()):
            acted = self._acted.get((prepared.number, prepared.adapter, is_hires), set[int]())
            found.append(f"{'hires: ' if is_hires else ''}{step_range(acted, steps)}")
        return ", ".join(found)


def pace_in(denoiser: Any) -> Pace:
    """Return how the calls of a denoiser make up steps, once its sampler has begun."""
    name = getattr(denoiser.sampler.func, "__name__", "")
    return pace_of(name, denoiser.total_steps // denoiser.steps, _levels(denoiser, name))


def _levels(denoiser: Any, name: str) -> int:
    """Return how many levels of noise the sampler was given. The WebUI's numbers of steps do not tell: DDIM and its
    kin, and the schedule of that name, have one more or less where the steps do not divide 1000.
    """
    sampler, p, steps = denoiser.sampler, denoiser.p, denoiser.steps
    is_img2img = denoiser.init_latent is not None  # or the second pass of hires fix
    if hasattr(sampler, "get_timesteps"):
        return steps - 1 if is_img2img else len(sampler.get_timesteps(p, steps))
    if not hasattr(sampler, "get_sigmas") or (name == "sample_dpm_fast" and not is_img2img):
        return steps + 1
    whole = steps
    if is_img2img:
        asked = (p.hr_second_pass_steps or p.steps) if is_hires_pass(p) else None
        whole, _ = sd_samplers_common.setup_img2img_steps(p, asked)
    return steps + len(sampler.get_sigmas(p, whole)) - whole
