"""Approved references: any change takes the approval back, and a setting refuses whoever has none."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from lib_faceid.errors import FaceIDError, UnitError
from lib_faceid.faces.measures import Measures
from lib_faceid.faces.report import PhotoReport
from lib_faceid.models.folders import Roots
from lib_faceid.models.own_settings import change_settings, own_settings
from lib_faceid.people.approval import require_approved
from lib_faceid.people.card import card_of
from lib_faceid.people.library import People
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import PhotoNote, Record
from lib_faceid.units.unit import Unit


def somebody(seed: int = 0) -> Identity:
    return Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(seed)), recogniser="w600k_r50-4c06341c")


@pytest.fixture
def people(tmp_path: Path) -> People:
    library = People(tmp_path / "faces")
    library.save("Anna", somebody(1), Record((PhotoNote("ab" * 32, 0.5),), "blue hat"))
    return library


def test_an_approval_is_kept_with_the_photos(people: People) -> None:
    assert people.approval("Anna") is None
    given = people.approve("Anna", "  Ben  C. ", "for the spring issue")
    kept = people.approval("Anna")
    assert kept is not None
    assert kept == given
    assert (kept.by, kept.note, kept.is_valid) == ("Ben C.", "for the spring issue", True)
    assert kept.photos == ({"sha256": "ab" * 32, "weight": 0.5},)
    assert kept.words.startswith("Approved by Ben C. on 20")
    assert "approved by Ben C." in card_of(people.path("Anna")).words
    if sys.platform != "win32":
        (file,) = people.folder.glob("*.approved.json")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert people.withdraw("Anna")
    assert not people.withdraw("Anna")


def add_a_byte(people: People) -> None:
    path = people.path("Anna")
    path.write_bytes(path.read_bytes() + b"\0")


CHANGES: dict[str, Callable[[People], object]] = {
    "another face": lambda people: people.save("Anna", somebody(2), overwrite=True),
    "another note": lambda people: people.save("Anna", somebody(1), Record(notes="red hat"), overwrite=True),
    "another program": add_a_byte,
    "deleted and saved anew": lambda people: (people.delete("Anna"), people.save("Anna", somebody(1))),
    "another name and back": lambda people: (people.rename("Anna", "Bea"), people.rename("Bea", "Anna")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_takes_it_back(people: People, change: str) -> None:
    people.approve("Anna", "Ben")
    require_approved(Unit(enabled=True, person="Anna"), people.path)
    CHANGES[change](people)
    found = people.approval("Anna")
    assert found is None or not found.is_valid
    with pytest.raises(UnitError, match=r"Only approved people may be drawn here, and .*Anna"):
        require_approved(Unit(enabled=True, person="Anna"), people.path)


def test_a_person_who_comes_in_anothers_place_is_not_approved(people: People) -> None:
    people.save("Ben", somebody(2))
    people.approve("Anna", "Chris")
    people.path("Ben").replace(people.folder / "Anna.safetensors")
    found = people.approval("Anna")
    assert found is not None
    assert not found.is_valid
    assert "changed since" in card_of(people.path("Anna")).words


def test_who_is_refused(people: People) -> None:
    people.save("Ben", somebody(2))
    people.approve("Anna", "Chris")
    with pytest.raises(UnitError, match="this one comes from photos"):
        require_approved(Unit(enabled=True, images=("cGhvdG8=",)), people.path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnitError, match="nobody has approved 'Ben'"):
        require_approved(Unit(enabled=True, person="Anna | Ben", batch="one each"), people.path)
    with pytest.raises(FaceIDError, match="There is no saved person 'Zoe'"):
        require_approved(Unit(enabled=True, person="Zoe"), people.path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"by": "B", "when": 1, "note": "", "sha256": ""}', "\x00"])
def test_a_damaged_approval_approves_nothing(people: People, text: str) -> None:
    people.approve("Anna", "Ben")
    (file,) = people.folder.glob("*.approved.json")
    file.write_text(text)
    assert people.approval("Anna") is None


def test_nobody_can_approve_without_a_name(people: People) -> None:
    for who in ("", "  ", "x" * 200):
        with pytest.raises(UnitError, match="Who approves is"):
            people.approve("Anna", who)


def test_it_goes_with_the_person(people: People) -> None:
    people.approve("Anna", "Ben")
    people.delete("Anna")
    assert not list(people.folder.glob("*.json"))
    people.save("Anna", somebody(1))
    people.approve("Anna", "Ben")
    people.forget_all()
    assert not list(people.folder.glob("*.json"))


def test_measures_of_photos_are_kept(people: People) -> None:
    measures = Measures(100, *[0.5] * (len(fields(Measures)) - 1))
    report = PhotoReport("good", 0.9, (), measures)
    people.save("Cleo", somebody(3), Record((PhotoNote("cd" * 32, 1.0, report),)))
    assert people.approve("Cleo", "Ben").photos == (
        {"sha256": "cd" * 32, "weight": 1.0, "verdict": "good", "score": 0.9},
    )


def test_settings_are_off_and_a_damaged_file_is_said(tmp_path: Path) -> None:
    roots = Roots(models=(tmp_path,))
    assert not any(vars(own_settings(roots)).values())
    assert not list(tmp_path.iterdir())
    assert change_settings(roots, only_approved=True).only_approved
    assert change_settings(roots, journal=True) == own_settings(roots)
    assert (own_settings(roots).only_approved, own_settings(roots).thumbnails) == (True, False)
    (tmp_path / "faceid" / "settings.json").write_text("{")
    with pytest.raises(FaceIDError, match=r"settings\.json cannot be read"):
        own_settings(roots)
