"""The facts of runs in a report: what the commands write as report.json, or facts as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.reading import facts_of_parameters, with_scores
from lib_faceid.diagnosis.usual import usual_cfg, usual_likeness
from lib_faceid.errors import FileError
from lib_faceid.likeness.score import PictureScore
from lib_faceid.units.parameters import parameters_from

__all__ = ["facts_of_report"]

MOST_RUNS = 1_000


def facts_of_report(values: Any) -> list[tuple[str, Facts]]:
    """Return name and facts of each run in a report. Raises FileError, or UnitError for facts that cannot be.

    Known are: facts as `Facts.as_dict` gives them, alone or as a list; a report with the key `pictures`, whose
    entries have `parameters` (metadata) or share the report's `request`, and a `score` or a `likeness`.
    """
    if isinstance(values, list):
        entries = cast("list[Any]", values)[:MOST_RUNS]
        return [(name or str(at), facts) for at, one in enumerate(entries) for name, facts in facts_of_report(one)]
    report = _object(values, "the report")
    if "facts" in report:
        return [(str(report.get("name", "")), Facts.from_dict(_object(report["facts"], "facts")))]
    if "pictures" not in report:
        return [("", Facts.from_dict(report))]
    pictures = _list(report["pictures"], "pictures")
    return [_picture(report, _object(one, f"pictures[{at}]"), at) for at, one in enumerate(pictures[:MOST_RUNS])]


def _picture(report: Mapping[str, Any], picture: Mapping[str, Any], at: int) -> tuple[str, Facts]:
    name = str(picture.get("file") or picture.get("label") or at)
    parameters = picture.get("parameters")
    facts = facts_of_parameters(parameters_from(parameters)) if isinstance(parameters, str) else _of_request(report)
    if isinstance(picture.get("seed"), int):
        facts = replace(facts, seed=picture["seed"])
    if isinstance(score := picture.get("score"), Mapping):
        return name, with_scores(facts, [PictureScore.from_dict(cast("Mapping[str, Any]", score))])
    if not facts.units and "weight" in picture:
        facts = replace(facts, units=(_demo_unit(report, picture),))
    return name, facts


def _of_request(report: Mapping[str, Any]) -> Facts:
    request = _object(report.get("request", {}), "request")
    model = str(report.get("checkpoint", "")).rpartition(".")[0] or str(report.get("checkpoint", ""))
    given = {name: request[name] for name in ("prompt", "negative", "steps", "cfg", "seed") if name in request}
    return Facts.from_dict({"prompt": "", **given, "usual_cfg": usual_cfg(model), "usual": usual_likeness(model)})


def _demo_unit(report: Mapping[str, Any], picture: Mapping[str, Any]) -> UnitFacts:
    """Return the unit of a report that gives weight and likeness of each picture, as the demo's does."""
    likeness = picture.get("likeness")
    known = {"weight": picture["weight"], "likeness": [] if likeness is None else [likeness]}
    known |= {name: report[name] for name in ("adapter", "recogniser") if isinstance(report.get(name), str)}
    return Facts.from_dict({"prompt": "", "units": [known]}).units[0]


def _object(values: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise FileError(f"{what} is a {type(values).__name__}; an object was expected.")
    return cast("Mapping[str, Any]", values)


def _list(values: Any, what: str) -> Sequence[Any]:
    if not isinstance(values, list):
        raise FileError(f"{what} is a {type(values).__name__}; a list was expected.")
    return cast("list[Any]", values)
