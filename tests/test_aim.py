"""Aim, played on curves: it ends near the target with few probes, or says what the most is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_faceid.commands.aim import curve_text
from lib_faceid.errors import UnitError
from lib_faceid.likeness.aim import MOST_PROBES, TOLERANCE, Aim, Goal, Probe, aim, change_between


def saturating(weight: float) -> float:
    """Return a curve as adapters have it: up, level, down again."""
    return 0.2 + 0.4 * (1 - math.exp(-3 * weight)) - 0.1 * max(weight - 1.2, 0)


def run(target: float, curve: Callable[[float], float | None], **settings: object) -> Aim:
    return aim(Goal(target, **settings), lambda value: Probe(value, curve(value)))  # type: ignore[arg-type]


@pytest.mark.parametrize("target", [0.25, 0.3, 0.4, 0.5, 0.55, 0.57])
def test_a_target_is_reached_with_the_smallest_weight(target: float) -> None:
    found = run(target, saturating)
    assert found.proposed
    assert abs(found.proposed.counts - target) <= TOLERANCE
    assert len(found.probes) <= MOST_PROBES
    assert found.proposed.value < 1.3


def test_what_cannot_be_reached_is_said_with_the_most() -> None:
    found = run(0.8, saturating)
    assert found.proposed is None
    assert found.best.counts > 0.57
    assert "NOT reached" in found.sentence()
    assert f"{found.best.counts:.2f}" in found.sentence()
    assert found.as_dict()["reached"] is False


def test_what_is_there_without_a_person_needs_one_picture() -> None:
    found = run(0.2, saturating)
    assert len(found.probes) == 1
    assert found.proposed
    assert found.proposed.value == 0


def test_without_a_face_it_ends() -> None:
    found = run(0.5, lambda _: None)
    assert found.proposed is None
    assert "none of them" in found.sentence()


def test_the_curve_is_by_value_and_the_first_is_the_one_without() -> None:
    found = run(0.5, saturating)
    values = [one.value for one in found.curve]
    assert values == sorted(set(values))
    assert found.probes[0].value == 0


def test_other_fields_and_ranges() -> None:
    found = run(0.5, saturating, name="lora", lowest=0.0, highest=1.5, start=0.6)
    assert found.proposed
    assert max(one.value for one in found.probes) <= 1.5
    for wrong in ({"name": "noise"}, {"lowest": 1.0, "highest": 1.0}, {"most": 1}):
        with pytest.raises(UnitError):
            Goal(0.5, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UnitError):
        Goal(1.5)


@given(st.floats(0, 1), st.integers(0, 10_000), st.floats(0, 0.05))
def test_any_noisy_curve_ends_within_its_budget(target: float, seed: int, noise: float) -> None:
    random = np.random.default_rng(seed)
    found = run(target, lambda weight: saturating(weight) + float(random.normal(0, noise)))
    values = [one.value for one in found.probes]
    assert len(values) == len(set(values)) <= MOST_PROBES
    assert all(0 <= value <= 2 for value in values)
    if found.proposed:
        assert found.proposed.counts >= target - TOLERANCE


def test_how_far_pictures_are_apart() -> None:
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert change_between(black, white) == 1
    assert change_between(white, white) == 0


def test_the_curve_in_words_and_as_a_drawing() -> None:
    found = run(0.5, saturating)
    assert found.proposed
    text = curve_text(found)
    assert f"{found.proposed.value:g}" in next(line for line in text.splitlines() if line.endswith("<-"))
    assert text.splitlines()[-1] == found.sentence()
    assert "no face" in curve_text(run(0.5, lambda _: None))


def test_the_page_draws_the_curve() -> None:
    pytest.importorskip("gradio")
    from lib_faceid.ui.aim import aim_html

    found = run(0.5, saturating)
    html = aim_html(found)
    assert html.count("<circle") == len(found.probes)
    assert found.sentence() in html
    assert "NOT reached" in aim_html(run(0.9, saturating))
