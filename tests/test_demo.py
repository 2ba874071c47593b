"""The demo: sheet and report, with face models and without, and what it offers."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_faceid.app import resources as standalone
from lib_faceid.app.beginnings import beginning
from lib_faceid.commands import demo
from lib_faceid.commands.cli import main
from lib_faceid.errors import DownloadError
from lib_faceid.miniature.trained import MEASURED

RISE = 0.15

pytestmark = pytest.mark.usefixtures("no_network", "loaded_once")


@pytest.fixture(autouse=True)
def a_machine_without_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name in ("FACEID_MODELS", "FACEID_FACE_MODELS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def only_two_pictures(monkeypatch: pytest.MonkeyPatch, trained_checkpoint: Path) -> None:
    """Two pictures of two steps, by a miniature that is put together already."""
    monkeypatch.setattr(demo, "WEIGHTS", (0.0, 0.8))
    monkeypatch.setattr(demo, "beginning", lambda name: replace(beginning(name), steps=2))

    def link(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(trained_checkpoint)

    monkeypatch.setattr(demo, "write_trained_checkpoint", link)


def report() -> dict:
    return json.loads(Path("out/demo/report.json").read_text(encoding="utf-8"))


@pytest.mark.slow("the whole demo, as a newcomer runs it: four pictures of twenty steps")
def test_one_photo_four_pictures_one_sheet(face_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--face-models", str(face_models)]) == 0
    said = report()
    assert "robin.jpg" in said["photo"]["source"]
    assert said["face"]["score"] > 0.6
    assert said["adapter"] == "ip-adapter-faceid_sd15_miniature"
    assert (said["variant"], said["layers_injected"]) == ("faceid", 16)
    pictures = said["pictures"]
    assert [picture["weight"] for picture in pictures] == [0, 0.2, 0.4, 0.8]
    for picture in pictures:
        path = Path("out/demo") / picture["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == picture["sha256"]
        pixels = np.asarray(Image.open(path))
        assert pixels.std() > 15  # something can be seen on it
    differences = [picture["mean_difference"] for picture in pictures]
    assert differences[0] == 0
    assert min(differences[1:]) > 2
    likeness = [picture["likeness"] or 0 for picture in pictures]
    assert likeness == sorted(likeness), "more weight, more likeness"
    assert likeness[3] > likeness[0] + RISE, "it is who was asked for"
    shipped = json.loads(MEASURED.read_text(encoding="utf-8"))["robin"]
    assert likeness == pytest.approx([shipped[f"{weight:g}"] for weight in demo.WEIGHTS], abs=0.05)
    out = capsys.readouterr().out
    assert out.count("16 layers") == 3
    assert "trained on" not in out, "these vectors are those of its own recogniser"
    assert Image.open("out/demo/sheet.png").width > 5 * 300


@pytest.mark.usefixtures("only_two_pictures")
def test_without_face_models_it_goes_on_with_the_shipped_identity(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    said = capsys.readouterr().out
    assert "289 MB from https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip" in said
    assert "Nothing was downloaded" in said
    assert "Going on with the identity of robin.jpg that ships with the project" in said
    assert "The likeness is what was measured when the miniature was trained" in said
    assert report()["face"] is None
    assert report()["photo"]["source"] == "robin.identity.safetensors"
    assert report()["pictures"][1]["mean_difference"] > 2
    shipped = json.loads(MEASURED.read_text(encoding="utf-8"))["robin"]
    assert report()["pictures"][1]["likeness"] == shipped["0.8"], "nobody is here to look"
    assert report()["pictures"][1]["is_likeness_shipped"]
    assert "as shipped" in said


@pytest.mark.usefixtures("only_two_pictures")
def test_a_photo_of_the_users(face_models: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = data_folder / "photos" / "Chris.jpeg"
    assert main(["demo", "--photo", str(photo), "--face-models", str(face_models)]) == 0
    said = capsys.readouterr().out
    assert "The miniature draws strangers roughly" in said
    assert "The likeness to your photo is " in said or "No face was found" in said
    assert report()["photo"]["source"] == "Chris.jpeg"


@pytest.mark.usefixtures("only_two_pictures")
def test_offline_it_goes_on_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise DownloadError("github.com could not be reached.")

    monkeypatch.setattr(standalone, "offer", offline)
    assert main(["demo", "--yes"]) == 0
    assert "github.com could not be reached.\nGoing on with the identity of robin.jpg" in capsys.readouterr().out


def test_nobody_else_is_drawn_instead_of_the_users_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "me.png")
    assert main(["demo", "--photo", "me.png"]) == 2
    assert "There are no face models" in capsys.readouterr().err


def test_a_photo_without_a_face_is_said(face_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "me.png")
    assert main(["demo", "--photo", "me.png", "--face-models", str(face_models)]) == 2
    assert "No face found" in capsys.readouterr().err


def test_a_checkpoint_needs_its_adapter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--checkpoint", "some.safetensors"]) == 2
    assert "go together" in capsys.readouterr().err
