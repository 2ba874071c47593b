"""The helper for other extensions, on objects of the WebUI's shape (modules/scripts.py, modules/processing.py)."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from lib_faceid import external
from lib_faceid.errors import HostError, UnitError
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.unit import FIELDS, Unit

UNITS = 3
PAGE = [field.default for field in FIELDS.values()] * UNITS
FIRST = 1 + 2  # the selected script's number, and another script's two arguments


class Script:
    """What a runner holds: titles are methods, and `name` is the title in lower case."""

    def __init__(self, title: str, first: int, last: int) -> None:
        self._title, self.args_from, self.args_to = title, first, last

    def title(self) -> str:
        return self._title


class Broken:
    def title(self) -> str:
        raise RuntimeError("somebody else's")


def job(*args: Any, kind: type = list, ours: bool = True) -> Any:
    """A processing object whose page holds these arguments for us."""
    scripts: list[Any] = [Broken(), SimpleNamespace(), Script("Other", 1, FIRST)]
    if ours:
        scripts.append(Script("IP-Adapter FaceID", FIRST, FIRST + len(PAGE)))
    scripts.append(Script("Last", FIRST + len(PAGE), FIRST + len(PAGE) + 1))
    values = [*args, *PAGE[len(args) :]]
    runner = SimpleNamespace(alwayson_scripts=scripts)
    return SimpleNamespace(scripts=runner, script_args=kind([0, "a", "b", *values, "last"]))


def units_as_read(p: Any) -> list[Unit]:
    """What our own script will make of the job."""
    return units_from_args(p.script_args[FIRST : FIRST + len(PAGE)])


@pytest.mark.parametrize("kind", [list, tuple])
def test_what_is_set_is_what_is_got_and_what_our_script_reads(kind: type) -> None:
    p = job(kind=kind)
    assert external.get_units(p) == [Unit()] * UNITS
    unit = Unit.from_dict({"image": "AAAA", "weight": 0.4})
    external.set_units(p, [unit, {"person": "Anna", "lora": 0}])
    assert external.get_units(p) == units_as_read(p) == [unit, Unit.from_dict({"person": "Anna", "lora": 0})]
    assert type(p.script_args) is kind
    assert [*p.script_args[:FIRST], p.script_args[-1]] == [0, "a", "b", "last"]


def test_one_field_of_a_unit_is_changed_as_documented() -> None:
    p = job({"image": "AAAA", "weight": 0.4})
    units = external.get_units(p)
    external.set_units(p, [dataclasses.replace(units[0], weight=0.5)])
    assert units_as_read(p) == [dataclasses.replace(units[0], weight=0.5)]


def test_no_units_draw_nobody() -> None:
    p = job({"image": "AAAA"})
    external.set_units(p, [])
    assert not any(unit.acts for unit in units_as_read(p))


def test_what_is_set_is_plain_and_can_be_pickled_and_copied() -> None:
    p = job()
    unit = Unit.from_dict({"images": ["AAAA", {"image": "BBBB", "weight": 2}], "negative_images": ["CCCC"]})
    external.set_units(p, [unit])
    value = p.script_args[FIRST]
    assert value["images"] == [{"image": "AAAA", "weight": 1.0}, {"image": "BBBB", "weight": 2}]
    assert value["negative_images"] == [{"image": "CCCC", "weight": 1.0}]
    assert units_as_read(p) == [unit]
    json.dumps(value)  # some schedulers keep jobs as JSON
    assert pickle.loads(pickle.dumps(p.script_args)) == copy.deepcopy(p.script_args) == p.script_args
    assert "module" not in value  # another extension disables arguments that have one


@pytest.mark.parametrize("units", [[{"wieght": 1}], [{"weight": 9}], [{}, {"lora": "x"}], [{}] * (len(PAGE) + 1)])
def test_a_wrong_unit_changes_nothing(units: list[dict[str, Any]]) -> None:
    p = job()
    before = list(p.script_args)
    with pytest.raises(UnitError):
        external.set_units(p, units)
    assert p.script_args == before


def test_the_wrong_unit_is_named() -> None:
    with pytest.raises(UnitError, match=r"Unit 1: unknown field 'wieght' \(did you mean 'weight'\?\)"):
        external.set_units(job(), [{}, {"wieght": 1}])


def test_a_job_without_our_script() -> None:
    for p in (job(ours=False), SimpleNamespace(scripts=None, script_args=[]), SimpleNamespace()):
        assert external.find_script(p) is None
        assert external.get_units(p) == []
        with pytest.raises(HostError, match="has no script 'IP-Adapter FaceID'"):
            external.set_units(p, [])


@pytest.mark.parametrize("args", [None, {}, [], [0]])
def test_a_job_that_another_script_made_without_arguments(args: Any) -> None:
    p = job()
    p.script_args = args
    assert external.get_units(p) == []
    with pytest.raises(HostError, match="Fill them"):
        external.set_units(p, [])


def test_the_version_is_a_number() -> None:
    assert external.api_version() == external.API_VERSION >= 1
