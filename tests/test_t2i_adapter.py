"""T2I-Adapters on our own host: diffusers' own pipelines of them are the oracle, on the miniatures of both families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import torch
from parity import Measure, relative
from PIL import Image
from torch import Tensor, nn

pytest.importorskip("diffusers", reason="diffusers is the oracle")

from plain_nets import drawn_by_diffusers, hint_image, net_for, write_net
from safetensors.torch import save_file
from t2i_nets import adapter_for, added_by_hand, as_tencent, drawn_with, grey_image

from lib_faceid.effects.net_file import net_file
from lib_faceid.effects.t2i_adapter import T2IAdapter, t2i_adapter_of
from lib_faceid.errors import FaceIDError, FileError
from lib_faceid.hosts.diffusers.pipeline import Pipeline
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job
from lib_faceid.references.identity import Identity
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.unit import Unit

TOLERANCE = 1e-5  # relative, float32
TOLD_APART = 1e-4
REQUEST = Request("a photo of a person", "a bad photo", (64, 64), 4, 4, 1)
SCALE = 0.7
PERSON = (Unit(enabled=True, person="1", weight=0.8),)


def missing(*_: object) -> NoReturn:
    raise AssertionError("nobody needs it")


class Studio:
    """One family's checkpoint, and adapters for it."""

    def __init__(self, pipeline: Pipeline, adapter: Path, folder: Path) -> None:
        self.pipeline, self.folder = pipeline, folder
        self.request = replace(REQUEST, steps=1) if pipeline.family == "SDXL" else REQUEST  # it is slow
        modules: dict[str, Any] = pipeline._diffusers.components
        self.modules = {name: one for name, one in modules.items() if one is not None and name != "image_encoder"}
        person = Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)) * 20)
        self.models = Models(lambda: [adapter], missing, missing, lambda _: person)
        self.nets: dict[str, nn.Module] = {}

    def file(self, name: str, *, is_tencent: bool = False, **kind: Any) -> Path:
        """The file of an adapter, which is made once."""
        if name not in self.nets:
            self.nets[name] = adapter_for(self.pipeline.unet, **kind)
        path = self.folder / f"{name}{'.pth' if is_tencent else '.safetensors'}"
        if is_tencent and not path.exists():
            torch.save(as_tencent(self.nets[name].state_dict()), path)
        return path if path.exists() else write_net(self.nets[name], path)

    def drawn(self, *controls: ControlUnit, people: tuple[Unit, ...] = (), **asked: Any) -> Tensor:
        """Our latents."""
        request = replace(self.request, **asked)
        with self.pipeline.attached(Job(people, self.models, controls=controls)) as attached:
            return self.pipeline.sketch(request, request.steps, attached).latents

    def asked(self, **asked: Any) -> dict[str, Any]:
        """What diffusers' pipelines are asked for."""
        return {
            "prompt": REQUEST.prompt, "negative_prompt": REQUEST.negative, "width": 64, "height": 64, "seed": 1,
            "num_inference_steps": self.request.steps, "guidance_scale": 4.0, **asked,
        }  # fmt: skip

    def theirs(self, *of: tuple[str, Image.Image], **asked: Any) -> Tensor:
        """diffusers' latents, of pairs of adapter and picture."""
        scale = SCALE if len(of) == 1 else [SCALE] * len(of)
        given = self.asked(**{"adapter_conditioning_scale": scale, **asked})
        return drawn_with(self.modules, [self.nets[name] for name, _ in of], [image for _, image in of], **given)


SMALL = SimpleNamespace(config={"block_out_channels": (32, 64, 64), "addition_embed_type": None})


def unit(path: Path, image: Any = None, **settings: Any) -> ControlUnit:
    given: dict[str, Any] = {"strength": SCALE, **settings}
    return ControlUnit(path, image or hint_image(), **given)


@pytest.fixture(scope="module")
def studio(
    pipeline: Pipeline, family: str, miniature_adapter: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Studio:
    return Studio(pipeline, miniature_adapter("faceid", family), tmp_path_factory.mktemp("t2i"))


@pytest.fixture(scope="module")
def plain(studio: Studio) -> Tensor:
    return studio.drawn()


@pytest.fixture
def once(family: str) -> None:
    """What a family has no part in is tested with the faster one."""
    if family == "sdxl":
        pytest.skip("the same as for SD 1.5")


def test_the_same_picture_as_diffusers(studio: Studio, plain: Tensor, measure: Measure) -> None:
    """In both layouts, with the names of each; another picture and another strength are told apart."""
    path = studio.file("full")
    expected = studio.theirs(("full", hint_image()))
    got, older = studio.drawn(unit(path)), studio.drawn(unit(studio.file("full", is_tencent=True)))
    wrong = {
        "another picture": studio.drawn(unit(path, hint_image(seed=2))),
        "another strength": studio.drawn(unit(path, strength=0.75)),
        "no adapter": plain,
    }
    measure(difference=relative(got, expected), **{name: relative(one, expected) for name, one in wrong.items()})
    assert relative(got, expected) < TOLERANCE
    assert torch.equal(older, got)
    assert min(relative(one, expected) for one in wrong.values()) > TOLD_APART


@pytest.mark.parametrize("is_tencent", [False, True])
@pytest.mark.usefixtures("once")
def test_a_light_one(studio: Studio, measure: Measure, is_tencent: bool) -> None:
    path = studio.file("light", kind="light", is_tencent=is_tencent)
    expected, got = studio.theirs(("light", hint_image())), studio.drawn(unit(path))
    measure(difference=relative(got, expected))
    assert relative(got, expected) < TOLERANCE


def test_a_grey_picture_for_an_adapter_that_sees_one(studio: Studio, measure: Measure) -> None:
    path = studio.file("sketch", channels=1)
    expected = studio.theirs(("sketch", grey_image()))
    got = studio.drawn(unit(path, grey_image()))
    coloured = studio.drawn(unit(path))
    measure(difference=relative(got, expected))
    assert relative(got, expected) < TOLERANCE
    as_grey = studio.drawn(unit(path, hint_image().convert("L")))
    assert torch.equal(coloured, as_grey), "a coloured picture is made grey as Pillow makes it"


def test_acting_in_some_of_the_steps(studio: Studio, family: str, measure: Measure) -> None:
    """SDXL's pipeline ends at its factor; for a start its UNet is given the maps by hand."""
    path = studio.file("full")
    if family == "sdxl":
        expected = studio.theirs(("full", hint_image()), adapter_conditioning_factor=0.7, num_inference_steps=2)
        got = studio.drawn(unit(path, end=0.7), steps=2)
    else:
        with added_by_hand(studio.pipeline.unet, studio.nets["full"], hint_image(), SCALE, [1, 2]):
            expected = studio.drawn()
        got = studio.drawn(unit(path, start=0.2, end=0.8))
    whole = studio.drawn(unit(path), steps=2 if family == "sdxl" else 4)
    measure(difference=relative(got, expected), whole=relative(whole, expected))
    assert relative(got, expected) < TOLERANCE
    assert relative(whole, expected) > TOLD_APART


@pytest.mark.usefixtures("once")
def test_several_add_up_and_without_a_negative_side(studio: Studio, measure: Measure) -> None:
    first, second = studio.file("full"), studio.file("light", kind="light")
    pictures = hint_image(), hint_image(seed=2)
    studio.file("other", seed=4)
    expected = studio.theirs(("full", pictures[0]), ("other", pictures[1]))
    got = studio.drawn(unit(first, pictures[0]), unit(studio.file("other"), pictures[1]))
    alone = studio.theirs(("full", pictures[0]), guidance_scale=1.0)
    positive = studio.drawn(unit(first), cfg=1)
    measure(two=relative(got, expected), positive=relative(positive, alone))
    assert relative(got, expected) < TOLERANCE
    assert relative(positive, alone) < TOLERANCE
    mixed = studio.drawn(unit(first), unit(second, pictures[1]))
    assert relative(mixed, expected) > TOLD_APART


def test_beside_a_person_and_a_controlnet(studio: Studio, family: str, measure: Measure) -> None:
    """The maps of diffusers' adapter are given by hand to a pipeline that is proven without them."""
    path, picture = studio.file("full"), hint_image(seed=2)
    steps = range(studio.request.steps)
    with added_by_hand(studio.pipeline.unet, studio.nets["full"], picture, SCALE, steps):
        with_person = studio.drawn(people=PERSON)
    got = {"person": (studio.drawn(unit(path, picture), people=PERSON), with_person)}
    if family == "sd15":
        net = net_for(studio.pipeline.unet)
        pose = write_net(net, studio.folder / "pose.safetensors")
        with added_by_hand(studio.pipeline.unet, studio.nets["full"], picture, SCALE, steps):
            with_net = drawn_by_diffusers(
                studio.modules, [net], [hint_image()], **studio.asked(controlnet_conditioning_scale=SCALE)
            )
        with added_by_hand(studio.pipeline.unet, studio.nets["full"], picture, SCALE, steps):
            with_all = studio.drawn(unit(pose), people=PERSON)
        got["net"] = studio.drawn(unit(pose), unit(path, picture)), with_net
        got["all"] = studio.drawn(unit(path, picture), unit(pose), people=PERSON), with_all
    measure(**{name: relative(*pair) for name, pair in got.items()})
    assert max(relative(*pair) for pair in got.values()) < TOLERANCE


@pytest.mark.usefixtures("once")
def test_it_runs_once_for_a_job_and_leaves_nothing(
    studio: Studio, plain: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the steps and the pictures of a job."""
    runs: list[int] = []
    forward = T2IAdapter.forward
    monkeypatch.setattr(T2IAdapter, "forward", lambda net, x: runs.append(len(x)) or forward(net, x))
    asked = unit(studio.file("full"))
    with studio.pipeline.attached(Job([], studio.models, controls=[asked])) as attached:
        for seed in (1, 2):
            studio.pipeline.sketch(replace(studio.request, seed=seed), 4, attached)
    assert runs == [1]
    assert torch.equal(studio.drawn(), plain)
    assert torch.equal(studio.drawn(replace(asked, strength=0.0)), plain)


def test_what_was_applied_is_said(studio: Studio) -> None:
    job = Job([], studio.models, controls=[unit(studio.file("full"), end=0.5)])
    with studio.pipeline.attached(job) as attached:
        assert "NOT applied" in job.report_controls(2)[0]
        uneven = replace(studio.request, size_px=(72, 88), steps=2)  # no multiple of 16, which one for SDXL makes one
        assert torch.isfinite(studio.pipeline.sketch(uneven, 1, attached).latents).all()
    assert job.report_controls(2) == ["FaceID control 0: full · picture · strength 0.70 · steps 1-1 of 2"]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("adapter.conv_in.weight", (32, 65, 3, 3)),
        ("adapter.conv_in.weight", (32,)),
        ("adapter.conv_in.weight", None),
        ("adapter.body.1.in_conv.weight", (64, 31, 1, 1)),
        ("adapter.body.0.resnets.1.block2.weight", None),
        ("adapter.body.99999999.in_conv.weight", (1, 1, 1, 1)),
        ("adapter.body.x.in_conv.weight", (1,)),
        ("more.weight", (1,)),
        ("adapter.body.0.resnets.0.block1.weight", (0, 0, 0, 0)),
    ],
)
def test_a_damaged_file_is_said(name: str, shape: tuple[int, ...] | None) -> None:
    state = adapter_for(SMALL).state_dict()
    state.pop(name, None)
    state |= {} if shape is None else {name: torch.zeros(shape)}
    with pytest.raises(FileError, match=r"^a net is no whole T2I-Adapter in diffusers' or TencentARC's layout"):
        t2i_adapter_of(state, "a net")


def test_an_adapter_for_another_unet_is_refused(studio: Studio, family: str, tmp_path: Path) -> None:
    state = adapter_for(studio.pipeline.unet).state_dict()
    first = "adapter.conv_in.weight"  # by what it reads, it is of the other base model now
    state[first] = state[first][:, :192] if family == "sdxl" else state[first].repeat(1, 4, 1, 1)
    path = tmp_path / "other.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    other, own = ("SDXL", "SD 1.5") if family == "sd15" else ("SD 1.5", "SDXL")
    with pytest.raises(FaceIDError, match=f"is a T2I-Adapter for {other}, and the checkpoint is {own}"):
        Job([], studio.models, controls=[unit(path)]).controls_for(768 if family == "sd15" else 2048)
    with pytest.raises(FaceIDError, match=r"is a T2I-Adapter for another UNet: its maps are .* at 1/"):
        net_file(path).t2i_adapter(studio.pipeline.unet)
