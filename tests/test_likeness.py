"""The thing itself: who is asked for is who is seen, and more so with more weight.

The shipped miniature draws the people whom it knows through the whole engine; SCRFD and ArcFace look at the pictures.
Thresholds are what was measured (docs/MINIATURE.md) less three standard errors; half of the steps will do for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.degrade import degraded
from bench.likeness import marks_of, marks_of_two
from gallery import Gallery, identity_of, known_portraits

from lib_faceid.effects.injection import Injection
from lib_faceid.faces.analyser import FaceAnalyser, largest
from lib_faceid.references.identity import Identity
from training.people import Portrait

pytest.importorskip("diffusers", reason="the miniature is drawn on diffusers")

STEPS = 10
SEEDS = {0: (0,), 0.2: (0,), 0.8: (0, 1)}  # of each person at each weight: CI has two cores
ALONE = ("astronaut", "bryan")  # in their photos
FEW = ("astronaut", "solvay_1993")
RISE, RIGHT, RIGHT_OF_TWO, OTHERS, RANK_1, FOUND, COLOUR_KEPT = 0.1, 0.67, 0.7, 0.05, 0.95, 0.97, 0.95
SPOILT = (("blur", 0.06), ("jpeg", 7), ("gamma", 4), ("rotate", 30))


@pytest.fixture(scope="module")
def portraits(analyser: FaceAnalyser, data_folder: Path) -> list[Portrait]:
    return known_portraits(data_folder / "photos", analyser)


@pytest.fixture(scope="module")
def gallery(portraits: list[Portrait], analyser: FaceAnalyser, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    people = {one.person.name: identity_of([one.face.id_embedding], analyser) for one in portraits}
    return Gallery(tmp_path_factory.mktemp("gallery"), analyser, people, STEPS)


def mean_likeness(gallery: Gallery, **settings: Any) -> float:
    """Return the mean likeness of a few people to themselves."""
    return float(np.mean([gallery.draw(one, 0, **settings).likeness(gallery.people[one]) for one in FEW]))


def test_likeness_rises_with_the_weight_and_is_of_the_right_person(gallery: Gallery) -> None:
    marks = {weight: marks_of(gallery, seeds, weight=weight) for weight, seeds in SEEDS.items()}
    assert marks[0].right + RISE < marks[0.2].right < marks[0.8].right - RISE, marks
    assert marks[0.8].right >= RIGHT
    assert marks[0.8].others <= OTHERS
    assert marks[0.8].rank_1 >= RANK_1
    assert marks[0.8].found >= FOUND
    assert marks[0.8].colour >= COLOUR_KEPT


def test_weight_0_is_the_picture_without(gallery: Gallery) -> None:
    for seed in (0, 1):
        assert np.array_equal(gallery.draw("astronaut", seed, weight=0).pixels, gallery.draw(None, seed).pixels)


def test_swapped_cond_and_uncond_draw_somebody_else(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an engine that gives the person to the wrong rows must fail the tests above."""
    right = mean_likeness(gallery)
    set_rows = Injection.set_rows
    monkeypatch.setattr(Injection, "set_rows", lambda self, rows: set_rows(self, [-row for row in rows]))
    monkeypatch.setattr(gallery, "_drawn", {})
    assert mean_likeness(gallery) < right / 3


def test_two_people_stand_where_their_regions_are(gallery: Gallery) -> None:
    marks = marks_of_two(gallery, seeds=(0,))
    assert marks.right >= RIGHT_OF_TWO
    assert marks.others <= OTHERS
    assert marks.rank_1 >= RANK_1


def test_several_bad_photos_are_better_than_one(
    portraits: list[Portrait], analyser: FaceAnalyser, tmp_path: Path
) -> None:
    """Each is spoilt in its own way, so that what their faces have in common is the person."""
    singles: dict[str, Identity] = {}
    averages: dict[str, Identity] = {}
    for one in portraits:
        if one.person.name in ALONE:
            photos = [degraded(one.photo_rgb, kind, step, one.face.size_px) for kind, step in SPOILT]
            seen = [largest(analyser.search(photo).require()).id_embedding for photo in photos]
            averages[one.person.name] = identity_of(seen, analyser).averaged()
            singles |= {f"{one.person.name}-{at}": identity_of([vector], analyser) for at, vector in enumerate(seen)}
    gallery = Gallery(tmp_path, analyser, singles | averages, STEPS)
    clean = {one.person.name: identity_of([one.face.id_embedding], analyser) for one in portraits}

    def likeness(names: Iterable[str]) -> float:
        return float(np.mean([gallery.draw(name, 0).likeness(clean[name.partition("-")[0]]) for name in names]))

    assert likeness(averages) > likeness(singles)


def test_the_lora_acts_and_who_it_is_does_not_hang_on_it(gallery: Gallery) -> None:
    """Here the tokens alone say who it is: the network is small, and its people are few."""
    without, with_it = (gallery.draw("bryan", 0, lora=strength).pixels.astype(float) for strength in (0, 0.6))
    assert np.abs(without - with_it).mean() > 0.5
    assert min(mean_likeness(gallery, lora=0), mean_likeness(gallery, lora=0.6)) >= RIGHT


def test_half_of_the_steps_is_less(gallery: Gallery) -> None:
    assert mean_likeness(gallery, end=0.3) < mean_likeness(gallery)
    assert mean_likeness(gallery, start=0.7) < mean_likeness(gallery)
