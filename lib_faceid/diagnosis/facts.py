"""What is known of a run: one prompt, its settings and units, and the pictures of one or several seeds.

Everything may be unknown but the prompt: a row of the map that needs what is not known finds nothing. Plain JSON both
ways (`Facts.as_dict`, `Facts.from_dict`): the route, the command and the labelled runs of the tests use that form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from statistics import mean, pstdev
from typing import Any

from lib_faceid.arguments import as_number, is_number, require, shown
from lib_faceid.diagnosis.look import Look
from lib_faceid.diagnosis.prompt_blocks import PromptBlocks, read_blocks
from lib_faceid.errors import UnitError
from lib_faceid.units.region import EVERYWHERE
from lib_faceid.units.unit import FIELDS, Unit
from lib_faceid.units.weight_types import LINEAR

__all__ = ["ENOUGH", "Facts", "UnitFacts"]

ENOUGH = 0.425
"""The likeness that is enough where nothing better is known: the lowest of 150 pairs of photos of one person
(w600k_mbf). A `usual` of the adapter, the checkpoint or the person takes its place."""
MOST_UNITS, MOST_PICTURES, MOST_LETTERS = 50, 10_000, 2_000


@dataclass(frozen=True)
class UnitFacts:
    """What is known of one unit over the pictures of a run.

    >>> UnitFacts(likeness=(0.5, None)).absent
    0.5
    """

    number: int | str = 0
    likeness: tuple[float | None, ...] = ()
    """To the unit's person, of each picture; None where it has no face for it. Empty: nobody looked."""
    weight: float = FIELDS["weight"].default
    start: float = 0.0
    end: float = 1.0
    lora: float = FIELDS["lora"].default
    structure: float = FIELDS["structure"].default
    hires: str = "both"
    weight_type: str = LINEAR
    layer_weights: str = ""
    region: str = EVERYWHERE
    feather: float = FIELDS["feather"].default
    adapter: str = ""
    recogniser: str = ""
    """That of the reference's vectors."""
    trained_on: str = ""
    """The recogniser that the adapter's file names, or that of the published ones."""
    reference: float | None = None
    """The score of the reference's photos, 0 to 1: the report of the best one that is used."""
    reference_reason: str = ""
    """What that report says first."""
    photos: int = 1
    swapped: bool = False
    """Whether another unit's person was found in its place."""
    face_px: float | None = None
    """The longer side of its face in the picture."""

    @classmethod
    def of(cls, unit: Unit, number: int | str = 0, **more: Any) -> UnitFacts:
        """Return the facts that a unit's settings are."""
        names = {one.name for one in fields(cls)} & FIELDS.keys()
        settings: dict[str, Any] = {name: getattr(unit, name) for name in names}
        settings |= {"number": number, "photos": len(unit.images) or 1, **more}
        return cls(**settings)

    @property
    def seen(self) -> tuple[float, ...]:
        """The likeness of the pictures in which it has a face."""
        return tuple(one for one in self.likeness if one is not None)

    @property
    def mean(self) -> float | None:
        """The mean likeness; None where there is none."""
        return mean(self.seen) if self.seen else None

    @property
    def spread(self) -> float:
        """The standard deviation of the likeness over seeds."""
        return pstdev(self.seen) if len(self.seen) > 1 else 0.0

    @property
    def absent(self) -> float:
        """The fraction of the pictures without a face of its own."""
        return 1 - len(self.seen) / len(self.likeness) if self.likeness else 0.0


@dataclass(frozen=True)
class Facts:
    """What is known of a run.

    >>> Facts("portrait, smiling, soft light").blocks.missing
    ('camera', 'background', 'style')
    """

    prompt: str
    negative: str = ""
    steps: int | None = None
    cfg: float | None = None
    usual_cfg: float = 7.0
    """What the checkpoint is usually drawn with."""
    seed: int | None = None
    units: tuple[UnitFacts, ...] = ()
    usual: float | None = None
    """The likeness of clean runs: of the person's earlier ones, or what the adapter is known to reach."""
    others: float = 0.0
    """Faces that belong to no unit, in the mean over the pictures."""
    side_px: int | None = None
    """The shorter side of the pictures."""
    look: Look | None = None
    """The mean over the pictures."""
    plain_look: Look | None = None
    """The same of what these settings give at weight 0."""
    text_match: float | None = None
    """CLIP's cosine of picture and prompt; None where no towers are on this machine."""
    plain_text_match: float | None = None
    """The same at weight 0."""
    noticed: str = ""
    """The id of the row that a user says is what is seen."""
    blocks: PromptBlocks = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", read_blocks(self.prompt))

    @property
    def enough(self) -> float:
        """The likeness from which on nothing has to be done."""
        return ENOUGH if self.usual is None else self.usual

    @property
    def is_scored(self) -> bool:
        """Whether anybody looked at the pictures."""
        return any(unit.likeness for unit in self.units)

    def lack(self, unit: UnitFacts) -> float | None:
        """Return how much of the likeness that is enough is missing, 0 to 1; None where nobody looked."""
        if not unit.likeness:
            return None
        found = (unit.mean or 0.0) * (1 - unit.absent)
        return min(max(1 - found / max(self.enough, 0.05), 0.0), 1.0)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        looks = {name: values[name] and values[name].as_dict() for name in ("look", "plain_look")}
        units = [asdict(unit) | {"likeness": list(unit.likeness)} for unit in self.units]
        return {**values, **looks, "units": units}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Facts:
        """Return what `as_dict` gave; what is left out is unknown. Raises UnitError for anything else."""
        given = dict(require(values, "facts", Mapping, "an object as Facts.as_dict gives it"))
        if "prompt" not in given:
            raise UnitError("facts have no prompt; a text was expected, '' where there was none.")
        units = require(given.pop("units", None) or [], "units", list, "a list")
        if len(units) > MOST_UNITS:
            raise UnitError(f"units has {len(units)} entries; at most {MOST_UNITS} were expected.")
        looks: dict[str, Any] = {name: _look(given.pop(name, None), name) for name in ("look", "plain_look")}
        return cls(
            **_checked(cls, given, "facts"), **looks, units=tuple(_unit(one, at) for at, one in enumerate(units))
        )


def _unit(values: Any, at: int) -> UnitFacts:
    given = dict(require(values, f"units[{at}]", Mapping, "an object"))
    likeness = require(given.pop("likeness", None) or [], f"units[{at}].likeness", list, "a list")
    if len(likeness) > MOST_PICTURES:
        raise UnitError(f"units[{at}].likeness has {len(likeness)} entries; at most {MOST_PICTURES} were expected.")
    each = tuple(None if one is None else as_number(one, f"units[{at}].likeness", -1.001, 1.001) for one in likeness)
    return UnitFacts(likeness=each, **_checked(UnitFacts, given, f"units[{at}]"))


def _look(values: Any, name: str) -> Look | None:
    return None if values is None else Look.from_dict(require(values, name, Mapping, "an object"))


def _checked(kind: type[UnitFacts] | type[Facts], given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return values that fit the fields of a kind by their types; raise UnitError, naming the first that does not."""
    known = {one.name: str(one.type) for one in fields(kind) if one.init}
    for name, value in given.items():
        if name not in known:
            raise UnitError(f"{what} has the unknown field {shown(name)}; fields are {', '.join(known)}.")
        if not _fits(value, known[name]):
            raise UnitError(f"{what}.{name} is {shown(value)}; {known[name]} was expected.")
    return dict(given)


def _fits(value: Any, annotation: str) -> bool:
    kinds = [kind.strip() for kind in annotation.split("|")]
    checks = {
        "None": value is None,
        "bool": isinstance(value, bool),
        "str": isinstance(value, str) and len(value) <= MOST_LETTERS * 10,
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": is_number(value) and -1e12 < float(value) < 1e12,
    }
    return any(checks.get(kind, False) for kind in kinds)
