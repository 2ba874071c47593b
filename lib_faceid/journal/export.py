"""Runs as CSV for spreadsheets, and as JSON with everything; in parts, so that any number of them can be written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone

from lib_faceid.errors import UnitError
from lib_faceid.journal.run import Run, task_id

__all__ = ["as_csv", "as_json", "harmless", "seconds_of"]

COLUMNS = (
    "run", "time", "parent", "tried", "people", "likeness", "best", "pictures", "prompt", "negative", "checkpoint",
    "adapters", "settings", "seeds", "tags", "note", "diagnosis", "files",
)  # fmt: skip
# What a spreadsheet takes for a formula, also behind blanks, where it stands first in a cell.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def as_csv(runs: Iterable[Run]) -> Iterator[str]:
    """Give the head, and a line for each run. A cell that a spreadsheet would take for a formula begins with '."""
    yield _line(COLUMNS)
    for run in runs:
        yield _line([harmless(cell) for cell in _cells(run)])


def as_json(runs: Iterable[Run]) -> Iterator[str]:
    """Give a list of all runs, one behind the other, each as `Run.from_dict` reads it."""
    before = "["
    for run in runs:
        yield f"{before}\n{json.dumps(run.as_dict(), ensure_ascii=False)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def seconds_of(text: str | None, *, is_end: bool = False) -> float | None:
    """Return a date, or date and time of this machine's zone, as seconds since 1970; None for nothing.

    is_end: a date alone means its end. Raises UnitError for what is no date.
    """
    if text is None or not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UnitError(f"{text[:40]!r} is no date; one as 2026-11-26 or 2026-11-26T17:45 was expected.") from error
    is_day = len(text.strip()) <= len("2026-11-26")
    try:
        seconds = (found + timedelta(days=1) if is_end and is_day else found).timestamp()
    except (OverflowError, ValueError, OSError) as error:
        raise UnitError(f"{text[:40]!r} is out of range; a date of our days was expected.") from error
    return seconds - 1e-6 if is_end and is_day else seconds


def _cells(run: Run) -> list[str]:
    settings = {**{str(unit.number): dict(unit.settings) for unit in run.units}, **run.settings}
    when = datetime.fromtimestamp(run.time, timezone.utc).isoformat(timespec="seconds")
    return [
        run.id,
        when,
        task_id(run.parent) if run.parent else "",
        run.tried,
        " | ".join(run.people),
        _number(run.likeness),
        _number(run.best),
        str(len(run.pictures)),
        run.prompt,
        run.negative,
        run.checkpoint,
        " | ".join(str(unit.settings.get("adapter", "")) for unit in run.units),
        json.dumps(settings, ensure_ascii=False),
        " ".join(str(one.seed) for one in run.pictures),
        ", ".join(run.tags),
        run.note,
        json.dumps(run.diagnosis, ensure_ascii=False) if run.diagnosis else "",
        " | ".join(one.path for one in run.pictures if one.path),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet carries out. A likeness below zero stays a number."""
    if not cell.lstrip(" \n").startswith(FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isascii() and cell.removeprefix("-").replace(".", "", 1).isdigit()


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
