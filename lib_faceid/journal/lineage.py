"""Which run was made from which: the tree of runs that differ in one setting."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from lib_faceid.journal import rows
from lib_faceid.journal.compare import compare
from lib_faceid.journal.run import Run, number_of, task_id

__all__ = ["Step", "likely_parent", "refused_rows", "steps_of", "tried_since"]

LOOKED_AT = 20  # of the last runs of the same person
MAX_STEPS = 500
MAX_CHANGES = 300  # letters


@dataclass(frozen=True)
class Step:
    """One run in a tree."""

    id: str
    parent: str
    """Empty for the first one."""
    depth: int
    tried: str
    likeness: float | None
    change: float | None
    """Of the likeness, against the parent's."""


def likely_parent(db: sqlite3.Connection, run: Run) -> Run | None:
    """Return the last run of the same people and seeds from which this one differs in one setting; None without any.

    Where one does not differ at all there is none: it is the same run again.
    """
    if not run.people or not run.pictures:
        return None
    query = "SELECT run FROM people WHERE name = ? ORDER BY run DESC LIMIT ?"
    numbers = [number for (number,) in db.execute(query, (run.people[0], LOOKED_AT))]
    for number in numbers:
        found = rows.read(db, [number])[0]
        differences = compare(found, run).settings
        if not differences:
            return None
        if len(differences) == 1 and differences[0].name != "seeds" and found.people == run.people:
            return found
    return None


def tried_since(parent: Run, run: Run) -> str:
    """Return in words what was changed."""
    return "; ".join(one.words for one in compare(parent, run).settings)[:MAX_CHANGES]


def steps_of(db: sqlite3.Connection, number: int) -> tuple[Step, ...]:
    """Return the whole tree that a run is in, each run behind its parent. Parents have lower numbers: no circles."""
    first = number
    while parent := db.execute("SELECT parent FROM runs WHERE number = ?", (first,)).fetchone()[0]:
        first = parent
    query = """
        WITH RECURSIVE tree (number, depth) AS (
            VALUES (?, 0)
            UNION ALL
            SELECT runs.number, depth + 1 FROM tree JOIN runs ON runs.parent = tree.number
            ORDER BY 2 DESC, 1 LIMIT ?
        )
        SELECT runs.number, runs.parent, depth, runs.tried, runs.likeness FROM tree JOIN runs USING (number)
    """
    found = db.execute(query, (first, MAX_STEPS)).fetchall()
    likeness = {number: value for number, _, _, _, value in found}
    return tuple(
        Step(task_id(one), task_id(parent) if depth else "", depth, tried, value, _change(value, likeness.get(parent)))
        for one, parent, depth, tried, value in found
    )


def refused_rows(db: sqlite3.Connection, number: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return the causes that were said not to be it: of a run in the tree of this one, and of any run of its people."""
    tree = [number_of(step.id) for step in steps_of(db, number)]
    of_tree = f"SELECT row FROM refused WHERE run IN ({', '.join('?' * len(tree))})"
    of_people = """
        SELECT row FROM people AS hers JOIN people USING (name) JOIN refused ON refused.run = people.run
        WHERE hers.run = ?
    """
    both = db.execute(of_tree, tree), db.execute(of_people, (number,))
    in_tree, elsewhere = (frozenset(str(row) for (row,) in found) for found in both)
    return in_tree, elsewhere


def _change(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before
