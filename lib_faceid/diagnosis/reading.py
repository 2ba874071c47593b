"""Facts of a run from what there is of it: a picture's metadata, its scores, its pixels, and the reference's record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.look import Look, look_at
from lib_faceid.diagnosis.usual import usual_cfg, usual_likeness
from lib_faceid.likeness.meaning import LIKENESS_KEY
from lib_faceid.likeness.score import PictureScore
from lib_faceid.references.record import Record
from lib_faceid.units.infotext import KEY, unit_from_infotext
from lib_faceid.units.unit import Unit

__all__ = ["facts_of_parameters", "first_box", "of_record", "with_looks", "with_scores"]

HALF = 0.5
NO_FACE = "no face"
OF_UNIT = re.compile(r"([\w ]{1,20}): (no face|-?[0-9.]{1,8})(?=[,)])")


def facts_of_parameters(parameters: Mapping[str, str]) -> Facts:
    """Return what a picture's metadata say of its run, as `parameters_from` reads them."""
    model = parameters.get("Model", "")
    return Facts(
        prompt=parameters.get("Prompt", ""),
        negative=parameters.get("Negative prompt", ""),
        steps=_whole(parameters.get("Steps")),
        cfg=_number(parameters.get("CFG scale")),
        usual_cfg=usual_cfg(model),
        usual=usual_likeness(model),
        seed=_whole(parameters.get("Seed")),
        side_px=_side(parameters.get("Size", "")),
        units=tuple(_units(parameters)),
    )


def with_scores(facts: Facts, scores: Sequence[PictureScore]) -> Facts:
    """Return the facts with what was seen in the pictures of the run, one score for each.

    Units that only the scores know are added with default settings.
    """
    if not scores:
        return facts
    known = {unit.number: unit for unit in facts.units}
    for number in dict.fromkeys(unit.number for score in scores for unit in score.units):
        known.setdefault(number, UnitFacts(number=number))
    units = tuple(_scored(unit, scores) for unit in known.values())
    side = min(scores[0].size_px) or facts.side_px
    return replace(facts, units=units, others=mean(score.others for score in scores), side_px=side)


def with_looks(
    facts: Facts,
    pictures: Sequence[NDArray[np.uint8]],
    scores: Sequence[PictureScore] = (),
    plain: Sequence[NDArray[np.uint8]] = (),
) -> Facts:
    """Return the facts with how the pictures look where the first face is, and those without the person, if any."""
    boxes = [first_box(score) for score in scores] or [None] * len(pictures)
    looks = [look_at(picture, box) for picture, box in zip(pictures, boxes, strict=False)]
    plains = [look_at(picture, box) for picture, box in zip(plain, boxes or [None] * len(plain), strict=False)]
    return replace(facts, look=_mean_look(looks), plain_look=_mean_look(plains) or facts.plain_look)


def of_record(record: Record) -> dict[str, Any]:
    """Return what a person's record says of the reference, as fields of `UnitFacts`: the report of the best photo."""
    reports = [photo.report for photo in record.photos if photo.report is not None]
    if not reports:
        return {}
    best = max(reports, key=lambda one: one.score)
    return {
        "reference": round(best.score, 3),
        "reference_reason": best.reasons[0] if best.reasons else "",
        "photos": len(reports),
    }


def _units(parameters: Mapping[str, str]) -> list[UnitFacts]:
    found: list[UnitFacts] = []
    for key, line in parameters.items():
        if not key.startswith(KEY) or "adapter: " not in line:
            continue
        fields, references = unit_from_infotext(line)
        number = key.removeprefix(KEY)
        unit = Unit.from_dict(fields | {"enabled": fields["start"] < fields["end"]})
        found.append(UnitFacts.of(unit, int(number) if number.isdecimal() else number, photos=max(len(references), 1)))
    return _with_likeness(found, parameters.get(LIKENESS_KEY, ""))


def _with_likeness(units: list[UnitFacts], text: str) -> list[UnitFacts]:
    """Return the units with what `infotext_of` wrote of them: "0.47", "no face", "0.21 (0: 0.21, 1: 0.24, swapped)"."""
    each = {number.strip(): word for number, word in OF_UNIT.findall(text)} if "(" in text else {}
    if len(units) == 1 and not each:
        each = {str(units[0].number): text}
    is_swapped = "swapped" in text
    return [
        replace(unit, likeness=(_number(word),), swapped=is_swapped)
        if _is_seen(word := each.get(str(unit.number), ""))
        else unit
        for unit in units
    ]


def _is_seen(word: str) -> bool:
    return word == NO_FACE or _number(word) is not None


def _scored(unit: UnitFacts, scores: Sequence[PictureScore]) -> UnitFacts:
    seen = [one for score in scores for one in score.units if one.number == unit.number]
    if not seen:
        return unit
    sizes = [one.measures.size_px for one in seen if one.measures is not None]
    is_compared = [one for one in seen if one.likeness is not None or one.is_comparable]
    return replace(
        unit,
        likeness=tuple(one.likeness for one in is_compared),
        swapped=sum(one.looks_like is not None for one in seen) > HALF * len(seen),
        face_px=round(mean(sizes), 1) if sizes else unit.face_px,
    )


def first_box(score: PictureScore) -> Sequence[float] | None:
    """Return where the first unit's face is that was found, in fractions of the picture."""
    return next((tuple(unit.box) for unit in score.units if unit.box is not None), None)


def _mean_look(looks: Sequence[Look]) -> Look | None:
    if not looks:
        return None
    each = zip(*((one.detail, one.contrast, one.clipped, one.saturation) for one in looks), strict=True)
    return Look(*(mean(values) for values in each))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if -1e9 < value < 1e9 else None


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) <= 20 else None


def _side(size: str) -> int | None:
    sides = [_whole(part) for part in size.split("x")]
    return min(side for side in sides if side) if len(sides) == 2 and all(sides) else None
