"""A run as rows of the journal's tables, and back."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from lib_faceid.errors import UnitError
from lib_faceid.journal.bodies import packed, plain, unpacked
from lib_faceid.journal.run import HASH_DIGITS, MAX_NOTE, MAX_TAG, MAX_TAGS, Run, task_id
from lib_faceid.journal.words import unwrite, write

__all__ = ["COLUMNS", "REFUSED", "delete", "insert", "read", "tags_of", "update"]

COLUMNS = ("number", "time", "parent", "prompt", "negative", "note", "tags", "tried", "people", "pictures", "likeness")
IN_COLUMNS = {"id", "time", "parent", "prompt", "negative", "note", "tags", "tried", "people", "likeness"}
BETWEEN = ", "
REFUSED = "not_it"  # of a kept diagnosis: the rows of the map that somebody said are not it
MAX_LOOKED_UP = 200  # people and photos of one run


def insert(db: sqlite3.Connection, run: Run) -> Run:
    """Write down a new run, and return it with its number. Times never go backwards: a later number is a later run."""
    run = _clean(run)
    last = db.execute("SELECT max(time) FROM runs").fetchone()[0]
    run = replace(run, time=max(run.time, last or 0.0))
    names = ", ".join(COLUMNS[1:])
    questions = ", ".join("?" * (len(COLUMNS) - 1))
    found = db.execute(f"INSERT INTO runs ({names}) VALUES ({questions})", _values(run))
    run = replace(run, number=int(found.lastrowid or 0))
    db.execute("INSERT INTO bodies VALUES (?, ?)", (run.number, _body(run)))
    _write_lists(db, run)
    write(db, run.number)
    return run


def update(db: sqlite3.Connection, run: Run) -> Run:
    """Write down a run anew that has its number already, and return it as it is kept."""
    run = _clean(run)
    unwrite(db, run.number)
    changed = ", ".join(f"{name} = ?" for name in COLUMNS[1:])
    db.execute(f"UPDATE runs SET {changed} WHERE number = ?", (*_values(run), run.number))
    db.execute("UPDATE bodies SET body = ? WHERE run = ?", (_body(run), run.number))
    for table in ("people", "tags", "photos", "refused"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (run.number,))
    _write_lists(db, run)
    write(db, run.number)
    return run


def delete(db: sqlite3.Connection, number: int) -> None:
    """Take a run out of every table."""
    unwrite(db, number)
    db.execute("DELETE FROM runs WHERE number = ?", (number,))


def read(db: sqlite3.Connection, numbers: Sequence[int]) -> list[Run]:
    """Return the runs of these numbers that are there, in this order. Raises FileError where one is damaged."""
    found: dict[int, Run] = {}
    query = f"SELECT {', '.join(COLUMNS)}, body FROM runs JOIN bodies ON run = number WHERE number = ?"
    for number in numbers:
        for row in db.execute(query, (number,)):
            found[number] = _run_of(row)
    return [found[number] for number in numbers if number in found]


def tags_of(text: str) -> tuple[str, ...]:
    """Return the tags in a text, between commas: each once, without blanks around it. Raises UnitError for too many."""
    found = dict.fromkeys(" ".join(part.split()) for part in re.split(r"[,\n]", text))
    tags = tuple(tag for tag in found if tag)
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG for tag in tags):
        raise UnitError(f"At most {MAX_TAGS} tags of up to {MAX_TAG} letters are kept. Write the rest into the note.")
    return tags


def _clean(run: Run) -> Run:
    """Return the run as it will come back. Raises UnitError for a note that is too long, or too many tags."""
    if len(run.note) > MAX_NOTE:
        raise UnitError(f"The note has {len(run.note):,} letters, and at most {MAX_NOTE:,} are kept. Shorten it.")
    values = plain(run.as_dict())
    return replace(Run.from_dict(values), tags=tags_of(BETWEEN.join(values["tags"])))


def _values(run: Run) -> tuple[object, ...]:
    texts = (run.prompt, run.negative, run.note, BETWEEN.join(run.tags), run.tried, " | ".join(run.people))
    return (run.time, run.parent, *texts, len(run.pictures), run.likeness)


def _body(run: Run) -> bytes:
    return packed({name: value for name, value in run.as_dict().items() if name not in IN_COLUMNS})


def _write_lists(db: sqlite3.Connection, run: Run) -> None:
    people = [(name, run.number, run.likeness_of(name)) for name in run.people[:MAX_LOOKED_UP]]
    hashes = {one[:HASH_DIGITS] for unit in run.units for one in unit.references if one}
    db.executemany("INSERT INTO people VALUES (?, ?, ?)", people)
    db.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", [(tag, run.number) for tag in run.tags])
    db.executemany("INSERT INTO photos VALUES (?, ?)", [(one, run.number) for one in sorted(hashes)[:MAX_LOOKED_UP]])
    refused = run.diagnosis.get(REFUSED) or () if isinstance(run.diagnosis, dict) else ()
    db.executemany("INSERT OR IGNORE INTO refused VALUES (?, ?)", [(run.number, str(row)) for row in refused])


def _run_of(row: Sequence[object]) -> Run:
    *columns, body = row
    values = dict(zip(COLUMNS, columns, strict=True))
    number, parent, tags = values["number"], values["parent"], str(values["tags"])
    own = {"id": task_id(int(str(number))), "parent": task_id(int(str(parent))) if parent else None}
    texts = {name: values[name] for name in ("time", "prompt", "negative", "note", "tried")}
    return Run.from_dict({**unpacked(bytes(body)), **own, **texts, "tags": tags_of(tags)})  # pyright: ignore[reportArgumentType]
