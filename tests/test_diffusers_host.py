"""diffusers as a host: who is drawn, how strongly and when, and that nothing stays in the UNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lib_faceid.adapters.adapter import load_adapter
from lib_faceid.errors import HostError
from lib_faceid.generation import Prepared
from lib_faceid.hosts.diffusers import Studio, load_studio
from lib_faceid.hosts.request import Request
from lib_faceid.people.identity import Identity
from lib_faceid.unet.injection import Contribution
from lib_faceid.unit import Unit

REQUEST = Request("a photo of a person", size_px=(64, 96), steps=3, cfg=4, seed=1)
Pixels = NDArray[np.int16]


def identity(seed: int) -> Identity:
    return Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(seed)) * 20)


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def studio(family: str, miniature_checkpoint: Callable[[str], Path]) -> Studio:
    return load_studio(miniature_checkpoint(family))


@pytest.fixture(scope="module")
def person(family: str, miniature_adapter: Callable[..., Path]) -> Prepared:
    adapter = load_adapter(miniature_adapter("faceid", family))
    return Prepared(0, Unit(enabled=True), Contribution(adapter, (identity(1),)))


def drawn(studio: Studio, *people: Prepared, request: Request = REQUEST) -> Pixels:
    with studio.person(people) as injection:
        return np.asarray(studio.draw(request, injection)).astype(np.int16)


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one - other).mean())


def changed(person: Prepared, **settings: float) -> Prepared:
    """The person with other settings of the contribution, and of the unit (its LoRA strength)."""
    acts = {name: value for name, value in settings.items() if name != "lora"}
    unit = replace(person.unit, **settings)
    return replace(person, unit=unit, contribution=replace(person.contribution, **acts))


def test_a_person_changes_the_picture_and_more_weight_changes_it_more(studio: Studio, person: Prepared) -> None:
    plain = drawn(studio)
    assert plain.shape == (96, 64, 3)
    assert 20 < plain.std() < 100
    assert ((plain > 0) & (plain < 255)).mean() > 0.8
    differences = [difference(drawn(studio, changed(person, weight=weight)), plain) for weight in (0.1, 0.4, 1.0)]
    assert 1 < differences[0] < differences[1] < differences[2]


def test_the_same_request_gives_the_same_picture(studio: Studio, person: Prepared) -> None:
    first = drawn(studio, person)
    assert difference(drawn(studio, person), first) == 0
    assert difference(drawn(studio, person, request=replace(REQUEST, seed=2)), first) > 5


def test_another_person_gives_another_picture(studio: Studio, person: Prepared) -> None:
    other = replace(person, contribution=replace(person.contribution, identities=(identity(2),)))
    assert difference(drawn(studio, other), drawn(studio, person)) > 1


def test_every_setting_matters(studio: Studio, person: Prepared) -> None:
    first = drawn(studio, person)
    for settings in ({"lora": 0.0}, {"start": 0.5}, {"end": 0.3}):
        assert difference(drawn(studio, changed(person, **settings)), first) > 0.2, settings


def test_up_to_cfg_1_there_is_no_negative_side(studio: Studio, person: Prepared) -> None:
    request = replace(REQUEST, cfg=1)
    with studio.person([person]) as injection:
        picture = np.asarray(studio.draw(request, injection)).astype(np.int16)
        assert injection.calls == request.steps
    assert difference(picture, drawn(studio, request=request)) > 1


def test_nothing_stays_in_the_unet(studio: Studio, person: Prepared) -> None:
    before = {name: tensor.clone() for name, tensor in studio.unet.state_dict().items()}
    plain = drawn(studio)

    def interrupted() -> None:
        with studio.person([person]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    drawn(studio, person)
    assert all(torch.equal(tensor, before[name]) for name, tensor in studio.unet.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in studio.unet.modules())
    assert difference(drawn(studio), plain) == 0


def test_numbers_that_are_none_are_no_picture(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = studio._pipeline.vae
    monkeypatch.setattr(vae, "decode", lambda latents, **_: (torch.full((1, 3, 96, 64), torch.nan),))
    with pytest.raises(HostError, match="no numbers"):
        studio.draw(REQUEST)
