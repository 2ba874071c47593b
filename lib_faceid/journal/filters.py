"""Which runs are asked for, and the query for a page of them: by the table that has the fewest, in its own order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from lib_faceid.arguments import as_number, one_of
from lib_faceid.errors import UnitError
from lib_faceid.journal.words import Condition, index_condition, row_condition

if TYPE_CHECKING:
    import sqlite3

__all__ = ["MAX_PAGE", "ORDERS", "Filter", "Query", "query"]

MAX_PAGE = 500
ORDERS = ("newest", "likeness")
FEW = 2000  # runs that are sorted rather than looked for along the list
MANY = 20_000  # runs with the words that are looked for, of which there is then soon one along the list


@dataclass(frozen=True)
class Filter:
    """Which runs: all conditions hold. Raises UnitError for a value that cannot be."""

    person: str = ""
    """The whole name of one of the run's people."""
    tag: str = ""
    text: str = ""
    """Words that stand, or begin so, in prompt, note, tags, what was tried, or names."""
    lowest: float | None = None
    """Of the likeness: of that person where one is asked for, else of the run."""
    highest: float | None = None
    since: float | None = None
    """Seconds since 1970."""
    until: float | None = None
    order: str = "newest"

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.default == "" and not isinstance(value, str):
                raise UnitError(f"{one.name} is a {type(value).__name__}; a text was expected.")
            if one.default is None and value is not None:
                as_number(value, one.name)
        one_of(self.order, "order", ORDERS)

    @property
    def scores(self) -> bool:
        """Whether runs without a likeness are left out."""
        return self.lowest is not None or self.highest is not None or self.order == "likeness"


@dataclass
class Query:
    """A query in the making."""

    source: str
    """The table that is gone along, joined with `runs`."""
    number: str
    """How the run's number is called in it."""
    likeness: str
    where: list[str] = field(default_factory=list[str])
    values: list[object] = field(default_factory=list[object])

    def add(self, condition: str, *values: object) -> None:
        """Have one more condition hold."""
        self.where.append(condition)
        self.values.extend(values)

    def text(self, columns: str, order: str, size: int) -> tuple[str, Sequence[object]]:
        """Return the statement and its values."""
        where = f"WHERE {' AND '.join(self.where)} " if self.where else ""
        by = f"{self.likeness} DESC, {self.number} DESC" if order == "likeness" else f"{self.number} DESC"
        return f"SELECT {columns} FROM {self.source} {where}ORDER BY {by} LIMIT ?", [*self.values, size]


def query(db: sqlite3.Connection, criteria: Filter, after: Sequence[Any] = ()) -> Query:
    """Return what finds the runs behind a key, (number,) or (likeness, number), that a filter wants."""
    text = index_condition(db, criteria.text) if criteria.text.strip() else None
    found = _source(db, criteria, text)
    if criteria.text.strip() and not found.source.startswith("words"):
        _add_text(db, found, criteria.text, text)
    if criteria.tag and not found.source.startswith("tags"):
        found.add("EXISTS (SELECT 1 FROM tags WHERE tag = ? AND run = runs.number)", criteria.tag)
    _add_likeness(found, criteria)
    _add_times(found, criteria)
    _add_key(found, criteria.order, after)
    return found


def _source(db: sqlite3.Connection, criteria: Filter, text: Condition | None) -> Query:
    """Return the query along the table that gives the pages in their order with the least looking."""
    if criteria.person:
        found = Query("people CROSS JOIN runs ON runs.number = people.run", "people.run", "people.likeness")
        found.add("people.name = ?", criteria.person)
        return found
    is_newest = criteria.order == "newest"
    if criteria.tag and (is_newest or _count(db, "tags WHERE tag = ?", [criteria.tag], FEW) < FEW):
        found = Query("tags CROSS JOIN runs ON runs.number = tags.run", "tags.run", "runs.likeness")
        found.add("tags.tag = ?", criteria.tag)
        return found
    if text and is_newest:
        condition, values = text
        found = Query("words CROSS JOIN runs ON runs.number = words.rowid", "words.rowid", "runs.likeness")
        found.add(condition, *values)
        return found
    found = Query("runs", "runs.number", "runs.likeness")
    if criteria.scores and is_newest and _are_few(db, criteria):
        found.number = "+runs.number"  # a unary plus: not by the table's own order, but by the index, then sorted
    return found


def _add_text(db: sqlite3.Connection, found: Query, text: str, indexed: Condition | None) -> None:
    """Have the words stand in a run: by the index where few have them, else row by row, as one is soon found."""
    if indexed and _count(db, f"words WHERE {indexed[0]}", indexed[1], MANY) < MANY:
        found.add(f"runs.number IN (SELECT rowid FROM words WHERE {indexed[0]})", *indexed[1])
    else:
        condition, values = row_condition(db, text)
        found.add(condition, *values)


def _count(db: sqlite3.Connection, table: str, values: Sequence[object], limit: int) -> int:
    """Return how many rows of a table fulfil a condition, which are counted up to a limit only."""
    return db.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {limit})", values).fetchone()[0]


def _are_few(db: sqlite3.Connection, criteria: Filter) -> bool:
    """Say whether so few runs have the likeness that it is faster to sort them all."""
    narrowed = Query("runs INDEXED BY runs_by_likeness", "number", "runs.likeness")
    _add_likeness(narrowed, criteria)
    text, values = narrowed.text("1", "newest", FEW)
    return len(db.execute(text.replace("ORDER BY number DESC ", ""), values).fetchall()) < FEW


def _add_likeness(found: Query, criteria: Filter) -> None:
    if criteria.scores:
        found.add(f"{found.likeness} IS NOT NULL")
    if criteria.lowest is not None:
        found.add(f"{found.likeness} >= ?", criteria.lowest)
    if criteria.highest is not None:
        found.add(f"{found.likeness} <= ?", criteria.highest)


def _add_times(found: Query, criteria: Filter) -> None:
    """Later runs have later numbers: a time is a number, which one row of the index on the times says."""
    if criteria.since is not None:
        first = "SELECT number FROM runs WHERE time >= ? ORDER BY time, number LIMIT 1"
        found.add(f"{found.number} >= coalesce(({first}), 9223372036854775807)", criteria.since)
    if criteria.until is not None:
        last = "SELECT number FROM runs WHERE time <= ? ORDER BY time DESC, number DESC LIMIT 1"
        found.add(f"{found.number} <= coalesce(({last}), 0)", criteria.until)


def _add_key(found: Query, order: str, after: Sequence[Any]) -> None:
    if not after:
        return
    if order == "likeness":
        found.add(f"({found.likeness}, {found.number}) < (?, ?)", *after)
    else:
        found.add(f"{found.number} < ?", *after)
