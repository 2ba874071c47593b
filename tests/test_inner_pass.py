"""Which units act on a face that is drawn again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lib_faceid.units.inner_pass import face_number, of_image, units_for_part
from lib_faceid.units.region import WHOLE, Box
from lib_faceid.units.unit import Photo, Unit

PERSON = Unit(enabled=True, images=(Photo("aGk="),), weight=0.8)


def unit(**settings: Any) -> Unit:
    return replace(PERSON, **settings)


def acting(units: list[Unit], overlaps: list[float | None], face: int = 0) -> list[int]:
    return [number for number, one in enumerate(units_for_part(units, overlaps, face)) if one.acts]


def test_without_regions_all_act_on_every_face() -> None:
    assert acting([PERSON, PERSON], [None, None]) == [0, 1]


def test_the_region_that_covers_most_of_the_face_decides() -> None:
    units = [unit(region="left"), unit(region="right"), PERSON]
    assert acting(units, [0.2, 0.1, None]) == [0, 2]
    assert acting(units, [0.0, 0.3, None]) == [1, 2]
    assert acting(units, [0.0, 0.0, None]) == [2]  # somebody else's face


def test_units_may_take_turns() -> None:
    units = [unit(adetailer="one each"), unit(adetailer="off"), unit(adetailer="one each")]
    assert [acting(units, [None] * 3, face) for face in range(4)] == [[0], [2], [0], [2]]


def test_by_likeness_the_face_decides_and_else_the_order() -> None:
    units = [unit(adetailer="likeness"), PERSON, unit(adetailer="likeness"), unit(adetailer="one each")]
    by_owner = {
        owner: [n for n, one in enumerate(units_for_part(units, [None] * 4, 0, owner)) if one.acts] for owner in (0, 2)
    }
    assert by_owner == {0: [0, 1, 3], 2: [1, 2, 3]}
    assert [acting(units, [None] * 4, face) for face in range(2)] == [[0, 1, 3], [1, 2, 3]]
    assert acting([unit(adetailer="likeness")], [None], 5) == [0], "the only one is on every face"


def test_off_and_same() -> None:
    units = [unit(adetailer="off"), unit(adetailer="same", region="left"), unit(enabled=False)]
    assert acting(units, [None, 0.0, None]) == [1]


def test_a_unit_acts_on_all_of_the_part_at_its_own_weight() -> None:
    (inner,) = units_for_part([unit(region="left", adetailer_weight=0.5, hires="first")], [0.1], 0)
    assert (inner.region, inner.mask, inner.hires) == ("everywhere", None, "both")
    assert inner.net_weight == 0, "a ControlNet would put the face where the photo has it"
    assert inner.weight == pytest.approx(0.4)
    assert inner.acts_in(hires=False)


def test_a_weight_stays_in_its_range() -> None:
    (inner,) = units_for_part([unit(weight=1.6, adetailer_weight=2)], [None], 0)
    assert inner.weight == 2


def test_with_one_each_an_image_has_its_own_person() -> None:
    photos = (Photo("aGk="), Photo("aG8="))
    each = unit(batch="one each", images=photos)
    assert [of_image(each, image).images for image in range(3)] == [photos[:1], photos[1:], photos[:1]]
    named = Unit(enabled=True, person="Ann | Ben", batch="one each")
    assert [of_image(named, image) for image in (0, 3)] == [Unit(enabled=True, person=name) for name in ("Ann", "Ben")]
    assert of_image(PERSON, 1) is PERSON


def test_numbers_stay_those_of_the_units() -> None:
    units = [unit(enabled=False), unit(region="left"), PERSON]
    assert len(units_for_part(units, [None, 0.0, None], 0)) == 3


def test_a_face_is_known_by_where_it_is() -> None:
    left, right = Box(0, 0, 0.2, 0.2), Box(0.5, 0, 0.7, 0.2)
    faces = [left, right]
    body, tight, beside = Box(0.4, 0, 0.9, 1), Box(0.55, 0.05, 0.65, 0.15), Box(0.65, 0, 0.85, 0.2)
    assert [face_number(part, faces) for part in (body, tight, left)] == [1, 1, 0]
    assert [face_number(part, faces) for part in (beside, right, beside)] == [2, 1, 2]
    assert faces == [left, right, beside]
    assert face_number(WHOLE, []) == 0
