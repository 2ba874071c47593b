"""Which run a picture is of, and trials: one change that a diagnosis proposed, whose run is expected.

A trial is kept with its run, and a line in the file says that one is expected: whoever draws it, in whichever program,
its run becomes a child of that one.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Mapping
from typing import Any, cast

from lib_faceid.journal import rows
from lib_faceid.journal.compare import compare
from lib_faceid.journal.run import Run
from lib_faceid.likeness.meaning import LIKENESS_KEY
from lib_faceid.units.job_options import INFOTEXT_KEY

__all__ = ["TRIAL", "changed_name", "expect", "run_with", "who_expects"]

TRIAL = "trial"
"""Of a kept diagnosis: what is tried."""
LOOKED_AT = 1000  # of the last runs
DAY_SECONDS = 24 * 60 * 60
OF_JOB = {"prompt": "prompt", "negative": "negative prompt", "cfg": "CFG scale", "steps": "Steps"}
FIRST_SEED = re.compile(r"first seed: (\d{1,20})")
OF_PICTURE = ("Prompt", "Negative prompt", "Seed", "Variation seed", LIKENESS_KEY, INFOTEXT_KEY)
"""Of the metadata: what differs between the pictures of one run."""


def run_with(db: sqlite3.Connection, parameters: Mapping[str, str]) -> Run | None:
    """Return the last run with a picture of those settings, as `parameters_from` reads them; None where none has."""
    of_run, seed = _of_run(parameters), parameters.get("Seed", "")
    prompt, negative = (parameters.get(name, "") for name in OF_PICTURE[:2])
    query = (
        "SELECT number FROM runs WHERE number > (SELECT max(number) FROM runs) - ? AND negative = ? "
        "AND (prompt = ? OR pictures > 1) ORDER BY number DESC"
    )
    for (number,) in db.execute(query, (LOOKED_AT, negative, prompt)).fetchall():
        (run,) = rows.read(db, [number])
        drawn = [one for one in run.pictures if (run.prompt if one.prompt is None else one.prompt) == prompt]
        if seed in {str(one.seed) for one in drawn} and _of_run(run.settings) == of_run:
            return run
    return None


def expect(db: sqlite3.Connection, number: int) -> None:
    """Note that the run of what is tried of a run is expected, within a day."""
    db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (f"{TRIAL} {number}", int(time.time())))


def who_expects(db: sqlite3.Connection, run: Run) -> Run | None:
    """Return the run whose trial a new run is: the same seed, and nothing but that one field is different."""
    expected = db.execute("SELECT name, value FROM state WHERE name LIKE 'trial %' ORDER BY value DESC").fetchall()
    for name, when in expected:
        parent = rows.read(db, [int(name.rpartition(" ")[2])])
        is_it = bool(parent) and _is_trial(parent[0], run)
        if is_it or not parent or when < time.time() - DAY_SECONDS:
            db.execute("DELETE FROM state WHERE name = ?", (name,))
        if is_it:
            return parent[0]
    return None


def changed_name(change: Mapping[str, Any]) -> str:
    """Return what a change of a diagnosis is called where two runs are compared; "" for what is not compared."""
    if change.get("target") == "unit":
        return f"FaceID {change.get('unit')} {change.get('field')}"
    return OF_JOB.get(str(change.get("field")), "")


def _is_trial(parent: Run, run: Run) -> bool:
    kept = cast("Mapping[str, Any]", parent.diagnosis if isinstance(parent.diagnosis, Mapping) else {})
    trial = cast("Mapping[str, Any]", kept.get(TRIAL) or {})
    if not run.pictures or not trial or trial.get("seed") not in (None, _first_seed(run)):
        return False
    unit = f"FaceID {trial.get('unit')} "
    follows = {"seeds"} | ({f"{unit}variant", f"{unit}adapter SHA-256"} if trial.get("field") == "adapter" else set())
    found = {one.name for one in compare(parent, run).settings} - follows
    if trial.get("field") == "best_of":
        return not found and INFOTEXT_KEY in run.settings
    return found == {changed_name(trial)}


def _first_seed(run: Run) -> int:
    """Return the seed that a run began with: that of its first picture, or the first that was tried."""
    tried = FIRST_SEED.search(str(run.settings.get(INFOTEXT_KEY, "")))
    return int(tried[1]) if tried else run.pictures[0].seed


def _of_run(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items() if name not in OF_PICTURE}
