"""What is to be drawn, in a file that holds any number of pictures: made anew at every start, and believed by nobody.

What is done stands on the disk beside the pictures; this only says in which order the rest is handed out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib_faceid.batch.picture import Picture
from lib_faceid.batch.summary import Line

__all__ = ["DONE", "FAILED", "GIVEN", "PENDING", "SKIPPED", "WAITING", "Index", "Task"]

PENDING, GIVEN, DONE, FAILED, WAITING, SKIPPED = range(6)
TABLES = """
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, job INTEGER NOT NULL, state INTEGER NOT NULL,
    row INTEGER NOT NULL, cell INTEGER NOT NULL, place INTEGER NOT NULL, likeness REAL, people TEXT NOT NULL,
    picture TEXT NOT NULL
);
"""
INDEXES = """
CREATE INDEX by_job ON tasks (state, job, id);
CREATE INDEX by_cell ON tasks (row, cell, place);
CREATE INDEX by_people ON tasks (state, people, id);
"""


@dataclass(frozen=True)
class Task:
    """One picture to draw."""

    id: int
    key: str
    job: int
    """A number that pictures of one checkpoint, cast and options share: models and people stay as they are."""
    place: int
    """Which picture of its cell it is, in the order of the seeds."""
    picture: Picture


class Index:
    """The tasks of one run. Whoever calls takes care that one thread at a time does."""

    def __init__(self, file: Path) -> None:
        for one in (file, file.with_name(f"{file.name}-journal")):
            one.unlink(missing_ok=True)
        self.file = file
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {TABLES}")
        self._db.execute("BEGIN")

    def add(self, task: Task, state: int, likeness: float | None = None) -> bool:
        """Add a task, and return whether its picture was not there yet."""
        picture = task.picture
        people = picture.cast.label.encode(errors="replace").decode()
        done = self._db.execute(
            "INSERT OR IGNORE INTO tasks VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                task.key, task.job, state, picture.row, picture.cell, task.place, likeness, people,
                json.dumps(picture.as_dict()),
            ),
        )  # fmt: skip
        return done.rowcount > 0

    def built(self) -> None:
        """All are added."""
        self._db.execute("COMMIT")
        self._db.executescript(INDEXES)

    def next_of(self, job: int) -> Task | None:
        """Return the first task of a job that waits to be drawn."""
        return self._one("state = ? AND job = ? ORDER BY id LIMIT 1", (PENDING, job))

    def by_place(self, row: int, cell: int, place: int) -> tuple[Task, int] | None:
        """Return a picture of a cell, and its state."""
        where = "row = ? AND cell = ? AND place = ?"
        task = self._one(where, (row, cell, place))
        return (task, self.state(task.key)) if task else None

    def state(self, key: str) -> int:
        """Return the state of a picture."""
        return int(self._db.execute("SELECT state FROM tasks WHERE key = ?", (key,)).fetchone()[0])

    def set(self, key: str, state: int, likeness: float | None = None) -> None:
        """Write down what became of a picture."""
        self._db.execute("UPDATE tasks SET state = ?, likeness = ? WHERE key = ?", (state, likeness, key))

    def set_failed(self, key: str) -> None:
        """Write down that a picture that is not there could not be drawn."""
        self._db.execute("UPDATE tasks SET state = ? WHERE key = ? AND state <> ?", (FAILED, key, DONE))

    def skip(self, row: int, cell: int, after: int) -> int:
        """Leave out the pictures of a cell behind one, and return how many waited."""
        found = self._db.execute(
            "UPDATE tasks SET state = ? WHERE row = ? AND cell = ? AND place > ? AND state IN (?, ?)",
            (SKIPPED, row, cell, after, WAITING, PENDING),
        )
        return found.rowcount

    def counts(self) -> dict[int, int]:
        """Return how many are in each state."""
        return {
            int(state): int(count)
            for state, count in self._db.execute("SELECT state, count(*) FROM tasks GROUP BY state")
        }

    def jobs(self) -> Iterator[tuple[int, int]]:
        """Give each job that has pictures to draw, and how many, those of one checkpoint together."""
        text = "SELECT job, count(*) FROM tasks WHERE state = ? GROUP BY job ORDER BY job"
        yield from ((int(job), int(count)) for job, count in self._db.execute(text, (PENDING,)))

    def tasks(self, state: int) -> Iterator[Task]:
        """Give all of a state, in the order of the manifest."""
        cursor = self._db.execute(SELECT + " WHERE state = ? ORDER BY id", (state,))
        yield from map(_task, cursor)

    def lines(self, state: int, people: str | None = None) -> Iterator[Line]:
        """Give of each picture of a state what a report shows, in the order of the manifest; of some people alone."""
        text = "SELECT key, row, people, likeness, picture FROM tasks WHERE state = ?"
        text, values = (text + " AND people = ?", (state, people)) if people is not None else (text, (state,))
        for key, row, name, likeness, picture in self._db.execute(text + " ORDER BY id", values):
            found = json.loads(picture)
            yield key, row, name, found["seed"], likeness, found["prompt"]

    def close(self) -> None:
        """Take the file away."""
        self._db.close()
        self.file.unlink(missing_ok=True)

    def _one(self, where: str, values: tuple[int, ...]) -> Task | None:
        row = self._db.execute(SELECT + " WHERE " + where, values).fetchone()
        return None if row is None else _task(row)


SELECT = "SELECT id, key, job, place, picture FROM tasks"


def _task(row: tuple[int, str, int, int, str]) -> Task:
    return Task(row[0], row[1], row[2], row[3], Picture.from_dict(json.loads(row[4])))
