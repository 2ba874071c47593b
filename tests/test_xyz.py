"""X/Y/Z plot axes: every field, for all units and for each one."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from lib_faceid.errors import UnitError
from lib_faceid.hosts.webui.plot_axes import add_axes, axis_options
from lib_faceid.units.job_options import JobOptions
from lib_faceid.units.overrides import with_option_overrides, with_overrides
from lib_faceid.units.unit import Unit


def make(label: str, parse: Any, apply: Any, choices: Any = None) -> SimpleNamespace:
    return SimpleNamespace(label=label, parse=parse, apply=apply, choices=choices)


OPTIONS = {option.label: option for option in axis_options(make, 2, {"adapter": lambda: ["Auto", "mine"]})}
UNITS = [Unit(enabled=True, person="a"), Unit(), Unit(enabled=True, person="b")]


def cell(p: Any, label: str, text: str) -> Any:
    """What the plot does for one cell: copies the job and applies one value."""
    p = copy.copy(p)
    option = OPTIONS[label]
    option.apply(p, option.parse(text), [])
    return p


def test_the_host_says_which_adapters_there_are() -> None:
    assert OPTIONS["[FaceID] Adapter"].choices() == ["Auto", "mine"]


def test_axes_are_added_once() -> None:
    plot = SimpleNamespace(axis_options=[make("Seed", int, None)], AxisOption=make)
    add_axes(plot, 2, {})
    add_axes(plot, 2, {})
    assert len(plot.axis_options) == 1 + len(OPTIONS)


def test_an_axis_for_all_units_changes_those_that_are_on() -> None:
    p = cell(SimpleNamespace(), "[FaceID] Identity weight", "0.3")
    assert [unit.weight for unit in with_overrides(UNITS, p)] == [0.3, 0.8, 0.3]


def test_two_units_are_plotted_against_each_other() -> None:
    p = cell(cell(SimpleNamespace(), "[FaceID] Identity weight", "0.3"), "[FaceID 1] Identity weight", "0.5")
    p = cell(p, "[FaceID 1] Enable", "yes")
    assert [(unit.enabled, unit.weight) for unit in with_overrides(UNITS, p)] == [(True, 0.3), (True, 0.5), (True, 0.3)]


def test_cells_do_not_see_each_other() -> None:
    p = SimpleNamespace()
    cell(p, "[FaceID] Identity weight", "0.3")
    assert with_overrides(UNITS, p) == UNITS


def test_a_value_that_cannot_be_is_refused() -> None:
    with pytest.raises(UnitError, match="weight is 5"):
        with_overrides(UNITS, cell(SimpleNamespace(), "[FaceID] Identity weight", "5"))


def test_best_of_and_its_target_are_set_for_a_cell() -> None:
    p = SimpleNamespace()
    of_cell = cell(cell(p, "[FaceID] Best of", "4"), "[FaceID] Likeness target", "0.6")
    before = JobOptions(keep=2, best_of=2)
    assert with_option_overrides(before, of_cell) == JobOptions(best_of=4, likeness_target=0.6, keep=2)
    assert with_option_overrides(before, p) == before
    assert with_option_overrides(before, cell(p, "[FaceID] Likeness target", "0")).likeness_target is None
    with pytest.raises(UnitError, match="keep is 2 and best_of is 1"):
        with_option_overrides(before, cell(p, "[FaceID] Best of", "1"))
