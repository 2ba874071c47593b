"""Saved images beside saved people: each is listed, called and refused by what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from api_server import Fixture, picture

from lib_faceid.encoders.features import CLIP_H_PROJECTED
from lib_faceid.errors import MissingModelError, UnitError
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.reading import read_saved
from lib_faceid.people.card import card_of
from lib_faceid.people.library import People
from lib_faceid.references.files import purpose_of_file
from lib_faceid.references.identity import Identity
from lib_faceid.references.reference import Features, Reference
from lib_faceid.units.unit import Unit


@pytest.fixture
def library(tmp_path: Path) -> People:
    """A library with a person and an image."""
    people = People(tmp_path)
    people.save("Anna", Identity(torch.ones(1, 512)))
    people.save("Sunset", Reference({CLIP_H_PROJECTED: Features(torch.ones(1, 1024), torch.zeros(1024))}))
    return people


def refuse(*_: Any) -> Any:
    raise MissingModelError("CLIP ViT-H is not here.")


def test_names_are_told_by_what_they_are_for(library: People) -> None:
    assert (library.names(), library.names("person"), library.names("image")) == (
        ("Anna", "Sunset"), ("Anna",), ("Sunset",),
    )  # fmt: skip
    assert [purpose_of_file(library.path(name)) for name in library.names()] == ["person", "image"]


def test_an_image_that_takes_a_persons_name_is_an_image_from_then_on(library: People) -> None:
    library.save("Anna", library.load("Sunset").identity, overwrite=True)
    assert library.names("image") == ("Anna", "Sunset")


def test_the_card_of_an_image_shows_no_head(library: People) -> None:
    person, image = (card_of(library.path(name)) for name in ("Anna", "Sunset"))
    assert image.words.startswith("image · saved ")
    assert person.picture.split(",")[0] == image.picture.split(",")[0]
    assert person.picture != image.picture


@pytest.mark.parametrize(
    ("name", "purpose", "words"),
    [
        ("Sunset", "person", "'Sunset' is a saved image, and the unit's reference is for a person. Set purpose"),
        ("Anna", "image", "'Anna' is a saved person, and the unit's reference is for an image. Set purpose"),
    ],
)  # fmt: skip
def test_a_unit_for_the_other_purpose_is_refused(library: People, name: str, purpose: str, words: str) -> None:
    models = Models(tuple, refuse, refuse, lambda name: library.load(name).identity)
    with pytest.raises(UnitError) as refused:
        read_saved(Unit(person=name, purpose=purpose), models)
    assert str(refused.value).startswith(words)
    right = Unit(person=name, purpose="image" if purpose == "person" else "person")
    assert len(read_saved(right, models)) == 1


def test_an_image_cannot_be_saved_without_an_encoder() -> None:
    served = Fixture()
    code, told = served.post("/faces", {"name": "Sunset", "image": picture((9, 9, 9)), "purpose": "image"})
    assert (code, "CLIP ViT-H is not here." in told) == (MissingModelError.status_code, True)
    assert served.get("/faces") == {"faces": [], "images": []}
