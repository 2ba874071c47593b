"""What the UNet gave of one seed, call by call: a sampler that is run again gets it from there, up to where it ended.

So a picture in work can be laid aside and gone on with, whatever its sampler keeps in mind or draws at random between
two calls: it does all of that again, from the same seed, and only the UNet is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from modules import sd_samplers_common
from torch import Tensor

from lib_faceid.hosts.calls_per_step import Pace
from lib_faceid.hosts.webui.replaced import replaced
from lib_faceid.hosts.webui.steps import pace_in

__all__ = ["Recorder", "Tape", "record"]

ARGUMENTS = ("uncond", "cond", "cond_scale", "s_min_uncond", "image_cond")


@dataclass(eq=False)
class Tape:
    """The calls of one seed, on the CPU."""

    denoised: list[Tensor] = field(default_factory=list)
    """What each call gave back, [C, h, w]."""
    noise: list[Tensor | None] = field(default_factory=list)
    """Of each call what samplers of the kind CFG++ ask for besides."""
    estimate: Tensor | None = None
    """After the last call: what the picture would be without the noise that is left, [C, h, w]."""

    @property
    def calls(self) -> int:
        """How many there are."""
        return len(self.denoised)


@dataclass(eq=False)
class Recorder:
    """Stands before a denoiser: plays the tapes as long as they are, then calls it and records."""

    tapes: Sequence[Tape]
    """One for each image of the batch; all of one length."""
    until: float = 1.0
    """The fraction of the steps after which sampling is ended."""
    _pace: Pace | None = field(default=None, init=False)  # known when the sampler has begun; the same in all its calls

    def forward(self, denoiser: Any, real: Callable[..., Tensor], x: Tensor, sigma: Tensor, **more: Any) -> Tensor:
        """Return what the denoiser gives, or gave before. Ends the sampler at its step."""
        call = denoiser.step
        if self.until < 1 and self._is_over(denoiser, call):
            raise sd_samplers_common.InterruptedException
        if call < self.tapes[0].calls:
            return self._played(denoiser, call, x)
        given = real(x, sigma, **more)
        estimate = denoiser.get_pred_x0(x, given, sigma)
        noise = denoiser.last_noise_uncond if denoiser.need_last_noise_uncond else None
        for row, tape in enumerate(self.tapes):
            tape.denoised.append(_kept(given[row]))
            tape.noise.append(None if noise is None else _kept(noise[row]))
            tape.estimate = _kept(estimate[row])
        return given

    def _is_over(self, denoiser: Any, call: int) -> bool:
        self._pace = pace = self._pace or pace_in(denoiser)
        return bool(pace.steps) and pace.step_of(call) >= max(round(self.until * pace.steps), 1)

    def _played(self, denoiser: Any, call: int, x: Tensor) -> Tensor:
        given = torch.stack([tape.denoised[call] for tape in self.tapes]).to(x.device)
        noises = [tape.noise[call] for tape in self.tapes]
        if all(noise is not None for noise in noises):
            denoiser.last_noise_uncond = torch.stack([noise for noise in noises if noise is not None]).to(x.device)
        denoiser.sampler.last_latent = given
        if call == self.tapes[0].calls - 1:
            latest = [tape.estimate for tape in self.tapes if tape.estimate is not None]
            denoiser.sampler.last_latent = torch.stack(latest).to(x.device)
        denoiser.step += 1
        return given


def record(sampler: Any, recorder: Recorder) -> Callable[[], None]:
    """Put a recorder before a sampler's denoiser; return what takes it away."""
    denoiser = sampler.model_wrap_cfg
    real = denoiser.forward

    def forward(x: Tensor, sigma: Tensor, *args: Any, **more: Any) -> Tensor:
        return recorder.forward(denoiser, real, x, sigma, **dict(zip(ARGUMENTS, args, strict=False)), **more)

    return replaced(denoiser, "forward", forward)


def _kept(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().cpu()
