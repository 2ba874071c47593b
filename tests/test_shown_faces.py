"""Faces as one sees them: boxes that cover nobody, the strip of faces, a unit for each person, the line of truth."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib_faceid.errors import HostError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.analysis import analyse
from lib_faceid.ui.boxes import with_boxes
from lib_faceid.ui.preview import FaceSeen, Preview, View, people_in, preview
from lib_faceid.units.unit import Unit

gr = pytest.importorskip("gradio")

from lib_faceid.ui.face_strip import faces_html, people_html  # noqa: E402
from lib_faceid.ui.photos import LARGEST, show  # noqa: E402
from lib_faceid.ui.saved_card import saved_html  # noqa: E402
from lib_faceid.ui.services import Foreseen, Known, Services  # noqa: E402
from lib_faceid.ui.spreading import shares  # noqa: E402
from lib_faceid.ui.truth import truth_html  # noqa: E402

ONE, OTHER = torch.eye(512)[0], torch.eye(512)[1]
PHOTOS = [{"image": text, "weight": 1.0} for text in ("one", "other", "one again")]


def seen(embedding: torch.Tensor | None = ONE, hints: tuple[str, ...] = (), faces: int = 1) -> Preview:
    crop = Image.new("RGB", (112, 112))
    every = tuple(FaceSeen(number, crop, "good (0.90)") for number in range(1, faces + 1)) if faces > 1 else ()
    verdict, score = ("usable (0.60)", 0.6) if hints else ("good (0.90)", 0.9)
    return Preview(crop, faces, 1, verdict, "100 px", hints, crop, embedding, every, score, "w600k_mbf-12345678")


def services(**more: object) -> Services:
    looks = {"one": seen(), "other": seen(OTHER), "one again": seen()}
    return Services(
        look=lambda photo, _view: looks[photo],
        foresee=lambda *_: Foreseen("ip-adapter-faceid_sd15", "FaceID", "w600k_r50", ""),
        known_of=lambda name: Known(2, (0.7, 0.95), "2026-11-26", "w600k_r50"),
        **more,  # pyright: ignore[reportArgumentType]
    )


def test_numbers_of_a_group_cover_nobody(data_folder: Path, analyser: FaceAnalyser) -> None:
    """Of 29 faces, no face has a pixel changed inside its frame."""
    image_rgb = read_photo(data_folder / "photos" / "solvay_conference_1927.png")
    boxes = [face.box for face in analyse(image_rgb, analyser).faces]
    marked = np.asarray(with_boxes(image_rgb, boxes, 7))
    plain = Image.fromarray(image_rgb)
    plain.thumbnail((1024, 1024))
    scale = plain.width / image_rgb.shape[1]
    assert len(boxes) == 29
    assert not np.array_equal(marked, np.asarray(plain))
    for box in boxes:
        left, top, right, bottom = (round(edge * scale) for edge in box)
        inside = np.s_[top + 6 : bottom - 6, left + 6 : right - 6]
        assert np.array_equal(marked[inside], np.asarray(plain)[inside]), box


def test_a_group_photo_has_all_its_faces_large_enough(data_folder: Path, analyser: FaceAnalyser) -> None:
    content = (data_folder / "photos" / "solvay_conference_1927.png").read_bytes()
    look = preview(base64.b64encode(content).decode(), analyser, "7")
    assert [face.number for face in look.faces] == [*range(1, 30)]
    assert all(min(face.crop.size) >= 96 for face in look.faces)
    html = faces_html(look)
    assert re.findall(r'data-faceid-asks="face:(\d+)" aria-pressed="true"', html) == ["7"]
    assert html.count("<img") == html.count('type="checkbox"') == 29


def test_a_portrait_has_no_strip_and_no_question() -> None:
    assert faces_html(seen()) == faces_html(None) == people_html(1) == ""


def test_photos_of_two_people_are_a_question_and_no_green_card() -> None:
    shown = show(services(), PHOTOS, View())
    assert people_in([seen(), seen(OTHER), None, seen()]) == [[0, 2, 3], [1]]
    assert "seem to show 2 people" in shown.cards
    assert 'data-faceid-asks="people"' in shown.cards
    assert shown.cards.count("another person?") == 1
    assert "another person?" not in show(services(), [PHOTOS[0], PHOTOS[2]], View()).cards


def test_a_unit_for_each() -> None:
    faces = shares(services(), PHOTOS[:1], [7, 3], View())
    assert [(one.face, one.region, len(one.photos)) for one in faces] == [("3", "left", 1), ("7", "right", 1)]
    people = shares(services(), PHOTOS, [], View())
    assert [(one.face, one.region) for one in people] == [(LARGEST, "left"), (LARGEST, "right")]
    assert [[photo["image"] for photo in one.photos] for one in people] == [["one", "one again"], ["other"]]
    assert [one.region for one in shares(services(), PHOTOS[:1], [1, 2, 3, 4], View())] == ["auto"] * 4


def test_what_is_known_of_a_saved_person() -> None:
    html = saved_html(services(), "Ann | <Ben>", "person")
    assert html.count("of 2 photos, quality 0.70 to 0.95, saved 2026-11-26") == 2
    assert "&lt;Ben&gt;" in html
    assert saved_html(services(), "", "person") == ""
    assert "not available" in saved_html(Services(), "Ann", "person")


def told(unit: Unit, of: Services | None = None) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", truth_html(of or services(), unit)).split())


def test_the_line_says_who_with_what_how_well_and_what_is_assumed() -> None:
    unit = Unit.from_dict({"images": ["one"], "region": "left", "weight": 0.7})
    assert told(unit).startswith("Will be drawn the face in the photo ip-adapter-faceid_sd15 (FaceID) weight 0.70 left")
    assert "It will be a mixture of several people." in told(Unit.from_dict({"images": ["one", "other"]}))
    assert "mixture" not in told(Unit.from_dict({"images": ["one", "other"], "batch": "one each"}))
    assert told(Unit.from_dict({"person": "Ann"})).endswith("weight 0.80 quality 0.95")
    assert told(Unit.from_dict({"images": ["one"], "enabled": False})) == told(Unit()) == ""


def test_with_another_recogniser_than_the_adapters_nothing_is_green() -> None:
    unit = Unit.from_dict({"images": ["one"]})
    assert "faceid-warning" in truth_html(services(), unit)
    assert "faceid-good" not in truth_html(services(), unit)
    assert "will not be like the photo: the recogniser is another one" in told(unit)
    assert "The recogniser is w600k_mbf-12345678; the published adapters expect w600k_r50" in told(unit)
    fits = replace(services(), foresee=lambda *_: Foreseen("mini", "FaceID", "w600k_mbf", ""))
    assert 'faceid-good">good (0.90)' in truth_html(fits, unit)
    saved = replace(fits, known_of=lambda _: Known(2, (0.7, 0.95), "2026-11-26", "w600k_r50"))
    assert "will not be like the person: the recogniser is another one" in told(
        Unit.from_dict({"person": "Ann"}), saved
    )
    faceless = replace(services(), look=lambda *_: replace(seen(), number=None))
    assert "nobody: no face was found" in told(unit, faceless)


def test_a_weak_photo_and_whatever_fails_is_said() -> None:
    fits = replace(services(), foresee=lambda *_: Foreseen("mini", "FaceID", "w600k_mbf", ""))
    weak = Services(look=lambda *_: seen(hints=("It is noisy (grain of 0.3): use more light.",)), foresee=fits.foresee)
    assert "weak: it is noisy (grain of 0.3)" in told(Unit.from_dict({"images": ["one"]}), weak)
    nobody = Services(look=Services().look, foresee=services().foresee)
    assert "nobody: no face was found" in told(Unit.from_dict({"images": ["one"]}), nobody)

    def none(*_: str) -> Foreseen:
        raise HostError("There is no adapter.")

    without = Services(look=services().look, foresee=none)
    assert told(Unit.from_dict({"images": ["one"]}), without).endswith("There is no adapter.")
    doubted = replace(fits, doubt=lambda _unit: "weak: whatever")
    assert "weak: whatever" in told(Unit.from_dict({"images": ["one"]}), doubted)
