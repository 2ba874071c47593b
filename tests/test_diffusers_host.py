"""diffusers as a host: who is drawn, how strongly and when, and that nothing stays in the UNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_heun_discrete import HeunDiscreteScheduler
from diffusers.schedulers.scheduling_k_dpm_2_ancestral_discrete import KDPM2AncestralDiscreteScheduler
from diffusers.schedulers.scheduling_k_dpm_2_discrete import KDPM2DiscreteScheduler
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from numpy.typing import NDArray
from torch import nn

from lib_faceid.effects.lora import named_lora
from lib_faceid.errors import HostError
from lib_faceid.hosts.diffusers.pipeline import Pipeline
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Unit

REQUEST = Request("a photo of a person", size_px=(64, 96), steps=3, cfg=4, seed=1)
Pixels = NDArray[np.int16]


def identity(seed: int) -> Identity:
    return Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(seed)) * 20)


Jobs = Callable[..., Job]


@pytest.fixture(scope="module")
def job(family: str, miniature_adapter: Callable[..., Path]) -> Jobs:
    """job(unit, ...) is a job of these units, whose person is somebody made of that number."""

    def missing(*_: object) -> NoReturn:
        raise AssertionError("nobody needs it")

    models = Models(lambda: [miniature_adapter("faceid", family)], missing, missing, lambda name: identity(int(name)))
    return lambda *units: Job(units, models)


PERSON = Unit(enabled=True, person="1")


def drawn(pipeline: Pipeline, job: Job, request: Request = REQUEST) -> Pixels:
    with pipeline.attached(job) as attached:
        return np.asarray(pipeline.draw(request, attached)).astype(np.int16)


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one - other).mean())


@pytest.fixture(scope="module")
def plain(pipeline: Pipeline, job: Jobs) -> Pixels:
    """The picture without anybody."""
    return drawn(pipeline, job())


@pytest.fixture(scope="module")
def with_person(pipeline: Pipeline, job: Jobs, plain: Pixels) -> Pixels:
    """The picture with the person."""
    return drawn(pipeline, job(PERSON))


def test_a_person_changes_the_picture_and_more_weight_changes_it_more(
    pipeline: Pipeline, job: Jobs, plain: Pixels
) -> None:
    assert plain.shape == (96, 64, 3)
    assert 20 < plain.std() < 100
    assert ((plain > 0) & (plain < 255)).mean() > 0.8
    units = [replace(PERSON, weight=weight) for weight in (0.1, 0.4, 1.0)]
    differences = [difference(drawn(pipeline, job(unit)), plain) for unit in units]
    assert 1 < differences[0] < differences[1] < differences[2]


def test_the_same_request_gives_the_same_picture(pipeline: Pipeline, job: Jobs, with_person: Pixels) -> None:
    assert difference(drawn(pipeline, job(PERSON)), with_person) == 0
    assert difference(drawn(pipeline, job(PERSON), replace(REQUEST, seed=2)), with_person) > 5


def test_another_person_gives_another_picture_and_both_a_third(
    pipeline: Pipeline, job: Jobs, with_person: Pixels
) -> None:
    other = replace(PERSON, person="2")
    two, both = (drawn(pipeline, job(*units)) for units in ((other,), (PERSON, other)))
    pairs = ((with_person, two), (with_person, both), (two, both))
    assert min(difference(*pair) for pair in pairs) > 1


def test_every_setting_matters(pipeline: Pipeline, job: Jobs, with_person: Pixels) -> None:
    for settings in ({"lora": 0.0}, {"start": 0.5}, {"end": 0.3}):
        assert difference(drawn(pipeline, job(replace(PERSON, **settings))), with_person) > 0.2, settings


def test_people_who_share_an_adapter_share_its_lora(pipeline: Pipeline, job: Jobs) -> None:
    """As in the WebUI: merged once, at the larger strength."""
    name, strengths = next(iter(named_lora(job(PERSON).prepare(pipeline.unet)[0].adapter, pipeline.unet))), (0.3, 0.7)
    weights: list[torch.Tensor] = []
    for units in ([0.7], strengths):
        with pipeline.attached(job(*(replace(PERSON, lora=lora) for lora in units))):
            weights.append(cast("nn.Linear", pipeline.unet.get_submodule(name)).weight.clone())
    assert torch.equal(*weights)


def each(steps: int, calls: int) -> list[int]:
    """So many steps of so many calls."""
    return [step for step in range(steps) for _ in range(calls)]


@pytest.mark.parametrize(
    ("scheduler", "steps_of_calls"),
    [
        (DDIMScheduler, each(8, 1)),
        (EulerDiscreteScheduler, each(8, 1)),
        (UniPCMultistepScheduler, each(8, 1)),
        (PNDMScheduler, [0, *each(8, 1)]),
        (HeunDiscreteScheduler, each(8, 2)[:-1]),
        (KDPM2DiscreteScheduler, each(8, 2)[:-1]),
        (KDPM2AncestralDiscreteScheduler, each(8, 2)[:-1]),
    ],
)
def test_start_and_end_count_steps_on_every_scheduler(
    pipeline: Pipeline, job: Jobs, monkeypatch: pytest.MonkeyPatch, scheduler: Any, steps_of_calls: list[int]
) -> None:
    if pipeline.family == "SDXL" and scheduler not in (EulerDiscreteScheduler, HeunDiscreteScheduler):
        pytest.skip("the steps of a scheduler are those of SD 1.5; one of each kind shows that for SDXL")
    skip = {"skip_prk_steps": True} if scheduler is PNDMScheduler else {}  # as in every published SD 1.5
    monkeypatch.setattr(
        pipeline._diffusers, "scheduler", scheduler.from_config(pipeline._diffusers.scheduler.config, **skip)
    )
    request = replace(REQUEST, size_px=(64, 64), steps=8)
    drawing = job(replace(PERSON, start=0.25, end=0.75, lora=0.0))
    acted, done = [0], list[int]()
    with pipeline.attached(drawing) as attached:
        injection = drawing.attach(pipeline.unet)
        handle = pipeline.unet.register_forward_hook(lambda *_: acted.append(injection.calls))
        pipeline.draw(request, attached, after_step=lambda step, _so_far: done.append(step))
        handle.remove()
    assert [now > then for then, now in pairwise(acted)] == [2 <= step < 6 for step in steps_of_calls]
    assert done == [*steps_of_calls[1:], 8]


def test_up_to_cfg_1_there_is_no_negative_side(pipeline: Pipeline, job: Jobs) -> None:
    request = replace(REQUEST, cfg=1)
    with pipeline.attached(drawing := job(PERSON)) as attached:
        picture = np.asarray(pipeline.draw(request, attached)).astype(np.int16)
    assert drawing.calls == request.steps
    assert difference(picture, drawn(pipeline, job(), request)) > 1


def test_each_picture_of_a_job_may_have_another_person(pipeline: Pipeline, job: Jobs, with_person: Pixels) -> None:
    alone = [with_person, drawn(pipeline, job(replace(PERSON, person="2")))]
    with pipeline.attached(job(replace(PERSON, person="1 | 2", batch="one each"))) as attached:
        pictures = [np.asarray(pipeline.draw(REQUEST, attached, image)).astype(np.int16) for image in range(3)]
    assert [difference(*pair) for pair in zip(pictures, [*alone, alone[0]], strict=True)] == [0, 0, 0]


def test_nothing_stays_in_the_unet(pipeline: Pipeline, job: Jobs, plain: Pixels) -> None:
    before = {name: tensor.clone() for name, tensor in pipeline.unet.state_dict().items()}

    def interrupted() -> None:
        with pipeline.attached(job(PERSON)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    drawn(pipeline, job(PERSON))
    assert all(torch.equal(tensor, before[name]) for name, tensor in pipeline.unet.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in pipeline.unet.modules())
    assert difference(drawn(pipeline, job()), plain) == 0


def test_numbers_that_are_none_are_no_picture(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = pipeline._diffusers.vae
    monkeypatch.setattr(vae, "decode", lambda latents, **_: (torch.full((1, 3, 96, 64), torch.nan),))
    with pytest.raises(HostError, match="no numbers"):
        pipeline.draw(REQUEST)
