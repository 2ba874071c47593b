"""Looking ahead saves UNet calls, and Aim hits: played hundreds of times over what the miniature really drew."""

from __future__ import annotations

import numpy as np
import pytest
from bench.search_trials import (
    COMPARED,
    MOST_CALLS,
    SAME,
    TRIALS,
    Looks,
    aim_trials,
    cheapest,
    is_near,
    read_looks,
    trials,
)

from lib_faceid.likeness.aim import MOST_PROBES


@pytest.fixture(scope="module")
def looks() -> Looks:
    return read_looks()


@pytest.mark.parametrize("count", COMPARED)
def test_the_same_likeness_for_a_third_fewer_calls(looks: Looks, count: int) -> None:
    assert TRIALS >= 200
    plain = trials(looks, count, look_ahead=False)
    assert plain.calls == count * looks.steps
    found = cheapest(looks, plain.likeness)
    assert found
    assert found[1].likeness >= plain.likeness - SAME
    assert found[1].calls <= MOST_CALLS * plain.calls


def test_more_likeness_for_the_same_calls(looks: Looks) -> None:
    plain = trials(looks, 8, look_ahead=False)
    for count in range(16, 8, -1):
        ahead = trials(looks, count, look_ahead=True)
        if ahead.calls <= plain.calls:
            assert ahead.likeness > plain.likeness
            return
    raise AssertionError("looking ahead is never as cheap")


def test_looks_that_say_nothing_save_nothing(looks: Looks) -> None:
    """The control: with the estimates of another seed, what is dropped is dropped by chance."""
    shuffled = looks.likeness.copy()
    shuffled[..., :-1] = np.roll(shuffled[..., :-1], 5, axis=1)
    blind = Looks(looks.steps, looks.looks, shuffled)
    assert trials(blind, 8, look_ahead=True).likeness < trials(looks, 8, look_ahead=True).likeness - SAME


def test_aim_hits_what_can_be_reached() -> None:
    aims = aim_trials()
    assert len(aims) >= 50
    assert np.mean([is_near(target, found) for target, found in aims]) >= 0.9
    assert all(len(found.probes) <= MOST_PROBES for _, found in aims)
