"""ControlNets on our own host: diffusers' own pipelines of them are the oracle, on the miniatures of both families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from parity import Measure, relative
from torch import Tensor, nn

pytest.importorskip("diffusers", reason="diffusers is the oracle")

from plain_nets import as_ldm, drawn_by_diffusers, hint_image, net_for, write_net
from safetensors.torch import save_file

from lib_faceid.effects.net_file import net_file
from lib_faceid.hosts.diffusers.pipeline import Pipeline
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job
from lib_faceid.references.identity import Identity
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.unit import Unit

TOLERANCE = 1e-5  # relative, float32
TOLD_APART = 1e-4
STEPS = 5
REQUEST = Request("a photo of a person", "a bad photo", (64, 64), STEPS, 4, 1)
SHORT = replace(REQUEST, steps=2)  # of SDXL's miniature, which is slow


def missing(*_: object) -> NoReturn:
    raise AssertionError("nobody needs it")


class Studio:
    """One family's checkpoint, and two nets for it."""

    def __init__(self, pipeline: Pipeline, adapter: Path, folder: Path) -> None:
        self.pipeline = pipeline
        self.request = REQUEST if pipeline.family == "SD 1.5" else SHORT
        modules: dict[str, Any] = pipeline._diffusers.components
        self.modules = {name: one for name, one in modules.items() if one is not None and name != "image_encoder"}
        self.nets: list[nn.Module] = [net_for(pipeline.unet, seed) for seed in (3, 4)]
        names = ("pose.safetensors", "depth.safetensors")
        self.files = [write_net(net, folder / name) for net, name in zip(self.nets, names, strict=True)]
        person = Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)) * 20)
        self.models = Models(lambda: [adapter], missing, missing, lambda _: person)

    def unit(self, net: int = 0, picture: int = 1, **settings: Any) -> ControlUnit:
        given: dict[str, Any] = {"strength": 0.7, **settings}
        return ControlUnit(self.files[net], hint_image(seed=picture), **given)

    def drawn(self, *controls: ControlUnit, people: tuple[Unit, ...] = (), **asked: Any) -> Tensor:
        """Our latents."""
        request = replace(self.request, **asked)
        with self.pipeline.attached(Job(people, self.models, controls=controls)) as attached:
            return self.pipeline.sketch(request, request.steps, attached).latents

    def theirs(self, *of: tuple[int, int], **asked: Any) -> Tensor:
        """diffusers' latents, of pairs of net and picture."""
        request = {
            "prompt": REQUEST.prompt, "negative_prompt": REQUEST.negative, "width": 64, "height": 64, "seed": 1,
            "num_inference_steps": self.request.steps, "guidance_scale": 4.0,
            "controlnet_conditioning_scale": [0.7] * len(of),
        }  # fmt: skip
        asked = request | asked
        if len(of) == 1:
            asked["controlnet_conditioning_scale"] = asked["controlnet_conditioning_scale"][0]
        return drawn_by_diffusers(
            self.modules, [self.nets[net] for net, _ in of], [hint_image(seed=seed) for _, seed in of], **asked
        )


@pytest.fixture(scope="module")
def studio(
    family: str,
    pipeline: Pipeline,
    miniature_adapter: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Studio:
    folder = tmp_path_factory.mktemp("nets")
    return Studio(pipeline, miniature_adapter("faceid", family), folder)


@pytest.fixture(scope="module")
def alone(studio: Studio) -> Tensor:
    """One net at work."""
    return studio.drawn(studio.unit())


@pytest.fixture(scope="module")
def plain(studio: Studio) -> Tensor:
    return studio.drawn()


def test_the_same_picture_as_diffusers(studio: Studio, alone: Tensor, plain: Tensor, measure: Measure) -> None:
    expected = studio.theirs((0, 1))
    wrong = {
        "another picture": studio.drawn(studio.unit(picture=2)),
        "another strength": studio.drawn(studio.unit(strength=0.75)),
        "no net": plain,
    }
    measure(difference=relative(alone, expected), **{name: relative(one, expected) for name, one in wrong.items()})
    assert relative(alone, expected) < TOLERANCE
    assert min(relative(one, expected) for one in wrong.values()) > TOLD_APART


@pytest.fixture
def once(family: str) -> None:
    """What a family has no part in is tested with the faster one."""
    if family == "sdxl":
        pytest.skip("the same as for SD 1.5")


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.4, 0.8), (0.6, 1.0)])
@pytest.mark.usefixtures("once")
def test_start_and_end_are_diffusers_own(studio: Studio, start: float, end: float, measure: Measure) -> None:
    """Of five steps 0.5 is no multiple of one: the step that it lies in is left out."""
    expected = studio.theirs((0, 1), control_guidance_start=start, control_guidance_end=end)
    got = studio.drawn(studio.unit(start=start, end=end))
    measure(difference=relative(got, expected))
    assert relative(got, expected) < TOLERANCE
    other = studio.drawn(studio.unit(start=start, end=end + 0.3 if end < 0.6 else end - 0.2))
    assert relative(other, expected) > TOLD_APART


@pytest.mark.usefixtures("once")
def test_several_add_up(studio: Studio, alone: Tensor, measure: Measure) -> None:
    expected = studio.theirs((0, 1), (1, 2))
    got = studio.drawn(studio.unit(), studio.unit(1, 2))
    measure(difference=relative(got, expected))
    assert relative(got, expected) < TOLERANCE
    assert relative(alone, expected) > TOLD_APART


@pytest.mark.usefixtures("once")
def test_without_a_negative_side(studio: Studio, measure: Measure) -> None:
    expected = studio.theirs((0, 1), guidance_scale=1.0)
    got = studio.drawn(studio.unit(), cfg=1)
    measure(difference=relative(got, expected))
    assert relative(got, expected) < TOLERANCE


def test_the_older_layout_is_the_same_net(family: str, studio: Studio, alone: Tensor, tmp_path: Path) -> None:
    """With the prefix of lllyasviel's files, and as they are cut out: the same numbers, so the same picture."""
    published = studio.nets[0].state_dict()
    for number, prefix in enumerate(("control_model.", "")):
        path = tmp_path / f"control_{number}.safetensors"
        save_file(as_ldm(published, prefix), path)
        found = net_file(path).tensors
        assert found.keys() == published.keys()
        assert all(torch.equal(tensor, published[name]) for name, tensor in found.items())
    if family == "sd15":
        assert relative(studio.drawn(replace(studio.unit(), net=tmp_path / "control_0.safetensors")), alone) < TOLERANCE


@pytest.mark.usefixtures("once")
def test_off_is_off_and_nothing_stays(studio: Studio, plain: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("lib_faceid.jobs.controls", "lib_faceid.effects.control"):
        monkeypatch.setitem(sys.modules, name, None)  # an import would fail
    assert torch.equal(studio.drawn(studio.unit(strength=0.0)), plain)


@pytest.mark.usefixtures("once")
def test_beside_a_person_each_does_its_own(studio: Studio, alone: Tensor, plain: Tensor) -> None:
    person = (Unit(enabled=True, person="1", weight=0.8),)
    with_person, both = studio.drawn(people=person), studio.drawn(studio.unit(), people=person)
    assert min(relative(both, one) for one in (with_person, alone, plain)) > TOLD_APART
    late = studio.drawn(studio.unit(start=0.99), people=person)
    assert torch.equal(late, with_person)
    assert torch.equal(studio.drawn(), plain)


@pytest.mark.usefixtures("once")
def test_a_sketch_goes_on_as_if_nothing_had_been_in_between(studio: Studio) -> None:
    unit = studio.unit(start=0.3, end=0.9)
    whole = studio.drawn(unit)
    with studio.pipeline.attached(Job([], studio.models, controls=[unit])) as attached:
        begun = studio.pipeline.sketch(REQUEST, 3, attached)
        finished = studio.pipeline.sketch(REQUEST, STEPS, attached, begun=begun)
    assert torch.equal(finished.latents, whole)


@pytest.mark.usefixtures("once")
def test_what_was_applied_is_said_and_what_was_not(studio: Studio) -> None:
    person = Unit(enabled=True, person="1", start=0.99)
    job = Job([person], studio.models, controls=[studio.unit(end=0.5), studio.unit(1, strength=0.0)])
    with studio.pipeline.attached(job) as attached:
        assert "NOT applied" in job.report_controls(STEPS)[0]
        studio.pipeline.draw(REQUEST, attached)
    assert job.report_controls(STEPS) == ["FaceID control 0: pose · picture · strength 0.70 · steps 1-2 of 5"]
    (line,) = job.report(lambda one: one.plan(STEPS))
    assert "FaceID 0 was NOT applied" in line, "a net that acted is no person who did"


def test_a_small_net_and_a_shallow_one(family: str, studio: Studio, tmp_path: Path, measure: Measure) -> None:
    """SDXL's "small" reads no prompt, and its middle is one block; "mid" has fewer transformers. Keys alone tell."""
    if family == "sd15":
        pytest.skip("published for SDXL only")
    shapes: dict[str, dict[str, Any]] = {
        "small": {"down_block_types": ["DownBlock2D"] * 3, "mid_block_type": "UNetMidBlock2D"},
        "mid": {"transformer_layers_per_block": [0, 1, 1]},
    }
    for name, sizes in shapes.items():
        net = net_for(studio.pipeline.unet, 5, **sizes)
        path = write_net(net, tmp_path / f"{name}.safetensors")
        studio.nets.append(net)
        expected = studio.theirs((len(studio.nets) - 1, 1))
        got = studio.drawn(replace(studio.unit(), net=path))
        measure(**{name: relative(got, expected)})
        assert relative(got, expected) < TOLERANCE
        assert np.isfinite(got.numpy()).all()
