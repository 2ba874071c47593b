"""The journal's file: its tables, how an older file becomes a new one, and connections to it.

Each operation has a connection of its own, so that threads and programs need to know nothing of each other; SQLite's
write-ahead log lets them read while one writes. `user_version` is the number of the last migration that was made.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

from lib_faceid.arguments import shown
from lib_faceid.errors import FileError, UnitError
from lib_faceid.journal.bodies import packed, unpacked
from lib_faceid.journal.run import HASH_DIGITS, UsedUnit
from lib_faceid.journal.words import make_index, reindex
from lib_faceid.models.locked import locked

__all__ = ["MIGRATIONS", "VERSION", "connected", "migrate", "writing"]

WAIT_SECONDS = 10.0  # for another program that writes
NEW_FILE_MODE = 0o600

# Numbers are never given twice: what was forgotten stays a gap.
_FIRST = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    parent INTEGER REFERENCES runs (number) ON DELETE SET NULL,
    prompt TEXT NOT NULL, negative TEXT NOT NULL, note TEXT NOT NULL, tags TEXT NOT NULL,
    people TEXT NOT NULL,
    pictures INTEGER NOT NULL,
    likeness REAL
);
CREATE TABLE bodies (run INTEGER PRIMARY KEY REFERENCES runs (number) ON DELETE CASCADE, body BLOB NOT NULL);
CREATE TABLE people (
    name TEXT NOT NULL, run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE, likeness REAL,
    PRIMARY KEY (name, run)
) WITHOUT ROWID;
CREATE TABLE tags (
    tag TEXT NOT NULL COLLATE NOCASE, run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    PRIMARY KEY (tag, run)
) WITHOUT ROWID;
CREATE INDEX runs_by_time ON runs (time);
"""

_SECOND = """
ALTER TABLE runs ADD COLUMN tried TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;
CREATE INDEX runs_by_likeness ON runs (likeness, number) WHERE likeness IS NOT NULL;
CREATE INDEX people_by_run ON people (run);
CREATE INDEX people_by_likeness ON people (name, likeness, run);
CREATE INDEX tags_by_run ON tags (run);
CREATE TABLE photos (
    hash TEXT NOT NULL, run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE, PRIMARY KEY (hash, run)
) WITHOUT ROWID;
CREATE INDEX photos_by_run ON photos (run);
CREATE TABLE thumbnails (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE, picture INTEGER NOT NULL, jpeg BLOB NOT NULL,
    PRIMARY KEY (run, picture)
);
CREATE TABLE files (fingerprint TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

_THIRD = """
CREATE TABLE refused (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE, row TEXT NOT NULL, PRIMARY KEY (run, row)
) WITHOUT ROWID;
"""


def _make_first(db: sqlite3.Connection) -> None:
    _script(db, _FIRST)


def _make_second(db: sqlite3.Connection) -> None:
    """What was tried moves out of the bodies; photos are looked up by their hashes."""
    _script(db, _SECOND)
    for number, body in db.execute("SELECT run, body FROM bodies").fetchall():
        values = unpacked(body)
        tried = str(values.pop("tried", ""))
        db.execute("UPDATE runs SET tried = ? WHERE number = ?", (tried, number))
        db.execute("UPDATE bodies SET body = ? WHERE run = ?", (packed(values), number))
        hashes = {str(one)[:HASH_DIGITS] for unit in values.get("units") or () for one in unit.get("references") or ()}
        db.executemany("INSERT INTO photos VALUES (?, ?)", [(one, number) for one in hashes if one])


def _make_third(db: sqlite3.Connection) -> None:
    """Causes that were said not to be it are looked up; who was drawn from photos that nobody saved has a name, too."""
    _script(db, _THIRD)
    found = db.execute("SELECT number, people, likeness, body FROM runs JOIN bodies ON run = number").fetchall()
    for number, people, likeness, body in found:
        values = unpacked(body)
        diagnosis = values.get("diagnosis")
        refused = diagnosis.get("not_it") or () if isinstance(diagnosis, dict) else ()
        db.executemany("INSERT OR IGNORE INTO refused VALUES (?, ?)", [(number, str(row)) for row in refused])
        known = people.split(" | ") if people else []
        units = [UsedUnit.from_dict(one) for one in values.get("units") or ()]
        unsaved = dict.fromkeys(name for unit in units if not unit.people for name in unit.who)
        new = [name for name in unsaved if name not in known]
        if new:
            is_alone = len(new) == 1 and not known
            lines = [(name, number, likeness if is_alone else None) for name in new]
            db.executemany("INSERT OR IGNORE INTO people VALUES (?, ?, ?)", lines)
            db.execute("UPDATE runs SET people = ? WHERE number = ?", (" | ".join([*known, *new]), number))
    reindex(db)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_make_first, _make_second, _make_third)
VERSION = len(MIGRATIONS)


@contextmanager
def connected(file: Path, *, may_make: bool = False) -> Generator[sqlite3.Connection, None, None]:
    """Give a connection to a journal of this version, which may be made. Raises FileError for whatever is wrong with
    it, UnitError for text that cannot be written.
    """
    try:
        if may_make:
            _make_file(file)
        with closing(_connect(file)) as db:
            if _version(db) != VERSION:
                migrate(db, file)
            yield db
    except sqlite3.Error as error:
        raise _in_words(error, file) from error
    except UnicodeEncodeError as error:
        raise UnitError(f"{shown(error.object)} holds half of a letter, which no file can. Send whole ones.") from error
    except OSError as error:
        raise FileError(f"The journal cannot be written: {error.strerror}. Check its folder.") from error


@contextmanager
def writing(file: Path, *, may_make: bool = False) -> Generator[sqlite3.Connection, None, None]:
    """Give a connection inside a transaction, which is written down on leaving, wholly or not at all."""
    with connected(file, may_make=may_make) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def migrate(db: sqlite3.Connection, file: Path) -> None:
    """Bring a file of an earlier version, or an empty one, up to this version. Raises FileError for a later one."""
    with locked(file, _busy, WAIT_SECONDS):
        before = _version(db)
        if before > VERSION:
            raise FileError(
                f"{file.name} was written by a newer version (its form is {before}, this one knows {VERSION}). "
                "Update this one; nothing was changed."
            )
        if before == 0:
            db.execute("PRAGMA journal_mode = WAL")  # stays with the file; where a disk cannot, it goes without
        db.execute("BEGIN IMMEDIATE")
        try:
            for number, step in enumerate(MIGRATIONS[before:], before + 1):
                step(db)
                db.execute(f"PRAGMA user_version = {number}")
            make_index(db)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def _make_file(file: Path) -> None:
    """Make an empty file that only its owner may read, as SQLite's own files beside it then are, too."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, NEW_FILE_MODE))


def _connect(file: Path) -> sqlite3.Connection:
    """Return a connection. What SQLite refuses for a moment without waiting (another one closes it) is tried again."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        db = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=rw", timeout=WAIT_SECONDS, isolation_level=None, uri=True
        )
        try:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            db.close()
            if not _is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        except BaseException:
            db.close()
            raise
        else:
            return db


def _version(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def _script(db: sqlite3.Connection, text: str) -> None:
    """Carry out several statements inside the transaction; `executescript` would end it."""
    for statement in text.split(";\n"):
        if statement.strip():
            db.execute(statement)


def _is_busy(error: sqlite3.Error) -> bool:
    return any(word in str(error) for word in ("locked", "busy"))


def _busy() -> FileError:
    return FileError("The journal is being written by another program. Try again in a moment.")


def _in_words(error: sqlite3.Error, file: Path) -> FileError:
    if _is_busy(error):
        return _busy()
    if isinstance(error, sqlite3.OperationalError):
        return FileError(f"The journal {file.name} cannot be used: {error}. Check its folder and the room on its disk.")
    return FileError(
        f"{file.name} is no journal, or is damaged ({error}). Move it away, and a new one is begun with the next run."
    )
