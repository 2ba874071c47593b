"""Taking runs and people out of the journal so that no byte of them stays in the file or beside it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_faceid.errors import FileError, UnitError
from lib_faceid.journal import rows
from lib_faceid.journal.run import HASH_DIGITS, UNSAVED, Run
from lib_faceid.journal.schema import connected, writing
from lib_faceid.journal.words import reindex

__all__ = ["FORGOTTEN", "Forgotten", "forget", "remove"]

FORGOTTEN = "(forgotten)"
CHUNK = 500


@dataclass(frozen=True)
class Forgotten:
    """What became of a person's traces."""

    runs: int
    """That were taken out."""
    mended: int
    """That named the person without drawing her, and no longer do."""

    @property
    def words(self) -> str:
        """It in a sentence."""
        runs = f"{self.runs} run{'' if self.runs == 1 else 's'} taken out of the journal"
        return f"{runs}; in {self.mended} other{'' if self.mended == 1 else 's'} the name was removed."


def forget(file: Path, person: str, photos: Sequence[str] = ()) -> Forgotten:
    """Take a person out. Raises UnitError for no name, FileError where something would stay."""
    if not person.strip():
        raise UnitError("No name was given. Say who is to be forgotten.")
    hashes = {one[:HASH_DIGITS] for one in photos if len(one) >= HASH_DIGITS}
    with writing(file) as db:
        drawn = {number for (number,) in db.execute("SELECT run FROM people WHERE name = ?", (person,))}
        hashes |= _photos_of_alone(db, person)
        for one in hashes:
            drawn |= {number for (number,) in db.execute("SELECT run FROM photos WHERE hash = ?", (one,))}
        for number in drawn:
            rows.delete(db, number)
        mended = _mend(db, person)
        reindex(db)
    _leave_no_byte(file)
    return Forgotten(len(drawn), mended)


def remove(file: Path, numbers: Sequence[int]) -> int:
    """Take single runs out, and return how many there were. Raises FileError where something would stay."""
    with writing(file) as db:
        there = [run.number for run in rows.read(db, numbers)]
        for number in there:
            rows.delete(db, number)
        reindex(db)
    _leave_no_byte(file)
    return len(there)


def _photos_of_alone(db: sqlite3.Connection, person: str) -> set[str]:
    """Return the hashes of the photos in runs that drew nobody else: they are hers, also where no name stands by."""
    query = """
        SELECT DISTINCT hash FROM photos WHERE run IN (
            SELECT run FROM people WHERE name = ?
            AND (SELECT count(*) FROM people AS everybody WHERE everybody.run = people.run) = 1
        )
    """
    numbers = [hash_ for (hash_,) in db.execute(query, (person,))]
    return {one for one in numbers if not _is_shared(db, one, person)}


def _is_shared(db: sqlite3.Connection, one: str, person: str) -> bool:
    """Say whether somebody of another name was drawn from the same photo. Who is not saved has no name of her own."""
    query = "SELECT 1 FROM photos JOIN people USING (run) WHERE hash = ? AND name != ? AND name NOT LIKE ? LIMIT 1"
    return bool(db.execute(query, (one, person, f"{UNSAVED}{'_' * HASH_DIGITS}")).fetchone())


def _mend(db: sqlite3.Connection, person: str) -> int:
    """Take a name, as a whole word, out of every text of the runs that are left, and return how many that were."""
    word = re.compile(rf"(?<!\w){re.escape(person)}(?!\w)")
    numbers = [number for (number,) in db.execute("SELECT number FROM runs ORDER BY number")]
    mended = 0
    for at in range(0, len(numbers), CHUNK):
        for run in rows.read(db, numbers[at : at + CHUNK]):
            before = run.as_dict()
            after = _without(before, word)
            if after != before:
                rows.update(db, Run.from_dict(after))
                mended += 1
    return mended


def _without(value: Any, word: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return word.sub(FORGOTTEN, value)
    if isinstance(value, dict):
        return {word.sub(FORGOTTEN, str(name)): _without(one, word) for name, one in value.items()}
    return [_without(one, word) for one in value] if isinstance(value, list) else value


def _leave_no_byte(file: Path) -> None:
    """Write the file anew without what was deleted, and empty the log beside it.

    Raises FileError where another program is using it.
    """
    with connected(file) as db:
        db.execute("VACUUM")
        is_busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise FileError(
            f"It is taken out, but another program still reads {file.name}, and old bytes may be in {file.name}-wal "
            "until it ends. Close it and forget again."
        )
