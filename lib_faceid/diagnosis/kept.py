"""A run's diagnosis, kept with it in the journal: what was found, what was said not to be it, and what is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lib_faceid.diagnosis.evidence import Change
from lib_faceid.diagnosis.facts import Facts
from lib_faceid.diagnosis.map import Diagnosis, Finding, diagnose, row_ids
from lib_faceid.diagnosis.reading import facts_of_parameters, with_looks, with_scores
from lib_faceid.errors import FaceIDError, UnitError
from lib_faceid.journal.journal import Journal
from lib_faceid.journal.run import Drawn, Run
from lib_faceid.likeness.score import PictureScore
from lib_faceid.pictures.photo import read_photo
from lib_faceid.units.parameters import parameters_from

__all__ = ["diagnose_picture", "diagnose_run", "facts_of_run", "looked_at", "say_not_it", "to_try", "try_change"]

MAX_LOOKED_AT = 8  # pictures of a run


def facts_of_run(run: Run, plain: Sequence[NDArray[np.uint8]] = ()) -> Facts:
    """Return what the journal knows of a run: its settings, the scores of all its pictures, and their files' looks.

    plain: what the settings of the pictures `looked_at` give at weight 0, in their order; fewer will do.
    """
    facts = facts_of_parameters(parameters_from(run.infotext()))
    facts = with_scores(facts, [_score(one) for one in run.pictures if one.score])
    there = looked_at(run)
    try:
        pictures = [read_photo(Path(one.path)) for one in there]
    except FaceIDError:  # something else lies there now: its look says nothing
        return facts
    return with_looks(facts, pictures, [_score(one) for one in there], plain) if there else facts


def looked_at(run: Run) -> list[Drawn]:
    """Return the pictures of a run whose files are there, so that how they look can be said."""
    return [one for one in run.pictures if one.score and one.path and Path(one.path).is_file()][:MAX_LOOKED_AT]


def diagnose_run(journal: Journal, number: int | str, facts: Facts | None = None) -> Diagnosis:
    """Return what went wrong in a run, and keep it with the run. facts: where more is known than the journal knows.

    Causes that were said not to be it, of this run or another of its tree, are not proposed again. Those of another run
    of its people come after all others. Raises FaceIDError.
    """
    run = journal.run(number)
    in_tree, elsewhere = journal.refused(run.number)
    found = diagnose(facts or facts_of_run(run)).without(in_tree).behind(elsewhere)
    rows = [_slim(one) for one in found.findings]
    now = {"is_clean": found.is_clean, "words": found.words, "rows": rows, "unseen": list(found.unseen)}
    journal.change_diagnosis(run.number, lambda before: {**_plain(before), **now})
    return found


def diagnose_picture(journal: Journal | None, parameters: str, facts: Facts) -> tuple[Diagnosis, Run | None]:
    """Return what went wrong in a picture, and the run that it is of, with which it is then kept.

    There is no such run where the journal is off (None), or did not see the picture.
    """
    run = journal.run_with(parameters) if journal is not None else None
    if journal is None or run is None:
        return diagnose(facts), None
    return diagnose_run(journal, run.number, facts), run


def say_not_it(journal: Journal, number: int | str, row: str) -> Run:
    """Keep with a run that a row of the map is not it, and return the run. Raises FaceIDError."""
    if row not in row_ids():
        raise UnitError(f"{row[:40]!r} is no row of the map; one of {', '.join(row_ids())} was expected.")

    def changed(before: Any) -> dict[str, Any]:
        kept = _plain(before)
        return {**kept, "not_it": sorted({*kept.get("not_it", ()), row})}

    return journal.change_diagnosis(number, changed)


def to_try(found: Diagnosis, row: str = "") -> Finding:
    """Return the first row whose change needs nobody's hand, or the one of that id. Raises UnitError without any."""
    rows = [one for one in found.findings if row in ("", one.row.id)]
    if not rows:
        raise UnitError(f"{f'{row[:40]!r} does not apply' if row else found.words} There is nothing to try.")
    able = next((one for one in rows if one.change.value is not None), None)
    if able is None:
        raise UnitError(f"That is yours to do: {rows[0].change.words}")
    return able


def try_change(journal: Journal, number: int | str, change: Change | Mapping[str, Any], row: str = "") -> Run:
    """Keep with a run what is tried of it: the next run with this one field changed, and the seed, is its child."""
    values = dict(change.as_dict() if isinstance(change, Change) else change)
    run = journal.run(number)
    trial = {name: values.get(name) for name in ("target", "unit", "field", "value", "words")}
    seed = values.get("seed", run.pictures[0].seed if run.pictures else None)
    return journal.try_of(run.number, {**trial, "row": row, "seed": seed})


def _slim(found: Finding) -> dict[str, Any]:
    row = found.row
    texts = {"id": row.id, "seen": row.seen, "cause": row.cause}
    return {**texts, "strength": round(found.strength, 3), "evidence": found.figures, "try": found.change.words}


def _plain(diagnosis: Any) -> dict[str, Any]:
    """Return a kept diagnosis; one that is no object was a text of somebody's own."""
    if isinstance(diagnosis, Mapping):
        return dict(cast("Mapping[str, Any]", diagnosis))
    return {"words": str(diagnosis)} if diagnosis else {}


def _score(one: Drawn) -> PictureScore:
    return PictureScore.from_dict(one.score or {})
