"""Runs by their words: an index of SQLite's (FTS5) where that is compiled in, else every text is looked through.

A program without FTS5 cannot keep the index of one that has it: it leaves a mark, by which the other makes it anew.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = [
    "Condition",
    "has_fts5",
    "has_index",
    "index_condition",
    "is_old",
    "make_index",
    "reindex",
    "row_condition",
    "unwrite",
    "words_of",
    "write",
]

Condition = tuple[str, Sequence[object]]
"""What stands behind WHERE, and its values."""

COLUMNS = ("prompt", "note", "tags", "tried", "people")
_COLUMNS = ", ".join(COLUMNS)
WORD = re.compile(r"[^\W_]+")
SHORT = 2
# Scripts that put no blanks between words: to the index a whole sentence is one word.
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def has_fts5(db: sqlite3.Connection) -> bool:
    """Say whether this SQLite has FTS5."""
    return bool(db.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0])


def has_index(db: sqlite3.Connection) -> bool:
    """Say whether words are indexed in this file, and can be in this program."""
    return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone()) and has_fts5(db)


def make_index(db: sqlite3.Connection) -> None:
    """Make the index, where there is none and there can be one."""
    if has_fts5(db) and not has_index(db):
        db.execute(
            f"CREATE VIRTUAL TABLE words USING fts5 ({_COLUMNS}, content='runs', content_rowid='number', "
            "tokenize='unicode61 remove_diacritics 2')"
        )
        db.execute("INSERT INTO words (words) VALUES ('rebuild')")


def write(db: sqlite3.Connection, number: int) -> None:
    """Put the words of a run, which stands in its table already, into the index."""
    if has_index(db):
        db.execute(
            f"INSERT INTO words (rowid, {_COLUMNS}) SELECT number, {_COLUMNS} FROM runs WHERE number = ?", (number,)
        )
    else:
        _mark(db)


def unwrite(db: sqlite3.Connection, number: int) -> None:
    """Take the words of a run, which still stands in its table, out of the index."""
    if has_index(db):
        words = f"SELECT 'delete', number, {_COLUMNS} FROM runs WHERE number = ?"
        db.execute(f"INSERT INTO words (words, rowid, {_COLUMNS}) {words}", (number,))
    else:
        _mark(db)


def reindex(db: sqlite3.Connection) -> None:
    """Make the index anew from the runs that are there: of others nothing is left in it."""
    make_index(db)
    if has_index(db):
        db.execute("INSERT INTO words (words) VALUES ('rebuild')")
        db.execute("DELETE FROM state WHERE name = 'is_index_old'")


def is_old(db: sqlite3.Connection) -> bool:
    """Say whether somebody wrote who could not keep the index."""
    return bool(db.execute("SELECT 1 FROM state WHERE name = 'is_index_old'").fetchone())


def words_of(text: str) -> list[str]:
    """Return the words in a text, without capitals and accents, as the index counts them."""
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return WORD.findall(bare.casefold())


def index_condition(db: sqlite3.Connection, text: str) -> Condition | None:
    """Return the condition on the table `words` for runs with words that begin so; None where the index cannot say it.

    A word of one or two letters is meant whole: half of all words begin with any letter.
    """
    words = words_of(text)
    if not words or not has_index(db) or UNSPACED.search(text):
        return None
    if is_old(db):
        db.execute("BEGIN IMMEDIATE")
        reindex(db)
        db.execute("COMMIT")
    return "words MATCH ?", [" ".join(f'"{word}"{"*" if len(word) > SHORT else ""}' for word in words)]


def row_condition(db: sqlite3.Connection, text: str) -> Condition:
    """Return the condition on a row of the table `runs` that says the same, without the index."""
    texts = ", ".join(f"runs.{name}" for name in COLUMNS)
    if UNSPACED.search(text) or not words_of(text):
        every = texts.replace(", ", " || ' ' || ")
        return f"instr(lower({every}), lower(?)) > 0", [text.strip()]
    db.create_function("has_words", -1, _has_words, deterministic=True)
    return f"has_words(?, {texts})", [text]


@lru_cache(maxsize=16)
def _marked_words(text: str) -> tuple[tuple[str, bool], ...]:
    return tuple((word, len(word) > SHORT) for word in words_of(text))


def _has_words(text: str, *texts: str) -> bool:
    found = set(words_of(" ".join(texts)))
    return all(
        word in found or (is_cut and any(one.startswith(word) for one in found)) for word, is_cut in _marked_words(text)
    )


def _mark(db: sqlite3.Connection) -> None:
    db.execute("INSERT OR REPLACE INTO state VALUES ('is_index_old', 1)")
