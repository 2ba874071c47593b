"""Whose face is whose in a finished picture, and what is said where it is not as it was asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_faceid.errors import FileError, PhotoError
from lib_faceid.faces.face import Face, FaceSearch
from lib_faceid.likeness.judging import Expected, judge, matched
from lib_faceid.likeness.score import PictureScore, UnitScore, swapped
from lib_faceid.references.identity import Identity
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import PLACES

RECOGNISER = "w600k_mbf-00000000"
SIZE_PX = (200, 100)
PICTURE = np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
ANNA, BERT, CLEO = range(3)
LEFT, RIGHT = PLACES["left"], PLACES["right"]


def vector(**shares: float) -> np.ndarray:
    """A face that has these cosines to Anna, Bert and Cleo, and nothing else in common with them."""
    found = np.zeros(512, np.float32)
    found[:3] = [shares.get(name, 0.0) for name in ("anna", "bert", "cleo")]
    found[3] = np.sqrt(1 - np.square(found).sum())
    return 20 * found


def face(x: float, **shares: float) -> Face:
    """A face around a place of the picture, from 0 at its left to 1."""
    middle, points = x * SIZE_PX[0], np.array([[-8, -8], [8, -8], [0, 0], [-6, 8], [6, 8]], np.float32)
    box = (middle - 20, 30, middle + 20, 70)
    points = points + np.array([middle, 50], np.float32)
    return Face(box, points, 0.9, vector(**shares), np.zeros((224, 224, 3), np.uint8))


@dataclass
class Seeing:
    """An analyser that sees these faces in every picture."""

    faces: tuple[Face, ...]
    recogniser: str = RECOGNISER

    def search(self, image_rgb: np.ndarray) -> FaceSearch:
        return FaceSearch(self.faces, 0.9, (image_rgb.shape[1], image_rgb.shape[0]))


def person(which: int, recogniser: str = RECOGNISER) -> Identity:
    return Identity(20 * torch.eye(512)[which : which + 1], recogniser=recogniser)


def seen(*faces: Face, **expected: Expected) -> PictureScore:
    return judge(PICTURE, list(expected.values()), Seeing(faces))


A, B = Expected(0, person(ANNA)), Expected(1, person(BERT))
A_LEFT, B_RIGHT = replace(A, region=LEFT), replace(B, region=RIGHT)


def test_one_person_alone_has_the_cosine_of_her_face() -> None:
    score = seen(face(0.5, anna=0.61), a=A)
    (unit,) = score.units
    assert (unit.number, unit.likeness, unit.note, score.likeness) == (0, 0.61, "", 0.61)
    assert unit.box == (0.4, 0.3, 0.6, 0.7)
    assert unit.measures is not None
    assert unit.measures.size_px == 40
    assert (score.faces, score.others, score.notes, score.size_px) == (1, 0, [], SIZE_PX)


def test_without_regions_the_best_pairs_are_found_whatever_the_order() -> None:
    score = seen(face(0.2, bert=0.5, anna=0.4), face(0.8, anna=0.45), a=A, b=B)
    assert [unit.likeness for unit in score.units] == [0.45, 0.5]
    assert not score.notes


def test_a_unit_has_the_face_in_its_region_though_another_is_more_alike() -> None:
    score = seen(face(0.25, anna=0.2), face(0.75, anna=0.25), a=A_LEFT, b=B_RIGHT)
    assert [unit.likeness for unit in score.units] == [0.2, 0.0]


def test_swapped_people_are_named() -> None:
    score = seen(face(0.25, bert=0.5), face(0.75, anna=0.45), a=A_LEFT, b=B_RIGHT)
    assert score.is_swapped
    assert [unit.looks_like for unit in score.units] == [1, 0]
    assert score.note == "FaceID 0 and FaceID 1 are swapped."
    assert score.notes[0] == "FaceID 0: its face is more like the person of FaceID 1 (0.50)."
    assert not seen(face(0.25, anna=0.5), face(0.75, bert=0.45), a=A_LEFT, b=B_RIGHT).is_swapped


def test_two_strangers_a_little_nearer_to_each_other_are_not_called_swapped() -> None:
    score = seen(face(0.25, bert=0.35, anna=0.28), face(0.75, anna=0.2, bert=0.1), a=A_LEFT, b=B_RIGHT)
    assert not score.is_swapped
    assert not score.notes


def test_a_picture_without_a_face_says_so() -> None:
    score = seen(a=A, b=B_RIGHT)
    assert [unit.likeness for unit in score.units] == [None, None]
    assert score.likeness is None
    assert score.units[0].note == "FaceID 0: no face was found in the picture."


def test_a_unit_without_a_face_in_its_region_says_where_a_likely_one_is() -> None:
    score = seen(face(0.75, anna=0.5), a=A_LEFT)
    assert score.units[0].likeness is None
    assert score.units[0].note == (
        "FaceID 0: no face was found in its region. A face outside it has a likeness of 0.50."
    )
    assert score.note == "1 other face is in the picture."
    assert "outside" not in seen(face(0.75, anna=0.1), a=A_LEFT).units[0].note


def test_two_units_on_one_face() -> None:
    score = seen(face(0.5, anna=0.4, bert=0.3), a=A, b=B)
    assert [unit.likeness for unit in score.units] == [0.4, 0.3]
    assert (score.units[1].shares_with, score.units[0].shares_with) == (0, None)
    assert score.units[1].note == "FaceID 1: no face of its own, it shares that of FaceID 0."
    assert (score.likeness, score.others) == (0.3, 0)


def test_faces_that_nobody_asked_for_are_counted() -> None:
    score = seen(face(0.2, anna=0.5), face(0.5), face(0.8), a=A)
    assert (score.faces, score.others) == (3, 2)
    assert score.note == "2 other faces are in the picture."
    assert seen(face(0.2), face(0.5)) == PictureScore(RECOGNISER, (), 2, 2, SIZE_PX)


@pytest.mark.parametrize("recogniser", ["w600k_r50-4c06341c", ""])
def test_another_recogniser_gives_a_sentence_and_no_number(recogniser: str) -> None:
    stranger = Expected("tag 0", person(BERT, recogniser))
    score = seen(face(0.5, anna=0.5, bert=0.8), face(0.2), a=A, b=stranger)
    assert [unit.likeness for unit in score.units] == [0.5, None]
    assert "another recogniser" in score.units[1].note
    assert "FaceID tag 0" in score.units[1].note
    assert (recogniser or "an unknown one") in score.units[1].note
    assert score.likeness is None
    assert score.others == 0, "the second face may be the stranger's"


def test_a_mask_holds_the_faces_that_lie_in_it() -> None:
    mask = torch.zeros(10, 20)
    mask[:, 10:] = 1
    right = replace(A, region=Region(mask=mask))
    score = seen(face(0.25, anna=0.6), face(0.75, anna=0.3), a=right)
    assert score.likeness == 0.3
    assert seen(face(0.25, anna=0.6), a=right).likeness is None


def test_a_face_beyond_the_edge_is_still_in_the_picture() -> None:
    score = seen(face(0.02, anna=0.4), a=A_LEFT)
    assert score.units[0].box == (0, 0.3, 0.12, 0.7)


def test_several_photos_count_by_their_mean() -> None:
    both = Identity(20 * torch.eye(512)[:2], recogniser=RECOGNISER)
    assert seen(face(0.5, anna=0.6), a=Expected(0, both)).likeness == pytest.approx(0.6 / 2**0.5, abs=1e-4)


def test_what_is_no_picture_is_refused(analyser: object) -> None:
    with pytest.raises(PhotoError):
        judge(np.zeros((4, 4)), [A], analyser)  # pyright: ignore[reportArgumentType]


@given(st.data())
@settings(max_examples=examples(60), deadline=None)
def test_the_matching_is_the_best_of_all(data: st.DataObject) -> None:
    units, faces = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 4))
    cells = units * faces
    alike = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=cells, max_size=cells))) / 10
    may = np.array(data.draw(st.lists(st.booleans(), min_size=cells, max_size=cells)), bool)
    alike, may = alike.reshape(units, faces), may.reshape(units, faces)
    own = matched(alike, may)

    def worth(chosen: tuple[int | None, ...] | list[int | None]) -> tuple[int, float]:
        pairs = [(unit, face) for unit, face in enumerate(chosen) if face is not None]
        assert all(may[pair] for pair in pairs)
        return len(pairs), round(float(sum(alike[pair] for pair in pairs)), 6)

    every = {
        tuple(face if face is not None and may[unit, face] else None for unit, face in enumerate(order))
        for order in permutations([*range(faces), *[None] * units], units)
    }
    assert worth(own) == max(map(worth, every))


@pytest.mark.parametrize(("units", "faces"), [(5, 6), (6, 4)])
def test_the_matching_of_more_is_the_best_of_all_too(units: int, faces: int) -> None:
    random = np.random.default_rng(units)
    for _ in range(10):
        alike = random.uniform(-1, 1, (units, faces))
        chosen = [face for face in matched(alike, np.ones_like(alike, bool)) if face is not None]
        assert len(set(chosen)) == min(units, faces)
        best = max(
            sum(alike[unit, face] for unit, face in enumerate(order) if face < faces)
            for order in permutations(range(max(units, faces)), units)
        )
        own = matched(alike, np.ones_like(alike, bool))
        assert sum(alike[unit, face] for unit, face in enumerate(own) if face is not None) == pytest.approx(best)


def test_twelve_units_in_a_crowd_are_matched_in_no_time() -> None:
    """Twelve units have 4,096 sets of those that have a face: with 40 faces, trying them all takes seconds."""
    random = np.random.default_rng(12)
    alike = random.uniform(-0.2, 0.3, (12, 40))
    places = random.permutation(40)[:12]
    alike[np.arange(12), places] = 0.9
    began = time.perf_counter()
    for _ in range(20):
        assert matched(alike, np.ones_like(alike, bool)) == places.tolist()
    assert time.perf_counter() - began < 1


def test_a_face_that_is_shared_swaps_nobody() -> None:
    both = (UnitScore(0, 0.4, looks_like=1), UnitScore(1, 0.4, looks_like=0))
    assert PictureScore("any", both, 2).is_swapped
    assert swapped(both) == [(0, 1)]
    shared = (both[0], UnitScore(1, 0.4, looks_like=0, shares_with=0))
    assert not PictureScore("any", shared, 1).is_swapped


def test_a_score_survives_json() -> None:
    score = seen(
        face(0.25, bert=0.5), face(0.75, anna=0.45), face(0.5), a=A_LEFT, b=B_RIGHT, c=Expected("tag 0", person(CLEO))
    )
    assert PictureScore.from_dict(score.as_dict()) == score
    assert PictureScore.from_dict({**score.as_dict(), "version": 2, "new": 1}) == score
    assert score.measures == score.units[1].measures


@pytest.mark.parametrize(
    "change",
    [
        {"units": 3},
        {"units": [{"unit": True, "likeness": 0}]},
        {"units": [{"unit": 0}]},
        {"faces": "x"},
        {"size_px": [1]},
    ]
    + [{"units": [{"unit": 0, "likeness": value}]} for value in (float("nan"), "a", [])],
)
def test_a_damaged_score_is_a_sentence(change: dict[str, object]) -> None:
    with pytest.raises(FileError, match="damaged"):
        PictureScore.from_dict(PictureScore(RECOGNISER, (UnitScore(0, 0.5),), 1).as_dict() | change)


def test_the_lowest_counts_for_the_picture() -> None:
    for one, other in product((0.1, 0.5, None), repeat=2):
        score = PictureScore(RECOGNISER, (UnitScore(0, one), UnitScore(1, other)), 2)
        assert score.likeness == (None if one is None or other is None else min(one, other))
