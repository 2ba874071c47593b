"""The journal: runs written down, found, edited, forgotten. It is one file, which the first run makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib_faceid.arguments import as_path, require
from lib_faceid.errors import FileError, UnitError
from lib_faceid.journal import forgetting, rows
from lib_faceid.journal.bodies import plain
from lib_faceid.journal.filters import MAX_PAGE, Filter, query
from lib_faceid.journal.lineage import Step, likely_parent, refused_rows, steps_of, tried_since
from lib_faceid.journal.run import MAX_NOTE, Run, number_of, task_id
from lib_faceid.journal.schema import connected, writing
from lib_faceid.journal.trials import TRIAL, expect, run_with, who_expects
from lib_faceid.models.folders import Roots, usual_roots
from lib_faceid.models.hashes import file_sha256
from lib_faceid.models.shards import fingerprint_of
from lib_faceid.units.parameters import parameters_from

__all__ = ["Entry", "Journal", "Page", "Point", "open_journal"]

ALL = Filter()
SHOWN = 200  # letters of a prompt in a list
CHUNK = 200  # runs read at once


@dataclass(frozen=True)
class Entry:
    """A run as a line of the list."""

    id: str
    time: float
    people: tuple[str, ...]
    likeness: float | None
    """Of the person who was asked for, else of the run."""
    pictures: int
    prompt: str
    """Its beginning."""
    tried: str
    tags: tuple[str, ...]
    note: str
    """Its beginning."""
    parent: str


@dataclass(frozen=True)
class Page:
    """Some lines, and what to ask for the next ones with."""

    entries: tuple[Entry, ...]
    after: tuple[float, ...]
    """Of the last line; empty where nothing follows."""


@dataclass(frozen=True)
class Point:
    """A person's likeness in one run."""

    id: str
    time: float
    likeness: float


class Journal:
    """The runs in one file. Nothing is made on the disk before the first run. All raise FileError for a bad file."""

    def __init__(self, file: Path | str) -> None:
        self.file = as_path(file, "file")

    @property
    def is_there(self) -> bool:
        """Whether anything was ever written down."""
        return self.file.is_file()

    def add(self, run: Run, *, finds_parent: bool = True) -> Run:
        """Write down a run, and return it with its number, its time and, where it has none, its parent.

        The parent is the run of which this one was to be tried, else the last run of the same people and seeds that
        differs in one setting alone.
        """
        return self.add_many([run], finds_parent=finds_parent)[0]

    def add_many(self, runs: Iterable[Run], *, finds_parent: bool = False) -> list[Run]:
        """Write down several runs, all or none, and return them with their numbers."""
        written: list[Run] = []
        with writing(self.file, may_make=True) as db:
            for run in runs:
                require(run, "run", Run, "a Run")
                now = replace(run, time=run.time or time.time())
                parent = _parent_of(db, now, finds_parent=finds_parent)
                if parent:
                    now = replace(now, parent=parent.number, tried=now.tried or tried_since(parent, now))
                written.append(rows.insert(db, now))
        return written

    def run(self, number: int | str) -> Run:
        """Return a run by its number, or by what it is called. Raises UnitError where there is none."""
        key = number_of(number) if isinstance(number, str) else number
        found = []
        if self.is_there:
            with connected(self.file) as db:
                found = rows.read(db, [key])
        if not found:
            raise UnitError(f"There is no run {task_id(key)} in the journal. It was forgotten, or never was.")
        return found[0]

    def page(self, criteria: Filter = ALL, after: Sequence[float] = (), size: int = 50) -> Page:
        """Return the first runs that a filter wants, or those behind the page that `after` is of."""
        if not self.is_there:
            return Page((), ())
        size = min(max(size, 1), MAX_PAGE)
        with connected(self.file) as db:
            found = query(db, criteria, after)
            shown = ", ".join(f"substr(runs.{name}, 1, {SHOWN})" for name in ("prompt", "tried", "note"))
            columns = (
                f"runs.number, runs.time, runs.people, {found.likeness}, runs.pictures, runs.tags, runs.parent, {shown}"
            )
            text, values = found.text(columns, criteria.order, size + 1)
            lines = db.execute(text, values).fetchall()
        entries = tuple(_entry(line) for line in lines[:size])
        is_more, last = len(lines) > size, lines[:size][-1:]
        key = () if not is_more else (last[0][3], last[0][0]) if criteria.order == "likeness" else (last[0][0],)
        return Page(entries, key)

    def runs(self, criteria: Filter = ALL) -> Iterator[Run]:
        """Give every run that a filter wants, whole, in its order."""
        after: tuple[float, ...] = ()
        while True:
            page = self.page(criteria, after, CHUNK)
            if page.entries:
                with connected(self.file) as db:
                    found = rows.read(db, [number_of(entry.id) for entry in page.entries])
                yield from found
            if not (after := page.after):
                return

    def edit(self, number: int | str, *, note: str | None = None, tags: Sequence[str] | None = None) -> Run:
        """Give a run another note, other tags, or both, and return it. Raises UnitError for what cannot be kept."""
        now = self.run(number)
        if note is not None and len(note) > MAX_NOTE:
            raise UnitError(f"The note has {len(note):,} letters, and at most {MAX_NOTE:,} are kept. Shorten it.")
        kept = now.tags if tags is None else rows.tags_of(",".join(tags))
        return self._changed(now.number, lambda run: replace(run, note=run.note if note is None else note, tags=kept))

    def change_diagnosis(self, number: int | str, change: Callable[[Any], Any]) -> Run:
        """Keep with a run, as plain values, what a function makes of the diagnosis kept with it, and return the run."""
        return self._changed(self.run(number).number, lambda run: replace(run, diagnosis=plain(change(run.diagnosis))))

    def try_of(self, number: int | str, trial: Mapping[str, Any]) -> Run:
        """Keep with a run what is tried of it, and return it: the next run that is this trial becomes its child."""

        def tried(before: Any) -> dict[str, Any]:
            return {**(before if isinstance(before, dict) else {}), TRIAL: dict(trial)}

        run = self.change_diagnosis(number, tried)
        with writing(self.file) as db:
            expect(db, run.number)
        return run

    def run_with(self, parameters: str) -> Run | None:
        """Return the last run with a picture of those settings, as they stand in its metadata; None where none has."""
        if not self.is_there:
            return None
        with connected(self.file) as db:
            return run_with(db, parameters_from(parameters))

    def people(self) -> tuple[str, ...]:
        """Return everybody who is in the journal, by name."""
        return tuple(sorted(self._different("name", "people"), key=str.casefold))

    def tags(self) -> tuple[str, ...]:
        """Return all tags."""
        return self._different("tag", "tags")

    def tree(self, number: int | str) -> tuple[Step, ...]:
        """Return the runs that were made from one another, from the first one on, of which this is one."""
        key = self.run(number).number
        with connected(self.file) as db:
            return steps_of(db, key)

    def refused(self, number: int) -> tuple[frozenset[str], frozenset[str]]:
        """Return the causes that were said not to be it, in the tree of a run and of any run of its people."""
        with connected(self.file) as db:
            return refused_rows(db, number)

    def curve(self, person: str, count: int = 500) -> tuple[Point, ...]:
        """Return the likeness over a person's last runs, the earliest first."""
        if not self.is_there:
            return ()
        query = (
            "SELECT run, time, people.likeness FROM people JOIN runs ON number = run "
            "WHERE name = ? AND people.likeness IS NOT NULL ORDER BY run DESC LIMIT ?"
        )
        with connected(self.file) as db:
            found = db.execute(query, (person, count)).fetchall()
        return tuple(Point(task_id(number), when, likeness) for number, when, likeness in reversed(found))

    def forget(self, person: str, photos: Sequence[str] = ()) -> forgetting.Forgotten:
        """Take a person out of the file for good: every run that drew her, under her name or from the same photos.

        What names her elsewhere (a note, another run's prompt) no longer does. photos: hashes of more of her photos.
        Raises FileError where another program keeps the file open, so that something would stay.
        """
        if not self.is_there:
            return forgetting.Forgotten(0, 0)
        return forgetting.forget(self.file, person, photos)

    def remove(self, numbers: Iterable[int | str]) -> int:
        """Take single runs out for good, and return how many there were."""
        keys = [number_of(one) if isinstance(one, str) else one for one in numbers]
        return forgetting.remove(self.file, keys) if self.is_there else 0

    def keep_thumbnails(self, number: int | str, jpegs: Iterable[bytes]) -> None:
        """Keep the small pictures of a run, all or none, in their order. Only where a setting asks for it."""
        run = self.run(number).number
        values = [(run, picture, jpeg) for picture, jpeg in enumerate(jpegs)]
        with writing(self.file) as db:
            db.executemany("INSERT OR REPLACE INTO thumbnails (run, picture, jpeg) VALUES (?, ?, ?)", values)

    def thumbnails(self, number: int | str) -> Mapping[int, bytes]:
        """Return the small pictures that were kept with a run, as JPEG, by the number of their picture from 0 on."""
        if not self.is_there:
            return {}
        key = number_of(number) if isinstance(number, str) else number
        with connected(self.file) as db:
            query = "SELECT picture, jpeg FROM thumbnails WHERE run = ? ORDER BY picture"
            return {picture: bytes(jpeg) for picture, jpeg in db.execute(query, (key,))}

    def first_thumbnails(self, ids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the first small picture of each of these runs that has one, by what the run is called."""
        keys = [number_of(one) for one in ids]
        if not self.is_there or not keys:
            return {}
        query = f"SELECT run, jpeg FROM thumbnails WHERE picture = 0 AND run IN ({', '.join('?' * len(keys))})"
        with connected(self.file) as db:
            return {task_id(run): bytes(jpeg) for run, jpeg in db.execute(query, keys)}

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a model file, computed once for as long as it does not change; "" for no file."""
        fingerprint = fingerprint_of(path)
        if not fingerprint:
            return ""
        with connected(self.file, may_make=True) as db:
            known = db.execute("SELECT sha256 FROM files WHERE fingerprint = ?", (fingerprint,)).fetchone()
        if known:
            return str(known[0])
        found = file_sha256(path)
        with writing(self.file) as db:
            db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (fingerprint, found))
        return found

    def _changed(self, number: int, change: Callable[[Run], Run]) -> Run:
        with writing(self.file) as db:
            found = rows.read(db, [number])
            if not found:
                raise FileError(f"{task_id(number)} was forgotten meanwhile. Refresh the list.")
            return rows.update(db, change(found[0]))

    def _different(self, column: str, table: str) -> tuple[str, ...]:
        """Return every value of a column once; its index is gone through in steps from one value to the next."""
        if not self.is_there:
            return ()
        following = f"(SELECT min({column}) FROM {table} WHERE {column} > value)"
        query = (
            f"WITH RECURSIVE found (value) AS (SELECT min({column}) FROM {table} "
            f"UNION ALL SELECT {following} FROM found WHERE value IS NOT NULL) SELECT value FROM found"
        )
        with connected(self.file) as db:
            return tuple(str(one) for (one,) in db.execute(query) if one is not None)


def open_journal(roots: Roots | None = None) -> Journal:
    """Return the journal of the usual place, models/faceid/journal.sqlite. Nothing is made on the disk."""
    roots = roots or usual_roots()
    return Journal(roots.own / "faceid" / "journal.sqlite")


def _parent_of(db: Any, run: Run, *, finds_parent: bool) -> Run | None:
    """Return the run that is named as the parent, or is found to be. Raises UnitError where the named is not there."""
    if not run.parent:
        return (who_expects(db, run) or likely_parent(db, run)) if finds_parent else None
    found = rows.read(db, [run.parent or 0])
    if not found:
        raise UnitError(f"There is no run {task_id(run.parent or 0)}, which was named as the parent. Leave it out.")
    return found[0]


def _entry(line: Sequence[Any]) -> Entry:
    number, when, people, likeness, pictures, tags, parent, prompt, tried, note = line
    names = tuple(people.split(" | ")) if people else ()
    ids = task_id(number), task_id(parent) if parent else ""
    return Entry(ids[0], when, names, likeness, pictures, prompt, tried, rows.tags_of(tags), note, ids[1])
