"""What is set for a job as a whole, beside its units: read by the page, requests, the schema and the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_faceid.errors import UnitError
from lib_faceid.units.aim_request import is_aim, without_aim_text
from lib_faceid.units.unit import Field, Range

__all__ = [
    "INFOTEXT_KEY",
    "MOST_TRIED",
    "OPTIONS",
    "UNSCORED",
    "JobOptions",
    "are_options",
    "options_of",
    "without_options",
]

MOST_TRIED = 64
INFOTEXT_KEY = "FaceID search"
"""What the metadata say of a search under: never read back, because the picture's own seed draws it plainly."""


def _option(default: Any, kind: Any, label: str, help_text: str) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind, "label": label, "help": help_text})


@dataclass(frozen=True)
class JobOptions:
    """The settings of a job, checked when they are made. Raises UnitError for a value that cannot be."""

    score: bool = _option(True, bool, "Score likeness", "Say how alike each finished picture is to its people.")
    best_of: int = _option(
        1,
        Range(1, MOST_TRIED, 1),
        "Best of",
        "Tries that many seeds for each picture, and keeps the one that is most alike. 1 is off.",
    )
    likeness_target: float | None = _option(
        None, Range(0, 1, 0.01), "Likeness target", "Trying ends as soon as this is reached. 0 is none."
    )
    keep: int = _option(1, Range(1, MOST_TRIED, 1), "Keep", "That many of the seeds tried are finished and kept.")
    look_ahead: bool = _option(
        True,
        bool,
        "Look ahead",
        "Looks at the unfinished pictures, and finishes only the most promising seeds: about half of the work.",
    )

    def __post_init__(self) -> None:
        for one in OPTIONS.values():
            if one.name == "likeness_target" and self.likeness_target in (None, 0, ""):
                object.__setattr__(self, one.name, None)
                continue
            one.check(getattr(self, one.name))
        for name in ("best_of", "keep"):
            value = getattr(self, name)
            if value != int(value):
                raise UnitError(f"{name} is {value:g}; a whole number from 1 to {MOST_TRIED} was expected.")
            object.__setattr__(self, name, int(value))
        if self.keep > max(self.best_of, 1):
            raise UnitError(
                f"keep is {self.keep} and best_of is {self.best_of}: at most as many pictures can be kept as are tried."
            )

    @property
    def searches(self) -> bool:
        """Whether more than one seed is tried."""
        return self.best_of > 1

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> JobOptions:
        """Return the options of a request, in which each is optional. Raises UnitError."""
        for name in values:
            if name not in OPTIONS:
                raise UnitError(f"unknown option '{name}' (options are {', '.join(OPTIONS)})")
        return cls(**values)


OPTIONS: Mapping[str, Field] = {
    one.name: Field(one.name, one.default, **one.metadata) for one in dataclasses.fields(JobOptions)
}
"""The options by name: their order is that of the page's components."""


UNSCORED = JobOptions(score=False)
"""For whoever looks at the pictures himself."""


def are_options(values: Any) -> bool:
    """Say whether an object of a request sets options of the job, and is no unit."""
    return isinstance(values, Mapping) and bool(values) and values.keys() <= OPTIONS.keys()


def options_of(args: Sequence[Any]) -> JobOptions:
    """Return the job's options among a host's script arguments; the defaults where none were sent. Raises UnitError.

    The page sends one value of each after all units. A request puts one object with them among its units.
    """
    sent = [values for values in args if are_options(values)]
    if len(sent) > 1:
        raise UnitError(f"{len(sent)} objects with options of the job were sent; one was expected. Put them together.")
    if sent:
        return JobOptions.from_dict(sent[0])
    args = without_aim_text(args)
    if any(isinstance(values, Mapping) for values in args) or not _are_sent_behind(args):
        return JobOptions()
    return JobOptions(*args[len(args) - len(OPTIONS) :])


def without_options(args: Sequence[Any]) -> list[Any]:
    """Return a host's script arguments without the job's options, and without what is aimed for: those of the units.

    A request's object takes the place of one of the page's values. Without objects of units beside it there are none.
    """
    units = [values for values in args if not are_options(values) and not is_aim(values)]
    if len(units) < len(args):
        return [values for values in units if isinstance(values, Mapping)]
    units = without_aim_text(units)
    return units[: len(units) - len(OPTIONS)] if _are_sent_behind(units) else units


def _are_sent_behind(args: Sequence[Any]) -> bool:
    """Say whether the last values are the page's options: no unit ends like that, in whichever version's order."""
    score, best_of, target, keep, look_ahead = [None] * len(OPTIONS)
    if len(args) >= len(OPTIONS):
        score, best_of, target, keep, look_ahead = args[len(args) - len(OPTIONS) :]
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (best_of, keep, target or 0.0))
    return isinstance(score, bool) and isinstance(look_ahead, bool) and numbers
