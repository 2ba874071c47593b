"""ControlNets on the command line, from the arguments to the file and what is written down of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("diffusers", reason="pictures are drawn on diffusers")

from lib_faceid.app.again import again
from lib_faceid.app.aiming import Aiming
from lib_faceid.app.last_pictures import LastPictures
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import Session
from lib_faceid.commands.cli import main
from lib_faceid.errors import MissingModelError, UnitError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.journal.run import Drawn, Run
from lib_faceid.miniature import write_controlnet
from lib_faceid.models.folders import Roots, find_nets
from lib_faceid.models.hashes import file_sha256
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.parameters import parameters_from
from lib_faceid.units.unit import Unit

pytestmark = pytest.mark.usefixtures("no_network", "loaded_once")
QUICK = ["--prompt", "a garden", "--size", "64x64", "--steps", "2", "--seed", "5"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nets in `models`, and a picture."""
    folder = tmp_path_factory.mktemp("home")
    nets = folder / "models" / "ControlNet"
    write_controlnet(nets / "pose.safetensors", "sd15")
    write_controlnet(nets / "depth" / "diffusion_pytorch_model.safetensors", "sd15", seed=1)
    Image.effect_noise((64, 64), 90).convert("RGB").save(folder / "pose.png")
    return folder


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home / "home"))
    for name in ("FACEID_MODELS", "FACEID_FACE_MODELS", "FACEID_CLIP_VISION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def resources(home: Path, miniature_checkpoint: Callable[[str], Path]) -> Resources:
    return Resources(Roots((home / "models",)), checkpoint=miniature_checkpoint("sd15"))


def test_a_picture_with_nobody_in_it(
    tmp_path: Path, miniature_checkpoint: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(name: str, *controls: str) -> tuple[np.ndarray, dict[str, str], str]:
        given = [part for one in controls for part in ("--control", one)]
        checkpoint = ["--checkpoint", str(miniature_checkpoint("sd15"))]
        assert main(["generate", *QUICK, *checkpoint, *given, "--out", str(tmp_path / name)]) == 0
        image = Image.open(tmp_path / name / "seed5.png")
        return np.asarray(image), parameters_from(image.info["parameters"]), capsys.readouterr().out

    pose = Path("models/ControlNet/pose.safetensors")
    two, told, said = drawn("two", "pose:edges=pose.png:0.8:0:0.5", "depth/diffusion_pytorch_model:pose.png")
    assert told["FaceID control 0"].startswith(f"net: pose, file: {file_sha256(pose)[:10]}, hint: edges, picture: ")
    assert told["FaceID control 0"].endswith("strength: 0.8, start: 0, end: 0.5")
    assert told["FaceID control 1"].startswith("net: depth, file: ")
    assert "ControlNet: pose (edges)" in said
    assert "FaceID control 0: pose · edges · strength 0.80 · steps 1-1 of 2" in said
    assert "was cut" not in said
    Image.new("RGB", (96, 64)).save(tmp_path / "wide.png")
    _, _, said = drawn("cut", f"pose:{tmp_path / 'wide.png'}")
    assert "steps 1-2 of 2 · its picture was cut to the shape of this one" in said
    off, told, said = drawn("off", "pose:pose.png:0")
    assert "FaceID control 0: off, the strength is 0" in said
    assert not [name for name in told if "control" in name]
    assert not np.array_equal(two, off)


@pytest.mark.parametrize(
    ("control", "sentence"),
    [
        ("none:pose.png", "Control 0: There is no ControlNet none. Name its file, or put it into"),
        ("pose:none.png", "Control 0: There is no picture none.png"),
        ("pose", "Control 0: 'pose' was given"),
        ("pose:head", "Control 0: head draws the faces in your people's photos"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(
    control: str, sentence: str, miniature_checkpoint: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = ["--checkpoint", str(miniature_checkpoint("sd15"))]
    assert main(["generate", *QUICK, *checkpoint, "--control", control]) == 2
    assert sentence in capsys.readouterr().err


def test_nets_are_found_by_their_names_and_folders(home: Path, resources: Resources) -> None:
    nets = home / "models" / "ControlNet"
    assert find_nets(resources.roots) == {
        "depth/diffusion_pytorch_model": nets / "depth" / "diffusion_pytorch_model.safetensors",
        "pose": nets / "pose.safetensors",
    }
    assert resources.control_file("pose") == resources.control_file(nets / "pose.safetensors")
    assert resources.control_file("depth") == resources.control_file(nets / "depth"), "a folder of diffusers"
    for name in ("nothing", str(nets / "pose.safetensors"), "../ControlNet/pose"):
        with pytest.raises(MissingModelError, match=f"There is no ControlNet {name}"):  # a page names no path
            resources.control_file(name)


def test_what_is_drawn_at_weight_0_follows_the_net_too(home: Path, resources: Resources) -> None:
    """Or the diagnosis would take the net's doing for the person's."""
    session, request = Session(resources), Request("a garden", size_px=(64, 64), steps=2, seed=5)
    control = ControlUnit("pose", home / "pose.png")
    checkpoint = resources.find_checkpoint()
    job = session.job([], request, [control])
    (generated,) = session.draw(checkpoint, job, [request])
    last = LastPictures(session)
    last.keep(job, [generated], checkpoint)
    last.draw_plain(generated.parameters)
    assert last._controls == [control]
    aiming = Aiming(session, checkpoint, [Unit()], request, controls=[control])
    assert np.array_equal(aiming._picture("weight", 0.5), np.asarray(generated.image))


def test_a_run_that_followed_a_picture_is_not_drawn_again_without_it(resources: Resources) -> None:
    settings = {"Size": "64x64", "Steps": "2", "CFG scale": "4"}
    run = Run("a garden", "", settings, (), (Drawn(5),))
    assert again(run, resources).requests
    with pytest.raises(UnitError, match="followed a control picture, which is not kept"):
        again(replace(run, settings={**settings, "FaceID control 0": "net: pose"}), resources)
