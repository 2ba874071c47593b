"""What is set for a job as a whole: declared once, understood from page and request, and never taken for a unit."""

from __future__ import annotations

from typing import Any

import pytest

from lib_faceid.commands.job_options import job_options_of
from lib_faceid.errors import UnitError
from lib_faceid.units.job_options import OPTIONS, JobOptions, options_of
from lib_faceid.units.old_names import OLD_FIELDS, OLD_ORDERS
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.unit import FIELDS, Unit

PAGE_UNITS = [field.default for field in FIELDS.values()] * 3
PAGE = [*PAGE_UNITS, *(0 if one.default is None else one.default for one in OPTIONS.values())]


def page(**options: Any) -> list[Any]:
    return [*PAGE_UNITS, *(options.get(name, field.default) for name, field in OPTIONS.items())]


def test_no_option_has_the_name_of_a_field() -> None:
    assert not OPTIONS.keys() & FIELDS.keys()
    assert all(one.help and one.label for one in OPTIONS.values())


def test_the_page_sends_them_behind_the_units() -> None:
    assert options_of(PAGE) == JobOptions()
    assert len(units_from_args(PAGE)) == 3
    found = options_of(page(best_of=8.0, likeness_target=0.6, keep=2, look_ahead=False, score=False))
    assert found == JobOptions(False, 8, 0.6, 2, False)
    assert isinstance(found.best_of, int)
    assert units_from_args(page(best_of=8)) == [Unit()] * 3


def test_a_request_sends_an_object_among_its_units() -> None:
    args = [{"person": "Ann"}, {"best_of": 8}, *PAGE[2:]]
    assert options_of(args).best_of == 8
    assert [unit.person for unit in units_from_args(args)] == ["Ann"]
    alone = [{"best_of": 8}, *PAGE[1:]]
    assert (options_of(alone).best_of, units_from_args(alone)) == (8, [])
    assert options_of([{"person": "Ann"}, *PAGE[1:]]) == JobOptions()
    with pytest.raises(UnitError, match="2 objects"):
        options_of([{"best_of": 8}, {"keep": 2}])


def test_lists_without_options_are_what_they_were() -> None:
    assert options_of(PAGE_UNITS) == JobOptions()
    assert units_from_args(PAGE_UNITS) == [Unit()] * 3
    old = [FIELDS[OLD_FIELDS.get(name, name)].default for name in OLD_ORDERS[0]]
    for args in (old, [*old, *PAGE[len(old) :]]):
        assert units_from_args(args)[0] == Unit()
        assert options_of(args) == JobOptions()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"best_of": 0}, "from 1 to 64"),
        ({"best_of": 65}, "from 1 to 64"),
        ({"best_of": 2.5}, "whole number"),
        ({"best_of": 2, "keep": 3}, "at most as many"),
        ({"likeness_target": 1.5}, "from 0 to 1"),
        ({"look_ahead": "yes"}, "true or false"),
        ({"best": 2}, "unknown option"),
    ],
)
def test_what_cannot_be_is_said(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UnitError, match=words):
        JobOptions.from_dict(values)


def test_the_command_line_reads_the_same() -> None:
    assert job_options_of(None) == JobOptions()
    typed = [("best_of", "8"), ("likeness_target", "0.6"), ("keep", "2"), ("look_ahead", "false")]
    assert job_options_of(typed) == JobOptions(best_of=8, likeness_target=0.6, keep=2, look_ahead=False)
    with pytest.raises(UnitError, match="twice"):
        job_options_of([("keep", "2"), ("keep", "1")])
