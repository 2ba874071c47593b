"""What the page shows of a photo before anything is drawn: on real photos."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from lib_faceid.errors import PhotoError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.crops import clip_crop
from lib_faceid.faces.face import largest
from lib_faceid.pictures.photo import read_photo
from lib_faceid.ui.boxes import CHOSEN_RGB
from lib_faceid.ui.preview import preview, strangers, thumbnail


def text_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_a_portrait_is_good_and_shows_the_exact_crop(analyser: FaceAnalyser, data_folder: Path) -> None:
    path = data_folder / "photos" / "astronaut.png"
    shown = preview(text_of(path), analyser)
    face = largest(analyser.detect(read_photo(path)))
    assert (shown.num_faces, shown.number) == (1, 1)
    assert shown.verdict.startswith("good")
    assert f"{face.size_px} px, score {face.score:.2f}" in shown.facts
    assert np.array_equal(np.asarray(shown.crop), face.crop_rgb)
    assert (np.asarray(shown.image) == CHOSEN_RGB).all(axis=2).any(), "the chosen face is marked"


@pytest.mark.parametrize("sees", ["face", "head", "whole"])
def test_the_crop_is_what_clip_sees(analyser: FaceAnalyser, data_folder: Path, sees: str) -> None:
    path = data_folder / "photos" / "Paul.jpeg"
    image_rgb = read_photo(path)
    expected = clip_crop(image_rgb, largest(analyser.detect(image_rgb)).points, sees)  # pyright: ignore[reportArgumentType]
    shown = preview(text_of(path), analyser, sees=sees)  # pyright: ignore[reportArgumentType]
    assert np.array_equal(np.asarray(shown.crop), expected)


def test_a_face_of_a_group_is_chosen_by_its_number(analyser: FaceAnalyser, data_folder: Path) -> None:
    text = text_of(data_folder / "photos" / "solvay_conference_1927.png")
    second, biggest = preview(text, analyser, "2"), preview(text, analyser)
    assert second.number == 2
    assert "face 2 of 29" in second.facts
    assert biggest.number not in (None, 2)
    assert not np.array_equal(np.asarray(second.crop), np.asarray(biggest.crop))
    none = preview(text, analyser, "77")
    assert none.number is None
    assert none.hints == ("There is no face 77 in it: there are 29 faces. Choose 'largest' or a number that is there.",)


def test_no_face_is_said_with_what_to_do(analyser: FaceAnalyser, data_folder: Path) -> None:
    shown = preview(text_of(data_folder / "photos" / "no_face.jpeg"), analyser)
    assert (shown.verdict, shown.crop, shown.id_embedding) == ("no face", None, None)
    assert "Use a photo where the whole head is visible" in shown.hints[0]


def test_somebody_else_among_the_photos_is_named(analyser: FaceAnalyser, data_folder: Path) -> None:
    names = ("Paul.jpeg", "Paul2.jpeg", "Chris.jpeg", "no_face.jpeg")
    shown = [preview(text_of(data_folder / "photos" / name), analyser) for name in names]
    assert list(strangers(shown)) == [2]
    assert strangers(shown[:2]) == {}
    assert strangers([shown[0], None]) == {}


def test_what_is_no_picture_is_refused(analyser: FaceAnalyser) -> None:
    for look in (lambda: preview("bm90aGluZw==", analyser), lambda: thumbnail("bm90aGluZw==")):
        with pytest.raises(PhotoError):
            look()
