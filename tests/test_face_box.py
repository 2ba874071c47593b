"""A face marked by hand: what a box means, how near it comes to the detector, and that no way around it is silent."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lib_faceid.commands.cli import main
from lib_faceid.errors import UnitError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.by_hand import points_in
from lib_faceid.faces.face import Face
from lib_faceid.faces.geometry import roll_degrees
from lib_faceid.people.library import People
from lib_faceid.references.joining import Look, join_photos
from lib_faceid.references.unit_identity import join_unit
from lib_faceid.ui.preview import preview
from lib_faceid.units.infotext import unit_from_infotext, unit_to_infotext
from lib_faceid.units.region import Box, which_face
from lib_faceid.units.unit import Unit

Photo = Callable[[str], np.ndarray]


def box_of(face: Face, image_rgb: np.ndarray) -> Box:
    """The detector's box as somebody would have drawn it."""
    height, width = image_rgb.shape[:2]
    x0, y0, x1, y1 = face.box
    return Box(x0 / width, y0 / height, x1 / width, y1 / height)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("text", ["box 0.25 0.1 0.75 0.6", " BOX  .25 .1 .75 .6 "])
def test_a_box_is_four_fractions(text: str) -> None:
    box = which_face(text)
    assert box == Box(0.25, 0.1, 0.75, 0.6)
    assert which_face(str(box)) == box


@pytest.mark.parametrize(
    "text", ["box", "box 1 2 3", "box a b c d", "box 0.1 0.1 1.2 0.5", "box 0.5 0.5 0.5 0.9", "box nan 0 1 1", "boxer"]
)
def test_what_is_no_box_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnitError, match=r"face is .* such as 'box 0\.3 0\.1 0\.6 0\.5'"):
        which_face(text)


def test_the_points_in_a_box_are_upright_and_inside() -> None:
    points = points_in(Box(0.25, 0.5, 0.75, 1), (400, 600))
    assert roll_degrees(points) < 1
    assert (points > [100, 300]).all()
    assert (points < [300, 600]).all()


def test_a_box_where_the_detector_sees_a_face_gives_nearly_the_same_identity(
    analyser: FaceAnalyser, photo: Photo
) -> None:
    for name in ("astronaut.png", "Chris.jpeg", "Luciano.png"):
        image_rgb = photo(name)
        (found,) = analyser.detect(image_rgb)
        marked = analyser.face_in(image_rgb, box_of(found, image_rgb))
        assert cosine(found.id_embedding, marked.id_embedding) > 0.95, name
        assert marked.score >= 0.5


@pytest.mark.parametrize("off", [(0.2, 0.2), (-0.2, 0.1), (0.1, -0.2)])
def test_a_box_that_is_off_by_a_fifth_finds_the_same_face(
    off: tuple[float, float], analyser: FaceAnalyser, photo: Photo
) -> None:
    image_rgb = photo("Chris.jpeg")
    (found,) = analyser.detect(image_rgb)
    box = box_of(found, image_rgb)
    x, y = off[0] * (box.right - box.left), off[1] * (box.bottom - box.top)
    moved = Box(box.left + x, box.top + y, box.right + x, box.bottom + y)
    assert cosine(found.id_embedding, analyser.face_in(image_rgb, moved).id_embedding) > 0.95


def test_a_marked_face_is_used_and_said_to_be_less_sure(analyser: FaceAnalyser, photo: Photo) -> None:
    joined = join_photos([photo("no_face.jpeg")], analyser=analyser, look=Look(Box(0.2, 0.2, 0.8, 0.8)))
    assert joined.identity.num_faces == 1
    assert "marked by hand" in " ".join(joined.messages)
    (use,) = joined.photos
    assert use.report is not None
    assert use.report.verdict != "good"


def test_a_box_is_for_one_photo(analyser: FaceAnalyser, photo: Photo) -> None:
    with pytest.raises(UnitError, match="for one photo, and there are 2"):
        join_photos([photo("Paul.jpeg"), photo("Paul2.jpeg")], analyser=analyser, look=Look(Box(0, 0, 1, 1)))


def test_page_and_api_take_the_same_face(analyser: FaceAnalyser, data_folder: Path) -> None:
    text = base64.b64encode((data_folder / "photos" / "Paul.jpeg").read_bytes()).decode()
    face = "box 0.2 0.1 0.9 0.7"
    seen = preview(text, analyser, face)
    joined = join_unit(Unit.from_dict({"image": text, "face": face}), analyser)
    assert seen.id_embedding is not None
    assert seen.id_embedding.equal(joined.identity.id_embeddings[0])
    assert seen.crop is not None


def test_metadata_carry_the_box() -> None:
    unit = Unit(enabled=True, face="box 0.25 0.1 0.75 0.6")
    assert unit_from_infotext(unit_to_infotext(unit, "a", "faceid"))[0]["face"] == unit.face


def test_a_person_is_saved_from_a_box_on_the_command_line(
    face_models: Path, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = str(data_folder / "photos" / "no_face.jpeg")
    command = [
        "face",
        "save",
        "A drawing",
        photo,
        "--face-models",
        str(face_models),
        "--faces",
        "people",
        "--thumbnail",
    ]
    assert main(command) == 2
    assert main([*command, "--face", "box 0.2 0.2 0.8 0.8"]) == 0
    assert People(Path("people")).names() == ("A drawing",)
    assert main(["identity", "--photo", photo, "--face-models", str(face_models), "--out", "one.safetensors"]) == 2
