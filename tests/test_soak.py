"""The jobs of `python dev.py soak`, and what it takes for something left behind. The soak itself needs a live WebUI."""

from __future__ import annotations

from typing import Any

import pytest

from lib_faceid.errors import UnitError
from lib_faceid.units.unit import Unit
from tests.soak.__main__ import left_behind
from tests.soak.jobs import KINDS, random_jobs

PHOTOS = ("AAAA", "BBBB", "CCCC")
JOBS = random_jobs(500, 1, PHOTOS)


def test_a_seed_is_its_jobs() -> None:
    assert random_jobs(500, 1, PHOTOS) == JOBS
    assert random_jobs(500, 2, PHOTOS) != JOBS


def test_every_kind_is_among_them() -> None:
    ended = {"interrupt", "skip"}
    assert {job.kind for job in JOBS} == (KINDS.keys() - {"ended"}) | ended
    assert {job.status for job in JOBS} == {200, 422, 500}


def test_units_are_right_but_for_those_that_are_refused() -> None:
    for job in JOBS:
        if job.status != 422:
            assert [Unit.from_dict(unit).enabled for unit in job.units] == [True] * len(job.units)
    for unit in (unit for job in JOBS if job.status == 422 for unit in job.units):
        if "none" in unit.values() or "Nobody" in unit.values():  # found out when models and people are looked for
            continue
        with pytest.raises(UnitError):
            Unit.from_dict(unit)


def sample(**changes: Any) -> dict[str, Any]:
    objects = {"WebUIJob": 0, "Injection": 0} | changes.pop("objects", {})
    return {"memory_mib": 2000.0, "handles": 15, "threads": 6, "temporary_files": 1, **changes, "objects": objects}


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ({}, []),
        ({"memory_mib": 2099.0, "handles": 19}, []),
        ({"memory_mib": 2101.0}, ["memory: 2000.0 MiB became 2101.0 MiB"]),
        ({"handles": 20, "threads": 11}, ["handles: 15 became 20", "threads: 6 became 11"]),
        ({"temporary_files": 2}, ["temporary files: 1 became 2"]),
        ({"objects": {"WebUIJob": 1}}, ["1 objects WebUIJob are alive"]),
    ],
)
def test_what_counts_as_left_behind(last: dict[str, Any], words: list[str]) -> None:
    """From the first quarter of the samples on: until then models are loaded."""
    samples = [(0, sample(memory_mib=900.0, handles=3)), *((number, sample()) for number in range(1, 5))]
    assert left_behind([*samples, (5, sample(**last))]) == words
