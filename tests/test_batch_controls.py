"""Controls of a manifest: what a cell asks for, what is wrong in it, what counts in a key, what is drawn and sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_faceid.app.resources import Resources
from lib_faceid.batch import ray_engine
from lib_faceid.batch.address import Address
from lib_faceid.batch.casts import Cast
from lib_faceid.batch.drawer import Drawer
from lib_faceid.batch.here import known_here
from lib_faceid.batch.keys import Keys
from lib_faceid.batch.known import Known
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.planning import plan_of
from lib_faceid.batch.ray_engine import RayActor
from lib_faceid.batch.reading import Manifest
from lib_faceid.batch.webui_known import NO_CONTROLS
from lib_faceid.batch.worker import answer, unpack
from lib_faceid.commands.cli import main
from lib_faceid.errors import FaceIDError
from lib_faceid.miniature import write_controlnet
from lib_faceid.models.folders import Roots
from lib_faceid.models.hashes import Hashes

KNOWN = Known(lambda _: ("Anna",), ("one",), ("plus",), "one", nets=("pose", "depth"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures to follow, a photo, and a net."""
    for name in ("pose.png", "map.png", "me.jpg"):
        Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / name)
    (tmp_path / "own.safetensors").write_bytes(b"net")
    return tmp_path


def read(folder: Path, text: str, name: str = "m.csv", known: Known = KNOWN) -> tuple[list[Picture], list[str]]:
    """The pictures of a manifest, and its mistakes."""
    (folder / name).write_text(text)
    found = Manifest(folder / name, known)
    return [one for asked in found.asked() for one in asked.pictures()], [str(one) for one in found.mistakes.first]


def short(picture: Picture) -> list[tuple[Any, ...]]:
    paths = (Path(one["picture"]).name if one["picture"] else None for one in picture.controls)
    return [
        (Path(one["net"]).name, path, one["hint"], one["strength"], one["end"])
        for one, path in zip(picture.controls, paths, strict=True)
    ]


def test_a_cell_is_a_product_and_a_plus_joins(folder: Path) -> None:
    text = "prompt,seeds,control\nx,1-2,pose:pose.png:0.8:0:0.5 + depth:edges=map.png || own.safetensors:map.png || \n"
    found, wrong = read(folder, text)
    assert not wrong
    assert [short(one) for one in found[::2]] == [
        [("pose", "pose.png", "picture", 0.8, 0.5), ("depth", "map.png", "edges", 1.0, 1.0)],
        [("own.safetensors", "map.png", "picture", 1.0, 1.0)],
        [],
    ]
    assert found[2].controls[0]["net"] == str(folder / "own.safetensors"), "paths begin at the manifest's folder"
    rows = [["pose:pose.png:0.8:0:0.5", "depth:edges=map.png"], "own.safetensors:map.png", None]
    lines = json.dumps({"prompt": "x", "seeds": [1, 2], "control": rows})
    assert [one.controls for one in read(folder, lines, "m.jsonl")[0]] == [one.controls for one in found]
    together = "['pose:pose.png:0.8:0:0.5', 'depth:edges=map.png']"
    items = f"- {{prompt: x, seeds: [1, 2], control: [{together}, 'own.safetensors:map.png', '']}}"
    pytest.importorskip("yaml")
    assert [one.controls for one in read(folder, items, "m.yaml")[0]] == [one.controls for one in found]
    assert Picture.from_dict(json.loads(json.dumps(found[0].as_dict()))) == found[0]
    assert "controls" not in found[-1].as_dict(), "as it was before there were any"
    assert plan_of(Manifest(folder / "m.csv", KNOWN)).twice == 0


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("nothing:pose.png", "there is no ControlNet 'nothing'"),
        ("pos:pose.png", "Did you mean 'pose'?"),
        ("pose:none.png", "none.png cannot be read (No such file or directory)"),
        ("pose:m.csv", "m.csv is no picture"),
        ("pose:pose.png:3", "strength is 3.0; a number from 0 to 2 was expected"),
        ("pose:pose.png:1:0.5:0.5", "start has to lie before end"),
        ("pose", "'pose' was given, and FILE:IMAGE"),
        ("pose:head", "head draws the faces in the photos of a picture's people, and nobody here has a photo"),
    ],
)
def test_what_is_wrong_is_said_by_row_and_column(folder: Path, cell: str, sentence: str) -> None:
    found, wrong = read(folder, f"prompt,people,control\nx,Anna,pose:pose.png\ny,Anna,{cell}\nz,,depth:map.png\n")
    assert [one.prompt for one in found] == ["x", "z"]
    (only,) = wrong
    assert only.startswith("row 3, column control: ")
    assert sentence in only


def test_faces_of_photos_and_what_is_no_text(folder: Path) -> None:
    found, wrong = read(folder, "prompt,people,control\nx,me.jpg,pose:head:0.5\n")
    assert (not wrong, short(found[0])) == (True, [("pose", None, "head", 0.5, 1.0)])
    for raw in ({"net": "pose"}, 7, [[True]]):
        (only,) = read(folder, json.dumps({"prompt": "x", "control": raw}), "m.jsonl")[1]
        assert only.startswith("row 1, column control: ")
        assert "a text as --control takes it was expected" in only
    assert "the list is empty" in read(folder, '{"prompt": "x", "control": []}', "m.jsonl")[1][0]
    near = read(folder, "prompt,contrl\nx,pose:pose.png\n")[1][0]
    assert "Did you mean 'control'?" in near


def test_a_webui_has_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(KNOWN, no_controls=NO_CONTROLS)
    assert "has an extension of its own" in read(folder, "prompt,control\nx,pose:pose.png\n", known=known)[1][0]
    answers: dict[str, Any] = {
        "/sdapi/v1/sd-models": [{"model_name": "one", "title": "one"}],
        "/sdapi/v1/options": {},
        "/ip-adapter-faceid/faces": {"faces": [], "images": []},
        "/ip-adapter-faceid/models": {"adapters": []},
    }
    from lib_faceid.batch import webui_known

    monkeypatch.setattr(webui_known, "_ask", lambda _, route: answers[route])
    assert webui_known.known_there([Address.of("http://127.0.0.1:7860")]).no_controls == NO_CONTROLS


def test_bytes_of_net_and_picture_count_in_a_key(folder: Path) -> None:
    nets = folder / "models" / "ControlNet"
    (nets / "depth").mkdir(parents=True)
    for path in (nets / "pose.safetensors", nets / "depth" / "diffusion_pytorch_model.safetensors"):
        path.write_bytes(b"net")
    resources = Resources(Roots((folder / "models",)))
    assert set(known_here(resources).nets or ()) == {"pose", "depth", "depth/diffusion_pytorch_model"}

    def keys(*cells: str) -> list[str]:
        found, wrong = read(folder, "prompt,control\n" + "".join(f"x,{cell}\n" for cell in cells))
        assert not wrong
        make = Keys(resources, Hashes()).key
        return [make(one) for one in found]

    first, strength, hint, other, twice, off = keys(
        "pose:pose.png",
        "pose:pose.png:0.9",
        "pose:edges=pose.png",
        "depth:pose.png",
        "pose:pose.png + pose:pose.png",
        "",
    )
    assert len({first, strength, hint, other, twice, off}) == 6
    assert keys("") == [off]
    assert Keys(resources, Hashes()).key(Picture(2, 0, "x", 0, Cast("", ()), checkpoint="one", steps=25)) == off
    (nets / "pose.safetensors").write_bytes(b"another")
    (changed,) = keys("pose:pose.png")
    Image.new("RGB", (64, 64)).save(folder / "pose.png")
    assert len({first, changed, *keys("pose:pose.png")}) == 3


def test_its_picture_travels_to_a_node_that_has_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Picture] = []
    monkeypatch.setattr(ray_engine, "ready", lambda *_: None)
    monkeypatch.setattr(ray_engine, "answer", lambda _, picture: asked.append(picture) or b"")
    (picture,), _ = read(folder, "prompt,control\nx,pose:pose.png\n")
    (name,) = ray_engine._files_of(picture)
    content = Path(name).read_bytes()
    Path(name).unlink()
    actor = RayActor(Resources(Roots()), {})
    actor.draw(json.dumps(picture.as_dict()), [name], content)
    moved = Path(asked[0].controls[0]["picture"])
    assert (moved.name, moved.read_bytes(), str(moved) != name) == ("pose.png", content, True)


@pytest.mark.usefixtures("loaded_once", "no_network")
def test_it_is_what_generate_draws(
    folder: Path, miniature_checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, and its record says what it followed; a net of another base model is that picture's failure."""
    pytest.importorskip("diffusers", reason="pictures are drawn on diffusers")
    write_controlnet(folder / "models" / "ControlNet" / "pose.safetensors", "sd15")
    write_controlnet(folder / "models" / "ControlNet" / "big.safetensors", "sdxl")
    checkpoint = str(miniature_checkpoint("sd15"))
    resources = Resources(Roots((folder / "models",)), checkpoint=Path(checkpoint))
    text = "prompt,size,steps,cfg,seeds,control\nx,64x64,1,4,5,pose:edges=pose.png:0.8 || big:pose.png\n"
    (right, wrong), mistakes = read(folder, text, known=known_here(resources))
    assert not mistakes
    drawer = Drawer(resources)
    drawn = drawer.draw(right)
    assert drawn.record["controls"][0]["strength"] == 0.8
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("FACEID_MODELS", str(folder / "models"))
    asked = [
        "--prompt",
        "x",
        "--size",
        "64x64",
        "--steps",
        "1",
        "--cfg",
        "4",
        "--seed",
        "5",
        "--checkpoint",
        checkpoint,
    ]
    assert main(["generate", *asked, "--control", "pose:edges=pose.png:0.8", "--out", "out"]) == 0
    assert (folder / "out" / "seed5.png").read_bytes() == drawn.png
    with pytest.raises(FaceIDError, match=r"Control 0: big\.safetensors is a ControlNet for SDXL"):
        unpack(answer(drawer, wrong))
