"""What a studio sees of a batch: a page with contact sheets, and a table of all results. Static files, no server."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from lib_faceid.batch.failures import read_failures
from lib_faceid.batch.index import DONE, FAILED, Index
from lib_faceid.batch.page import page
from lib_faceid.batch.store import Store
from lib_faceid.batch.summary import Line, Summary
from lib_faceid.journal.export import harmless
from lib_faceid.whole_files import being_written, write_whole

__all__ = ["COLUMNS", "results", "told_in", "write_report", "write_results"]

MOST_SHOWN = 3000
"""Pictures of one page; with more, each person has a page."""
MOST_PEOPLE, MOST_FAILURES = 2000, 500
COLUMNS = (
    "row", "people", "prompt", "negative", "seed", "drawn_seed", "size", "steps", "cfg", "checkpoint", "likeness",
    "words", "note", "state", "file", "sha256", "key",
)  # fmt: skip
NUMBERS = ("row", "seed", "drawn_seed", "steps", "cfg", "likeness")


def write_report(store: Store, index: Index, title: str, line: str, failures: list[list[Any]], *, runs: bool) -> Path:
    """Write `report.html`, and where there are very many pictures, `report/` with a page for each person."""
    summary = Summary().read(index.lines(DONE))
    several = summary.count > MOST_SHOWN
    names = sorted(summary.people)[:MOST_PEOPLE]
    pages = {name: f"report/{number + 1:04d}.html" if several else "" for number, name in enumerate(names)}
    place = {name: number for number, name in enumerate(names)}
    data: dict[str, Any] = {
        "title": title, "line": line, "runs": runs, "base": "", "failures": failures[:MOST_FAILURES],
        "note": "There are too many for one page: each person has one." if several else "",
        "people": [summary.people[name].as_dict(pages[name]) for name in names],
        "worst": [_shown(one, place) for one in summary.worst if one[2] in place],
        "pictures": [] if several else [_shown(one, place) for one in index.lines(DONE) if one[2] in place],
    }  # fmt: skip
    file = store.folder / "report.html"
    if several and not runs:
        _write_people(store, index, summary, pages)
    write_whole(file, page(data).encode())
    return file


def _write_people(store: Store, index: Index, summary: Summary, pages: dict[str, str]) -> None:
    for name, file in pages.items():
        person = summary.people[name]
        lines = [_shown(one, {name: 0}) for one in islice(index.lines(DONE, name), MOST_SHOWN)]
        left_out = person.count - len(lines)
        note = f"{left_out:,} more stand in results.csv only." if left_out else ""
        data: dict[str, Any] = {
            "title": name or "nobody", "line": f"{person.count:,} pictures", "note": note, "runs": False, "base": "../",
            "failures": [], "people": [person.as_dict()], "worst": [], "pictures": lines,
        }  # fmt: skip
        (store.folder / file).parent.mkdir(exist_ok=True)
        write_whole(store.folder / file, page(data).encode())


def _shown(line: Line, place: dict[str, int]) -> list[Any]:
    key, row, name, seed, likeness, prompt = line
    return [key, row, place[name], str(seed), likeness, prompt[:300]]


def results(store: Store, index: Index) -> Iterator[dict[str, Any]]:
    """Give every picture that is there or could not be drawn, by `COLUMNS`."""
    for state, word in ((DONE, "drawn"), (FAILED, "failed")):
        for task in index.tasks(state):
            picture, record = task.picture, store.record(task.key) or {}
            score = record.get("score") or {}
            yield {
                "row": picture.row,
                "people": picture.cast.label,
                "prompt": picture.prompt,
                "negative": picture.negative,
                "seed": picture.seed,
                "drawn_seed": record.get("drawn_seed"),
                "size": "x".join(map(str, picture.size)) if picture.size else "",
                "steps": picture.steps,
                "cfg": picture.cfg,
                "checkpoint": picture.checkpoint,
                "likeness": record.get("likeness"),
                "words": score.get("words", ""),
                "note": score.get("note", ""),
                "state": word,
                "file": store.path(task.key).relative_to(store.folder).as_posix() if record else "",
                "sha256": record.get("sha256", ""),
                "key": task.key,
            }


def write_results(store: Store, index: Index) -> list[Path]:
    """Write `results.csv`, and `results.parquet` where pyarrow is installed; return what was written."""
    file = store.folder / "results.csv"
    with being_written(file) as part, part.open("w", encoding="utf-8", errors="replace", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(COLUMNS)
        for one in results(store, index):
            lines.writerow([_cell(name, one[name]) for name in COLUMNS])
    return [file, *_parquet(store, index)]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    return str(value) if name in NUMBERS else harmless(str(value))


def _parquet(store: Store, index: Index) -> list[Path]:
    try:
        pyarrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        return []
    kinds: dict[str, Any] = {name: pyarrow.string() for name in COLUMNS}
    kinds |= {"row": pyarrow.int64(), "seed": pyarrow.uint64(), "drawn_seed": pyarrow.uint64()}
    kinds |= {"steps": pyarrow.int32(), "cfg": pyarrow.float64(), "likeness": pyarrow.float64()}
    schema: Any = pyarrow.schema(list(kinds.items()))
    found, file = results(store, index), store.folder / "results.parquet"
    with being_written(file) as part, parquet.ParquetWriter(str(part), schema) as writer:
        while lines := list(islice(found, 10_000)):
            writer.write_table(pyarrow.Table.from_pylist(lines, schema=schema))
    return [file]


def told_in(store: Store, title: str) -> Callable[[Index, str, bool], None]:
    """Return what tells of a batch in its folder: the page, and once it rests the table."""

    def tell(index: Index, line: str, goes_on: bool) -> None:
        failures = [
            [one["row"], one["people"], str(one["seed"]), one["sentence"], one["command"]]
            for one in read_failures(store.folder)
        ]
        write_report(store, index, title, line, failures, runs=goes_on)
        if not goes_on:
            write_results(store, index)

    return tell
