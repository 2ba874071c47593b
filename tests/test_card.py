"""Cards of saved people: what is on them, and that no face is."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib_faceid.encoders.features import CLIP_H_PROJECTED
from lib_faceid.people.card import card_of
from lib_faceid.people.library import People
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import PhotoNote, Record
from lib_faceid.references.reference import Features, Reference

SVG = "data:image/svg+xml;base64,"


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "faces")


def saved(people: People, name: str, record: Record | None = None, recogniser: str = "w600k_r50-4c06341c") -> Path:
    generator = torch.Generator().manual_seed(1)
    identity = Identity(torch.randn(1, 512, generator=generator) * 20, recogniser=recogniser)
    return people.path(people.save(name, identity, record))


def initials(path: Path) -> str:
    """The text in the picture, which must be well-formed XML."""
    picture = card_of(path).picture
    assert picture.startswith(SVG)
    svg = ET.fromstring(base64.b64decode(picture.removeprefix(SVG)))  # noqa: S314 - we wrote it
    (text,) = svg.iter("{http://www.w3.org/2000/svg}text")
    return text.text or ""


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Anna", "A"),
        ("anna maria berg", "AB"),
        ("Bert Öz (old)", "BO"),
        ("小林 さん", "小さ"),
        ("élodie", "É"),
        ("_-_", "_"),
    ],
)
def test_the_picture_is_the_initials(people: People, name: str, letters: str) -> None:
    assert initials(saved(people, name)) == letters


@pytest.mark.parametrize("name", ["<&>", "&", "'\""])
def test_a_name_given_by_hand_breaks_no_picture(people: People, name: str) -> None:
    path = saved(people, "x")
    assert len(initials(path.rename(path.with_name(f"{name}.safetensors")))) == 1


def test_the_line_tells_photos_recogniser_and_date(people: People) -> None:
    photos = tuple(PhotoNote(digit * 64) for digit in "ab")
    words = card_of(saved(people, "Anna", Record(photos, "a note"))).words
    assert re.fullmatch(r"2 photos · w600k_r50 · saved \d{4}-\d\d-\d\d", words)
    assert card_of(saved(people, "Bert", Record(photos[:1]))).words.startswith("1 photo · ")
    assert re.fullmatch(r"saved \d{4}-\d\d-\d\d", card_of(saved(people, "Carla", recogniser="")).words)


def test_a_thumbnail_is_shown_where_one_was_kept(people: People) -> None:
    thumbnail = np.arange(96 * 96 * 3, dtype=np.uint8).reshape(96, 96, 3)
    picture = card_of(saved(people, "Anna", Record(thumbnail_rgb=thumbnail))).picture
    shown = Image.open(io.BytesIO(base64.b64decode(picture.removeprefix("data:image/png;base64,"))))
    assert np.array_equal(np.asarray(shown), thumbnail)


def test_a_damaged_file_says_so(people: People) -> None:
    path = saved(people, "Anna")
    path.write_bytes(b"nothing")
    card = card_of(path)
    assert "Anna.safetensors" in card.words
    assert card.picture.startswith(SVG)


def test_a_card_says_what_its_file_is_for(people: People) -> None:
    path = saved(people, "Anna")
    assert card_of(path).purpose == "person"
    image = people.path(
        people.save("Sky", Reference({CLIP_H_PROJECTED: Features(torch.ones(1, 1024), torch.zeros(1024))}))
    )
    assert card_of(image).purpose == "image"
    path.write_bytes(b"nothing")  # one damaged file, and everybody else's card must still be made
    assert card_of(path).purpose == "person"
