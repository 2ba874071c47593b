"""Start and end are fractions of each pass's own steps, on every sampler of a real WebUI.

The probe extension asks the samplers themselves which step each call of the denoiser belongs to.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest

from tests.webui.server import Server
from tests.webui.test_live_jobs import clean

START, END = 0.25, 0.75
TINY = {"width": 64, "height": 64}
HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
SAMPLERS = (
    *("DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a", "Euler"),
    *("LMS", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++", "PLMS", "UniPC"),
    "LCM",
)
OF_FORGE = ("DDPM", "HeunPP2", "IPNDM", "IPNDM_V", "DEIS")
"""Forge has these besides; of each WebUI those are tried that it has."""
ADAPTIVE = "DPM adaptive"

Call = dict[str, Any]


@pytest.fixture(scope="module")
def picture(server: Server) -> str:
    """A picture to begin img2img with."""
    return clean(server.txt2img(**TINY)).body["images"][0]


@pytest.fixture(scope="module")
def offered(server: Server) -> set[str]:
    return {one["name"] for one in server.get("/sdapi/v1/samplers")}


def require(sampler: str, offered: set[str]) -> None:
    if sampler not in offered:
        pytest.skip(f"this WebUI has no {sampler}")


def test_these_are_all_samplers(server: Server, offered: set[str]) -> None:
    more = OF_FORGE if server.kind.is_forge else ()
    assert offered <= {*SAMPLERS, *more}
    assert server.kind.is_forge or offered == set(SAMPLERS)


@pytest.mark.parametrize(
    ("sampler", "steps"), [*((sampler, 9) for sampler in (*SAMPLERS, *OF_FORGE)), ("Restart", 24), ("Restart", 40)]
)
def test_both_passes_of_hires_fix(server: Server, offered: set[str], person: Call, sampler: str, steps: int) -> None:
    """Neither 9 nor 7 divides 1000: DDIM and its kin take other numbers. Restart turns back from 20 steps on."""
    require(sampler, offered)
    unit = {**person, "start": START, "end": END}
    drawn = clean(server.txt2img(unit, sampler_name=sampler, steps=steps, hr_second_pass_steps=7, **TINY, **HIRES))
    first, second = (list(calls) for _, calls in groupby(server.calls(), key=lambda call: call["hires"]))
    told = [acts_in_the_middle(sampler, calls) for calls in (first, second)]
    assert f"{told[0]}, hires: {told[1]}" in drawn.log


@pytest.mark.parametrize("sampler", [*SAMPLERS, *OF_FORGE])
def test_img2img_counts_the_steps_it_does(
    server: Server, offered: set[str], person: Call, picture: str, sampler: str
) -> None:
    require(sampler, offered)
    unit = {**person, "start": START, "end": END}
    settings: Call = {"init_images": [picture], "denoising_strength": 0.6, "steps": 15, **TINY}
    drawn = clean(server.img2img(unit, sampler_name=sampler, **settings))
    assert acts_in_the_middle(sampler, server.calls()) in drawn.log


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [
        *(("Heun", schedule) for schedule in ("Karras", "SGM Uniform", "KL Optimal", "Align Your Steps", "Beta")),
        *((sampler, "DDIM") for sampler in ("Euler", "Heun", "DPM fast")),
    ],
)
def test_every_schedule(server: Server, person: Call, picture: str, sampler: str, schedule: str) -> None:
    unit, settings = {**person, "start": START, "end": END}, {"sampler_name": sampler, "scheduler": schedule, **TINY}
    clean(server.txt2img(unit, steps=9, **settings))
    acts_in_the_middle(sampler, server.calls())
    clean(server.img2img(unit, init_images=[picture], denoising_strength=0.6, steps=15, **settings))
    acts_in_the_middle(sampler, server.calls())


def acts_in_the_middle(sampler: str, calls: list[Call]) -> str:
    """Check that a pass acted from start to end and in whole steps; return what the job should say of it."""
    steps = [index if sampler == "DPM fast" else call["step"] for index, call in enumerate(calls)]  # a call is a step
    many = steps[-1] + 1
    places = left_behind(calls, steps) if sampler == ADAPTIVE else [step / many for step in steps]
    assert steps == sorted(steps)
    assert [bool(call["acted"]) for call in calls] == [START <= place < END for place in places]
    acted = [step + 1 for step, call in zip(steps, calls, strict=True) if call["acted"]]
    return f"steps {acted[0]}-{acted[-1]} of {many}"


def left_behind(calls: list[Call], steps: list[int]) -> list[float]:
    """How much of the noise lay behind when each call's step began, for a sampler that chooses its steps as it goes."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alphas = np.cumprod(1 - betas)
    log_sigmas = np.log((1 - alphas) / alphas) / 2
    left = np.interp([np.log(call["noise"]) for call in calls], log_sigmas, np.arange(1000))
    return [1 - left[steps.index(step)] / left[0] for step in steps]
