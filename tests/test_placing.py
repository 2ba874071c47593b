"""Which face is whose, and where the units with the region "auto" act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from lib_faceid.faces.analyser import Face, FaceAnalyser
from lib_faceid.jobs.passes import Places, region_of
from lib_faceid.jobs.placing import head_region, place_people
from lib_faceid.pictures.requested import BASE64_ONLY
from lib_faceid.references.identity import Identity
from lib_faceid.units.region import PLACES, Box
from lib_faceid.units.unit import Unit

NOBODY = 0.0


@dataclass
class Boxed:
    box: tuple[float, float, float, float]


def row(*centres: float, side: float = 10) -> list[Boxed]:
    return [Boxed((centre - side / 2, 0, centre + side / 2, side)) for centre in centres]


def test_strangers_are_placed_from_left_to_right_in_the_people_s_order() -> None:
    assert place_people(row(90, 10, 50), torch.zeros(3, 3)) == [1, 2, 0]


def test_who_is_recognised_gets_the_own_face_and_the_others_what_is_left() -> None:
    likeness = torch.tensor([[NOBODY, NOBODY, NOBODY], [0.8, NOBODY, 0.5], [NOBODY, NOBODY, NOBODY]])
    assert place_people(row(10, 50, 90), likeness) == [1, 0, 2]


def test_of_two_alike_the_surer_pair_goes_first() -> None:
    assert place_people(row(10, 50), torch.tensor([[0.6, 0.5], [0.7, 0.5]])) == [1, 0]


def test_too_many_faces_the_largest_are_taken() -> None:
    faces = [*row(10, 30, side=5), *row(60, 90, side=20)]
    assert place_people(faces, torch.zeros(2, 4)) == [2, 3]


def test_too_few_faces() -> None:
    assert place_people(row(10), torch.zeros(2, 1)) == [0, None]
    assert place_people([], torch.zeros(2, 0)) == [None, None]


def test_the_region_of_a_face_is_the_head_inside_the_picture() -> None:
    region = head_region((100, 100, 200, 220), (400, 400))
    assert region.left < 100 / 400 < 200 / 400 < region.right
    assert region.top < 100 / 400 < 220 / 400 < region.bottom
    assert head_region((-50, -50, 900, 900), (400, 400)) == Box(0, 0, 1, 1)


def test_until_faces_are_seen_units_stand_in_columns() -> None:
    places = Places([0, 2])
    assert places.of(0, range(2)) == (PLACES["left"], PLACES["left"])
    assert places.of(2, range(1)) == (PLACES["right"],)
    assert Places([1]).of(1, range(1)) == (Box(0, 0, 1, 1),)


def person(face: Face, recogniser: str) -> Identity:
    return Identity(torch.from_numpy(face.id_embedding)[None], recogniser=recogniser)


def test_real_faces_are_found_again_wherever_they_stand(
    analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    """Two people of a real photo, asked for in the wrong order: likeness wins over the order of the units."""
    picture = photo("solvay_conference_1927.png")
    faces = analyser.detect(picture)
    two = sorted(sorted(faces, key=lambda face: -face.size_px)[:2], key=lambda face: face.box[0])
    people = [person(face, analyser.recogniser) for face in reversed(two)]
    places = Places([0, 1])
    assert places.see(0, [picture], [people], analyser) == []
    (right,), (left,) = places.of(0, range(1)), places.of(1, range(1))
    assert right.left > left.left
    size = (picture.shape[1], picture.shape[0])
    assert (left, right) == (head_region(two[0].box, size), head_region(two[1].box, size))


def test_vectors_of_another_recogniser_say_nothing(analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]) -> None:
    picture = photo("solvay_conference_1927.png")
    faces = analyser.detect(picture)
    strangers = [person(face, "another") for face in reversed(faces[:2])]
    places = Places([0, 1])
    places.see(0, [picture], [strangers], analyser)
    (first,), (second,) = places.of(0, range(1)), places.of(1, range(1))
    assert first.left < second.left


def test_a_picture_without_a_face_is_said_and_keeps_the_columns(analyser: FaceAnalyser) -> None:
    people = [Identity(torch.randn(1, 512)), Identity(torch.randn(1, 512))]
    places = Places([0, 1])
    (note,) = places.see(3, [np.zeros((64, 64, 3), np.uint8)], [people], analyser)
    assert note == "Auto region: image 4 has 0 faces for 2 units; all of them act in their column of the picture."
    assert places.of(1, range(3, 4)) == (PLACES["right"],)


# -------------------------------------------------------------------------------------------------- regions of a unit
UNIT = Unit(feather=16)


@pytest.mark.parametrize(("region", "box"), [("left", PLACES["left"]), ("box 0 0 0.5 0.25", Box(0, 0, 0.5, 0.25))])
def test_a_unit_s_box(region: str, box: Box) -> None:
    found = region_of(replace(UNIT, region=region), BASE64_ONLY)
    assert found is not None
    assert (found.box, found.mask, found.feather_px) == (box, None, 16)


@pytest.mark.parametrize("region", ["everywhere", "auto"])
def test_a_unit_without_a_box(region: str) -> None:
    assert region_of(replace(UNIT, region=region), BASE64_ONLY) is None


def test_a_unit_s_mask_is_white_where_it_acts() -> None:
    drawn = np.zeros((20, 40, 3), np.uint8)
    drawn[:, 20:] = 255
    found = region_of(Unit(region="mask", mask=drawn), BASE64_ONLY)
    assert found is not None
    assert found.mask is not None
    assert found.mask.shape == (20, 40)
    assert found.weights((2, 8), (16, 64))[0, 0] == 0
    assert found.weights((2, 8), (16, 64))[0, 7] == 1
