"""How the tests run: the longest files first, and at the end a list of slow tests that do not say why they are.

What counts is processor time, with that of programs that a test ran and waited for: it is the same on a busy machine.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

__all__ = ["SLOW_S", "by_file", "longest_first", "unexplained", "worker_scope"]

SLOW_S = 10
"""Processor seconds of one phase of a test, above which it needs the marker `slow("why")`."""
PROPERTY = "cpu_s"
# Where two workers share the files, one of these at the end would leave the other worker idle.
BROWSER = "browser"
LONGEST = (BROWSER, "test_likeness.py", "test_training.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-by-file", action="store_true", help="list the processor seconds of each file at the end")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: longest_first(item.path, is_slow=_is_slow_file(item)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return who shares out the files: each goes to one worker as a whole, and those with a browser to one."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return worker_scope(nodeid)

    return Files(config, log)


def worker_scope(test: str) -> str:
    """Return what of a test's name is the same for tests that need one worker."""
    file = test.split("::", maxsplit=1)[0]
    return BROWSER if BROWSER in Path(file).parts else file


def _is_slow_file(item: pytest.Item) -> bool:
    """Whether the file holds a test that says that it is slow."""
    module = item.getparent(pytest.Module)
    marks = [mark for one in vars(module.obj).values() for mark in getattr(one, "pytestmark", ())] if module else []
    return any(mark.name == "slow" for mark in marks)


def longest_first(path: Path, *, is_slow: bool) -> int:
    """Return a key to sort files by: the longest, then those with slow tests, then the rest as they were."""
    named = [number for number, name in enumerate(LONGEST) if name in path.parts]
    return named[0] if named else len(LONGEST) + (not is_slow)


def _cpu_s() -> float:
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _measured(item, "setup"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _measured(item, "call"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _measured(item, "teardown"))


def _measured(item: pytest.Item, phase: str) -> Generator[None, Any, Any]:
    began = _cpu_s()
    try:
        return (yield)
    finally:
        # Workers send properties to the process that prints; other attributes of an item they do not.
        item.user_properties.append((PROPERTY, (phase, round(_cpu_s() - began, 2), _why_slow(item))))


def _why_slow(item: pytest.Item) -> str:
    marker = item.get_closest_marker("slow")
    return str(marker.args[0]) if marker else ""


def _phases(reports: Sequence[Any]) -> dict[tuple[str, str], tuple[float, str]]:
    """Return (test, phase) -> (processor seconds, why it may be slow)."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == PROPERTY:
                phase, seconds, why = value
                found[report.nodeid, phase] = (seconds, why)
    return found


def unexplained(reports: Sequence[Any]) -> list[str]:
    """Return a line for each phase of a test that took long and does not say why."""
    slow = [(seconds, test, phase) for (test, phase), (seconds, why) in _phases(reports).items() if not why]
    return [
        f"{seconds:6.1f} s  {phase:8} {test}" for seconds, test, phase in sorted(slow, reverse=True) if seconds > SLOW_S
    ]


def by_file(reports: Sequence[Any]) -> list[str]:
    """Return a line for each file with its processor seconds, the longest first."""
    total: dict[str, float] = {}
    for (test, _), (seconds, _) in _phases(reports).items():
        file = test.split("::")[0]
        total[file] = total.get(file, 0.0) + seconds
    return [f"{seconds:6.1f} s  {file}" for file, seconds in sorted(total.items(), key=lambda one: -one[1])]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for some in terminalreporter.stats.values() for report in some if hasattr(report, "nodeid")]
    if terminalreporter.config.getoption("--cpu-by-file"):
        terminalreporter.section("processor seconds by file")
        for line in by_file(reports):
            terminalreporter.line(line)
    lines = unexplained(reports)
    if lines:
        terminalreporter.section(f'over {SLOW_S} s of processor time, without a marker slow("why")')
        for line in lines:
            terminalreporter.line(line)
