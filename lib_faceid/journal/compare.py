"""Two runs, or two pictures by their metadata, beside each other: only what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lib_faceid.journal.run import Run, UsedUnit
from lib_faceid.models.hashes import SHORT
from lib_faceid.units.control import control_key
from lib_faceid.units.infotext import unit_from_infotext
from lib_faceid.units.parameters import parameters_from
from lib_faceid.units.unit import FIELDS

__all__ = ["Compared", "Difference", "compare", "compare_metadata", "settings_of"]

# Of the settings in a picture's metadata: what stands elsewhere, or is no setting but an outcome.
NOT_COMPARED = ("Seed", "Model", "Model hash", "likeness", "Likeness")
UNIT_LINE = "FaceID "
NEITHER = ""


@dataclass(frozen=True)
class Difference:
    """One thing that differs."""

    name: str
    first: Any
    second: Any
    """None where that run does not have it."""

    @property
    def words(self) -> str:
        """It in a few words: `FaceID 0 weight: 0.8 to 1`."""
        return f"{self.name}: {_shown(self.first)} to {_shown(self.second)}"


@dataclass(frozen=True)
class Compared:
    """What differs between two runs."""

    settings: tuple[Difference, ...]
    scores: tuple[Difference, ...]


def compare(first: Run, second: Run) -> Compared:
    """Return what differs between two runs."""
    return Compared(tuple(_differences(settings_of(first), settings_of(second))), _scores(first, second))


def compare_metadata(first: str, second: str) -> tuple[Difference, ...]:
    """Return what differs between the settings of two pictures, as their metadata have them."""
    return tuple(_differences(_of_metadata(first), _of_metadata(second)))


def settings_of(run: Run) -> dict[str, Any]:
    """Return by name everything that decides what a run draws."""
    values: dict[str, Any] = {"prompt": run.prompt, "negative prompt": run.negative}
    values |= {name: value for name, value in run.settings.items() if _is_setting(name)}
    values |= {"checkpoint": run.checkpoint, "checkpoint SHA-256": run.checkpoint_sha256[:SHORT]}
    values |= {f"{user} net SHA-256": str(digest)[:SHORT] for user, digest in run.nets.items()}
    for name in (one for one in run.settings if one.startswith(control_key())):
        values |= _of_line(name, str(run.settings[name]))
    values["seeds"] = ", ".join(str(one.seed) for one in run.pictures)
    for unit in run.units:
        values |= {f"FaceID {unit.number} {name}": value for name, value in _of_unit(unit).items()}
    values |= dict(run.versions)
    return {name: value for name, value in values.items() if value not in (NEITHER, None)}


def _is_setting(name: str) -> bool:
    return name not in NOT_COMPARED and not name.startswith(UNIT_LINE)


def _of_unit(unit: UsedUnit) -> dict[str, Any]:
    """Return a unit's fields, also those at their defaults: a default that one run has is told beside the other's."""
    fields = {name: unit.settings.get(name, one.default) for name, one in FIELDS.items() if one.kind is not list}
    values = {**fields, "enabled": True, "person": " | ".join(unit.people), "photos": ", ".join(unit.references)}
    return values | {"adapter SHA-256": unit.adapter_sha256[:10]}


def _of_metadata(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in parameters_from(text).items():
        if name.startswith(UNIT_LINE) and "adapter: " in value:
            fields, photos = unit_from_infotext(value)
            values |= {f"{name} {field}": one for field, one in {**fields, "photos": ", ".join(photos)}.items()}
        else:
            values |= _of_line(name, value) if name.startswith(control_key()) else {name: value}
    return values


def _of_line(name: str, line: str) -> dict[str, str]:
    """Return what a control unit's line says, part by part."""
    return {f"{name} {part}": value for part, _, value in (one.partition(": ") for one in line.split(", "))}


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name), second.get(name)
        if one != other:
            yield Difference(name, one, other)


def _scores(first: Run, second: Run) -> tuple[Difference, ...]:
    one = {"likeness": _rounded(first.likeness), "best picture": _rounded(first.best)}
    other = {"likeness": _rounded(second.likeness), "best picture": _rounded(second.best)}
    for person in dict.fromkeys([*first.people, *second.people]):
        one[f"likeness of {person}"] = _rounded(first.likeness_of(person))
        other[f"likeness of {person}"] = _rounded(second.likeness_of(person))
    for number in range(max(len(first.pictures), len(second.pictures))):
        one[f"picture {number + 1}"] = _of_picture(first, number)
        other[f"picture {number + 1}"] = _of_picture(second, number)
    return tuple(_differences(one, other))


def _of_picture(run: Run, number: int) -> float | None:
    return _rounded(run.pictures[number].likeness) if number < len(run.pictures) else None


def _rounded(likeness: float | None) -> float | None:
    return None if likeness is None else round(likeness, 4)


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
