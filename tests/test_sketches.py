"""A picture that was laid aside and taken up again is the picture that was drawn at once, for the same UNet calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers", reason="pictures are drawn on diffusers")

from lib_faceid.hosts.diffusers.pipeline import Pipeline
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Unit

REQUEST = Request("a photo of a person", size_px=(64, 96), steps=5, cfg=4, seed=1)


@pytest.fixture
def job(family: str, miniature_adapter: Callable[..., Path]) -> Job:
    """One that acts in some steps only, so that going on at the wrong one is seen."""
    person = Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)) * 20)
    nobody: Any = None
    models = Models(lambda: [miniature_adapter("faceid", family)], nobody, nobody, lambda _: person)
    return Job([Unit(enabled=True, person="1", start=0.4, end=0.8)], models)


def test_it_goes_on_as_if_nothing_had_been_in_between(pipeline: Pipeline, job: Job) -> None:
    calls: list[int] = []
    handle = pipeline.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    told: list[int] = []
    with pipeline.attached(job) as attached:
        whole = np.asarray(pipeline.draw(REQUEST, attached))
        counted = len(calls)
        begun = pipeline.sketch(REQUEST, 2, attached, after_step=lambda step, _look: told.append(step))
        other = pipeline.sketch(Request(REQUEST.prompt, size_px=(64, 96), steps=5, cfg=4, seed=2), 3, attached)
        further = pipeline.sketch(REQUEST, 4, attached, after_step=lambda step, _look: told.append(step), begun=begun)
        calls_so_far = len(calls)
        finished = np.asarray(
            pipeline.draw(REQUEST, attached, after_step=lambda step, _look: told.append(step), begun=further)
        )
    handle.remove()
    assert np.array_equal(finished, whole)
    assert told == [1, 2, 3, 4, 5]
    assert calls_so_far == counted + 4 + 3
    assert len(calls) == counted * 2 + 3
    assert other.step == 3
    assert not torch.equal(other.latents, further.latents)
    assert "set_timesteps" not in vars(pipeline._diffusers.scheduler)
    assert "step" not in vars(pipeline._diffusers.scheduler)


def test_the_estimate_comes_nearer_to_the_end(pipeline: Pipeline, job: Job) -> None:
    with pipeline.attached(job) as attached:
        end = np.asarray(pipeline.draw(REQUEST, attached)).astype(float)
        looks = [pipeline.look_at(pipeline.sketch(REQUEST, step, attached)) for step in (1, 4)]
    early, late = (np.abs(np.asarray(look) - end).mean() for look in looks)
    assert late < early
    assert looks[0].size == (64, 96)
