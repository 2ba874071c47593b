"""Control units: what is typed, which files are refused and why, what a net is shown, what is written down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from lib_faceid.commands.control_options import controls_of
from lib_faceid.effects.controlnet import controlnet_of
from lib_faceid.effects.net_file import net_file
from lib_faceid.errors import FaceIDError, FileError, MismatchError, PhotoError, UnitError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.hints import draw_head, edges_in
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.controls import ready_controls
from lib_faceid.jobs.hint_pictures import PictureHint
from lib_faceid.miniature import write_controlnet
from lib_faceid.units.control import ControlUnit, control_from_infotext, control_key
from lib_faceid.units.region import WHOLE, Box
from lib_faceid.units.unit import Photo, Unit

SD15, SDXL, FLUX = 768, 2048, 4096


def of(text: str) -> tuple[str, str, str, float, float, float]:
    (one,) = controls_of([text])
    return str(one.net), str(one.picture or ""), one.hint, one.strength, one.start, one.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pose.pth:a.png", ("pose.pth", "a.png", "picture", 1, 0, 1)),
        ("pose:a.png:0.7", ("pose", "a.png", "picture", 0.7, 0, 1)),
        ("pose:a.png:1.5:0.1:0.8", ("pose", "a.png", "picture", 1.5, 0.1, 0.8)),
        ("canny:edges=me.jpg:.5", ("canny", "me.jpg", "edges", 0.5, 0, 1)),
        ("x:keypoints", ("x", "", "keypoints", 1, 0, 1)),
        ("x:head=me.jpg:2", ("x", "me.jpg", "head", 2, 0, 1)),
        ("x:./keypoints", ("x", "keypoints", "picture", 1, 0, 1)),
        (r"C:\m\pose.pth:D:\a.png:0.5", (r"C:\m\pose.pth", r"D:\a.png", "picture", 0.5, 0, 1)),
        (r"pose:edges=D:/a.png:0.5", ("pose", "D:/a.png", "edges", 0.5, 0, 1)),
        ("a:b", ("a", "b", "picture", 1, 0, 1)),
        ("1:2:0.5", ("1", "2", "picture", 0.5, 0, 1)),
    ],
)
def test_what_is_typed(text: str, expected: tuple[Any, ...]) -> None:
    assert of(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pose.pth", r"Control 0: 'pose.pth' was given, and FILE:IMAGE\[:strength\[:start:end\]\] was expected"),
        (":a.png", "was expected, such as pose.safetensors:pose.png:0.8"),
        ("pose:a.png:strong", "A file whose name holds a colon cannot be named here"),
        ("pose:a.png:0.5:0.1", "has 2 numbers; strength, or strength:start:end, was expected"),
        ("pose:a.png:1:0:1:1", "has 4 numbers"),
        ("pose:a.png:-1", "strength is -1.0; a number from 0 to 2 was expected"),
        ("pose:a.png:2.1", r"strength is 2\.1"),
        ("pose:a.png:1:0.5:0.5", r"start is 0\.5 and end 0\.5; start has to lie before end"),
        ("pose:a.png:1:0:1.2", r"end is 1\.2; a number from 0 to 1"),
        ("pose:edges=", "names no photo; edges=PHOTO was expected"),
        ("pose:a.png:1e999", "strength is inf"),
    ],
)
def test_what_cannot_be_typed(text: str, sentence: str) -> None:
    with pytest.raises(UnitError, match=sentence):
        controls_of([text])


def test_a_picture_is_needed_and_a_kind_that_is_known() -> None:
    with pytest.raises(UnitError, match="There is no picture to follow"):
        ControlUnit("pose")
    with pytest.raises(UnitError, match="hint is 'depth'; one of picture, edges"):
        ControlUnit("pose", "a.png", "depth")
    with pytest.raises(UnitError, match="No ControlNet is named"):
        ControlUnit(" ", "a.png")


def test_metadata_bring_the_settings_back() -> None:
    unit = ControlUnit("x", "a.png", "edges", 0.8, 0.1, 0.9)
    line = unit.infotext("my net, new", "ab" * 32)
    assert line == "net: my net%2C new, hint: edges, picture: abababab, strength: 0.8, start: 0.1, end: 0.9"
    found = control_from_infotext({control_key(1): line}, 1)
    assert found == {"net": "my net, new", "hint": "edges", "strength": 0.8, "start": 0.1, "end": 0.9}
    assert control_from_infotext({control_key(1): line}, 0) == {}
    for broken in ("", "net", "hint: edges", None, 5, ", ".join(["x"] * 9)):
        assert control_from_infotext({control_key(0): broken}, 0) == {}
    odd = "net: a, strength: 9e999, start: 7, end: -1, hint: depth"
    assert control_from_infotext({control_key(0): odd}, 0) == {"net": "a"}


# ------------------------------------------------------------------------------------------------------------- files
def missing(*_: object) -> NoReturn:
    raise AssertionError("nobody needs it")


MODELS = Models(tuple, missing, missing, missing)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_controlnet(tmp_path_factory.mktemp("nets") / "pose.safetensors", "sd15")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def refused(unit: ControlUnit, dim: int = SD15, models: Models = MODELS, people: tuple[Unit, ...] = ()) -> FaceIDError:
    with pytest.raises(FaceIDError) as error:
        ready_controls([unit], people, models, dim)
    assert str(error.value).startswith("Control 0: ")
    return error.value


ONE = torch.ones(2)


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"controlnet_cond_embedding.conv_in.weight": ONE, "control_add_embedding.linear_1.bias": ONE}, "Union"),
        ({"lora_controlnet": ONE, "input_hint_block.0.weight": ONE}, "is a Control-LoRA"),
        ({"lllite_unet_x.down.0.weight": ONE}, "is a ControlNet-LLLite"),
        ({"down_blocks.0.motion_modules.0.norm.weight": ONE}, "is a SparseCtrl"),
        ({"task_embedding": ONE, "spatial_feat_mapping.0.1.weight": ONE}, "is the fuser of CoAdapters"),
        ({"style_embedding": ONE}, "is a T2I-Adapter for styles"),
        ({"ip_adapter.1.to_k_ip.weight": ONE}, "is an adapter, which"),
        ({"controlnet_blocks.0.weight": ONE}, "SD 3, FLUX or another transformer"),
        ({"model.diffusion_model.out.0.weight": ONE}, "is a checkpoint"),
        ({"a": ONE}, r"is no ControlNet in diffusers' layout.*nor is it one in lllyasviel's"),
        ({"input_hint_block.0.weight": ONE, "zero_convs.0.0.weight": ONE}, "is no whole ControlNet"),
        ({"controlnet_cond_embedding.conv_in.weight": torch.ones(16, 4, 3, 3)}, "pictures of 4 channels, and 3 were"),
    ],
)
def test_other_files_are_called_by_their_names(tensors: dict[str, Tensor], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({key: tensor.clone() for key, tensor in tensors.items()}, path)
    with pytest.raises(FileError, match=rf"^some\.safetensors .*{sentence}"):
        controlnet_of(net_file(path).tensors, path.name, {})


def test_a_net_of_another_base_is_refused_before_a_checkpoint_is_loaded(net: Path, picture: Path) -> None:
    error = refused(ControlUnit(net, picture), SDXL)
    assert isinstance(error, MismatchError)
    assert "pose.safetensors is a ControlNet for SD 1.5, and the checkpoint is SDXL" in str(error)
    assert "is a ControlNet for a UNet, and FLUX.1 has none" in str(refused(ControlUnit(net, picture), FLUX))


def test_what_is_missing_or_not_meant_for_it(net: Path, picture: Path, tmp_path: Path) -> None:
    assert "There is no picture" in str(refused(ControlUnit(net, tmp_path / "none.png")))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert isinstance(refused(ControlUnit(net, broken)), PhotoError)
    identitynet = tmp_path / "InstantID" / "diffusion_pytorch_model.safetensors"
    identitynet.parent.mkdir()
    identitynet.write_bytes(net.read_bytes())
    assert "is IdentityNet, which reads the tokens of a face" in str(refused(ControlUnit(identitynet, picture)))
    pooled = tmp_path / "control_v11e_sd15_shuffle.safetensors"
    pooled.write_bytes(net.read_bytes())
    assert "whose maps are averaged" in str(refused(ControlUnit(pooled, picture)))
    few = replace(MODELS, carries=frozenset({"tokens"}))
    assert "A ControlNet or T2I-Adapter needs residuals" in str(refused(ControlUnit(net, picture), models=few))
    saved = Unit(enabled=True, person="Anna")
    assert "no unit has a photo or a pose photo. Name one: head=PHOTO" in str(
        refused(ControlUnit(net, None, "head"), people=(saved,))
    )


def test_a_folder_of_diffusers_gives_its_name(net: Path, picture: Path, tmp_path: Path) -> None:
    path = tmp_path / "controlnet-depth" / "diffusion_pytorch_model.safetensors"
    path.parent.mkdir()
    path.write_bytes(net.read_bytes())
    units = [ControlUnit(path, picture), ControlUnit(net, picture, strength=0), ControlUnit(net, picture, end=0.5)]
    first, second = ready_controls(units, (), MODELS, SD15)
    assert (first.name, second.number, second.name) == ("controlnet-depth", 2, "pose")
    assert second.plan(20) == "steps 1-10 of 20"
    short = hashlib.sha256(net.read_bytes()).hexdigest()[:10]
    assert first.infotext().startswith(f"net: controlnet-depth, file: {short}, hint: picture, picture: ")


# ---------------------------------------------------------------------------------------------------------- pictures
def test_a_picture_fills_the_canvas_and_keeps_its_shape() -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:40] = (255, 0, 0)
    pixels[:, 40:60] = (0, 255, 0)
    square = PictureHint(pixels).drawn((64, 64), WHOLE)
    assert square.shape == (64, 64, 3)
    assert (square[32, 10].tolist(), square[32, 50].tolist()) == ([255, 0, 0], [0, 255, 0])
    whole = PictureHint(pixels).drawn((160, 80), WHOLE)
    assert not whole[40, 5].any()
    assert [PictureHint(pixels).is_cut(size) for size in ((64, 64), (160, 80), (128, 72))] == [True, False, True]
    assert not PictureHint(np.zeros((513, 513, 3), np.uint8)).is_cut((512, 512))
    right = PictureHint(pixels).drawn((80, 80), Box(0.5, 0, 1, 1))
    assert np.array_equal(right, whole[:, 80:])
    same = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    theirs = Image.fromarray(same).resize((24, 32), Image.Resampling.LANCZOS)
    assert np.array_equal(PictureHint(same).drawn((24, 32), WHOLE), np.asarray(theirs)), "as diffusers scales it"


def test_edges_are_found_in_the_size_that_is_drawn() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, 16:] = 255
    drawn = PictureHint(pixels, has_edges_only=True).drawn((128, 128), WHOLE)
    assert set(np.unique(drawn)) == {0, 255}
    assert drawn[64, 60:68].any()
    assert not drawn[:, :50].any()
    assert np.array_equal(drawn, edges_in(PictureHint(pixels).drawn((128, 128), WHOLE)))


def test_a_head_is_drawn_as_openpose_draws_it() -> None:
    points = np.array([[40, 40], [80, 40], [60, 60], [45, 80], [75, 80]], np.float32)
    drawn = draw_head(points, (120, 100))
    assert drawn.shape == (100, 120, 3)
    assert [drawn[40, 40].tolist(), drawn[40, 80].tolist(), drawn[60, 60].tolist()] == [
        [170, 0, 255], [255, 0, 255], [255, 0, 0],
    ]  # fmt: skip
    assert [drawn[50, 50].tolist(), drawn[50, 70].tolist()] == [[51, 0, 153], [153, 0, 153]], "sticks, dimmed"
    assert not drawn[75:].any(), "a body's points have no mouth"
    far = draw_head(points * 1e9, (64, 64))
    assert far.shape == (64, 64, 3)


def test_the_faces_of_the_people_are_drawn_where_they_act(
    net: Path, data_folder: Path, analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    models = replace(MODELS, face_analyser=lambda: analyser)
    image = Photo(photo("astronaut.png"))
    people = [Unit(enabled=True, images=(image,), region=one) for one in ("left", "right")]

    def shown(unit: ControlUnit, *who: Unit, size_px: tuple[int, int] = (256, 128)) -> np.ndarray:
        (control,) = ready_controls([unit], who, models, SD15)
        (picture,) = control.guide.effect.pictures
        return picture.drawn(size_px, WHOLE)

    for hint in ("keypoints", "head"):
        asked = ControlUnit(net, None, hint)
        both, left = shown(asked, *people), shown(asked, people[0])
        assert left[:, :128].any()
        assert not left[:, 140:].any()
        assert both[:, 140:].any()
        auto = [replace(one, region="auto") for one in people]
        assert np.array_equal(shown(asked, *auto), both), "side by side"
        square = (128, 128)  # as the photo
        everywhere = shown(asked, replace(people[0], region="everywhere"), size_px=square)
        named = shown(replace(asked, picture=data_folder / "photos" / "astronaut.png"), size_px=square)
        assert np.array_equal(everywhere, named)
        wide = photo("astronaut.png")[100:300]
        (control,) = ready_controls([replace(asked, picture=Image.fromarray(wide))], (), models, SD15)
        assert control.picture.is_cut((128, 128))
        cut = control.picture.drawn((128, 128), WHOLE)
        inside = Image.fromarray(wide[:, 156:356])
        (control,) = ready_controls([replace(asked, picture=inside)], (), models, SD15)
        other = control.picture.drawn((128, 128), WHOLE)
        ours, theirs = (np.argwhere(one.any(axis=2)).mean(axis=0) for one in (cut, other))
        assert np.abs(ours - theirs).max() < 2, "as a picture that fills the canvas, so that edges and head agree"
        posed = replace(people[0], pose=photo("Luciano.png"))
        assert not np.array_equal(shown(asked, posed), left)
