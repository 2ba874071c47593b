"""The list of slow tests, and the order in which files run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from running import PROPERTY, SLOW_S, by_file, longest_first, unexplained, worker_scope


def report(test: str, *phases: tuple[str, float, str]) -> Any:
    return SimpleNamespace(nodeid=test, user_properties=[("other", 1), *((PROPERTY, phase) for phase in phases)])


REPORTS = [
    report("a.py::quick", ("call", SLOW_S - 1, "")),
    report("a.py::slow", ("setup", SLOW_S + 2, ""), ("call", SLOW_S + 1, "")),
    report("b.py::explained", ("call", SLOW_S + 9, "it draws eight people")),
    SimpleNamespace(nodeid="c.py"),
]


def test_slow_phases_without_a_reason_are_listed_longest_first() -> None:
    assert unexplained(REPORTS) == ["  12.0 s  setup    a.py::slow", "  11.0 s  call     a.py::slow"]


def test_the_seconds_of_files() -> None:
    assert by_file([*REPORTS, REPORTS[0]]) == [
        "  32.0 s  a.py",
        "  19.0 s  b.py",
    ]  # a report that comes twice counts once


def test_the_longest_files_come_first_and_the_others_keep_their_order() -> None:
    files = ["test_a.py", "test_b.py", "browser/test_page.py", "test_slow.py", "test_likeness.py"]
    paths = sorted(
        (Path("tests") / name for name in files), key=lambda p: longest_first(p, is_slow=p.stem == "test_slow")
    )
    assert [path.name for path in paths] == [
        "test_page.py",
        "test_likeness.py",
        "test_slow.py",
        "test_a.py",
        "test_b.py",
    ]


def test_browser_tests_share_a_worker_and_files_are_whole() -> None:
    tests = [
        "tests/test_a.py::one",
        "tests/test_a.py::two[b::c]",
        "tests/browser/test_a.py::one",
        "tests/browser/test_b.py::x",
    ]
    assert [worker_scope(test) for test in tests] == ["tests/test_a.py", "tests/test_a.py", "browser", "browser"]
