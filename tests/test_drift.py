"""The alarm over a run of pictures: rarely where nothing falls, soon where the likeness does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bench.drift_drawn import drawn_runs

from lib_faceid.likeness.drift import BASELINE, Drift, DriftWatch
from lib_faceid.miniature.trained import MEASURED

MEAN, SPREAD = 0.519, 0.041  # of people whom the miniature never saw, and of one person's seeds
WITHIN = 8


def run(likenesses: np.ndarray, before: int = 0) -> list[int]:
    """Return after which pictures there is an alarm, counted from 1 behind the first `before`."""
    watch = DriftWatch()
    return [at - before + 1 for at, one in enumerate(likenesses.tolist()) if watch.add(one)]


def found(baseline: int, fall: float, times: int = 400) -> float:
    """Return in which share of runs a fall of so many standard deviations is found within 8 pictures."""
    generator = np.random.default_rng(7)
    values = MEAN + SPREAD * generator.standard_normal((times, baseline + WITHIN))
    values[:, baseline:] -= fall * SPREAD
    return float(np.mean([bool(alarms) and alarms[0] >= 1 for alarms in (run(row, baseline) for row in values)]))


def test_where_nothing_falls_there_is_less_than_one_alarm_in_1000_pictures() -> None:
    generator = np.random.default_rng(1)
    alarms = sum(len(run(MEAN + SPREAD * row)) for row in generator.standard_normal((80, 1000)))
    assert 0 < alarms <= 80, "none at all would be a rule that cannot alarm"


@pytest.mark.parametrize(
    ("fall", "baseline", "least"), [(2, 20, 0.85), (2, 40, 0.93), (2.5, 40, 0.98), (2.5, 20, 0.96), (3, 20, 0.99)]
)
def test_a_fall_is_found_within_8_pictures(fall: float, baseline: int, least: float) -> None:
    assert found(baseline, fall) >= least


def test_what_can_go_wrong_is_found_at_once() -> None:
    """Weight 0, a wrong adapter and a swapped person leave what was measured on the miniature."""
    left = {"weight 0": json.loads(MEASURED.read_text("utf-8"))["never_seen"]["0"], "somebody else's": 0.21}
    for likeness in left.values():
        assert found(20, (MEAN - likeness) / SPREAD) == 1


def test_one_bad_picture_is_no_drift() -> None:
    good = MEAN + SPREAD * np.random.default_rng(3).standard_normal(30)
    assert not run(np.concatenate([good, [0.0], good]))


def test_pictures_that_are_all_the_same_do_not_divide_by_nothing() -> None:
    assert not run(np.full(60, 0.5))
    assert run(np.concatenate([np.full(30, 0.5), np.full(8, 0.3)]), 30) == [2]


def test_the_alarm_comes_once_and_says_what_fell() -> None:
    generator = np.random.default_rng(5)
    watch = DriftWatch(MEAN + SPREAD * generator.standard_normal(40))
    alarms = [drift for _ in range(30) if (drift := watch.add(0.3 + SPREAD * float(generator.standard_normal())))]
    assert len(alarms) == 1
    assert alarms[0].before == pytest.approx(MEAN, abs=0.02)
    assert alarms[0].now == pytest.approx(0.3, abs=0.1)
    words = Drift(0.519, 0.041, 0.297, 3).sentence("FaceID 0")
    assert words.startswith("The likeness of FaceID 0 has fallen: the last 3 pictures have 0.30 on average")


def test_too_few_pictures_and_pictures_without_a_face_say_nothing() -> None:
    watch = DriftWatch()
    assert not any(watch.add(0.5 + 0.01 * (at % 3)) for at in range(BASELINE - 1))
    assert not any(watch.add(None) for _ in range(50))
    assert watch.add(0.1) is None, "the baseline is not full yet"


def test_changes_in_pictures_that_were_really_drawn_are_found_within_8() -> None:
    """Eight people whom the miniature never saw; then weight 0, somebody else, or another recogniser's adapter."""
    first: dict[str, list[int]] = {}
    for one in drawn_runs():
        assert not _alarms(one["good"])
        for change, after in one["changed"].items():
            alarms = [at - len(one["good"]) for at in _alarms([*one["good"], *after])]
            first.setdefault(change, []).append(alarms[0] if alarms else WITHIN + 1)
    assert set(first) == {"weight 0", "another person", "another adapter"}
    found = [at <= WITHIN for of_change in first.values() for at in of_change]
    assert all(found), first


def _alarms(likenesses: list[float | None]) -> list[int]:
    """After which picture there is an alarm, counted from 1."""
    watch = DriftWatch()
    return [at for at, one in enumerate(likenesses, 1) if watch.add(one)]
