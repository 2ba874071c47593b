"""What is aimed for, as the page and requests send it: never taken for a unit, and nothing else is."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from lib_faceid.errors import UnitError
from lib_faceid.units.aim_request import AimRequest, aim_of
from lib_faceid.units.job_options import OPTIONS, JobOptions, options_of
from lib_faceid.units.old_names import OLD_FIELDS, OLD_ORDERS
from lib_faceid.units.schema import aim_schema
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.unit import FIELDS, Unit

UNITS = [field.default for field in FIELDS.values()] * 3
PAGE = [*UNITS, *(0 if one.default is None else one.default for one in OPTIONS.values()), ""]


def test_the_page_sends_it_last() -> None:
    assert aim_of(PAGE) is None
    asked = AimRequest(0.6, "lora", 1)
    page = [*PAGE[:-1], asked.text]
    assert aim_of(page) == asked
    for args in (PAGE, page):
        assert options_of(args) == JobOptions()
        assert units_from_args(args) == [Unit()] * 3


def test_a_request_sends_an_object_among_its_units() -> None:
    args = [{"person": "Ann"}, {"best_of": 8}, {"aim": 0.6}, *PAGE[3:]]
    assert aim_of(args) == AimRequest(0.6)
    assert options_of(args).best_of == 8
    assert [unit.person for unit in units_from_args(args)] == ["Ann"]
    assert units_from_args([{"aim": 0.6}, *PAGE[1:]]) == []
    assert aim_of([{"person": "Ann"}, *PAGE[1:]]) is None


def test_an_older_client_aims_for_nothing() -> None:
    old = [FIELDS[OLD_FIELDS.get(name, name)].default for name in OLD_ORDERS[0]]
    for args in ([], UNITS, PAGE[:-1], old, [*old, *PAGE[len(old) :]]):
        assert aim_of(args) is None
        assert options_of(args) == JobOptions()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"aim": 1.5}, "from 0 to 1"),
        ({"aim": "much"}, "a number"),
        ({"aim": 0.5, "unit": -1}, "unit is -1"),
        ({"aim": 0.5, "unit": 0.5}, "number of a unit"),
        ({"aim": 0.5, "with": "lora"}, "unknown key 'with'"),
    ],
)
def test_what_cannot_be_is_said(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UnitError, match=words):
        aim_of([values])
    with pytest.raises(UnitError, match="2 objects"):
        aim_of([values, values])


def test_the_schema_allows_what_is_read_and_nothing_else() -> None:
    allowed = jsonschema.Draft202012Validator(aim_schema()).is_valid
    for values in ({"aim": 0.5}, {"aim": 0, "by": "lora", "unit": 2}):
        assert allowed(values)
        assert aim_of([values])
    for values in ({}, {"aim": 1.5}, {"aim": 0.5, "unit": -1}, {"aim": 0.5, "with": 1}, {"aim": 0.5, "by": "noise"}):
        assert not allowed(values)
        with pytest.raises(UnitError):
            AimRequest.from_dict(values)


def test_a_damaged_text_is_said() -> None:
    with pytest.raises(UnitError, match="JSON"):
        aim_of([*PAGE[:-1], '{"aim": '])
