"""What was seen in a finished picture, as plain values: the one form that API, reports and records share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from lib_faceid.errors import FileError
from lib_faceid.faces.measures import Measures
from lib_faceid.units.region import Box

__all__ = ["SCORE_VERSION", "PictureScore", "UnitScore", "swapped"]

SCORE_VERSION = 1
"""Goes up when a reader of `as_dict` would take something for something else. New keys alone do not raise it."""
DIGITS = 4  # of likenesses and boxes; float32 cosines have 6, and two programs agree on 3
MEASURE_DIGITS = 3


@dataclass(frozen=True)
class UnitScore:
    """What became of one unit in one picture.

    >>> judge(read_photo("me.jpg"), [Expected(0, person)], load_face_analyser()).units[0].is_comparable
    False
    """

    number: int | str
    """The unit's place in the page, or `tag 0` for the first one that the prompt names."""
    likeness: float | None = None
    """The cosine of its face to its person, -1 to 1; None without a face, or where the two cannot be compared."""
    box: Box | None = None
    """Its face, in fractions of the picture, within it."""
    note: str = ""
    """What is not as it was asked for, in a sentence."""
    looks_like: int | str | None = None
    """The number of another unit whose person the face is clearly more like."""
    shares_with: int | str | None = None
    """The number of another unit that has the same face, where there are fewer faces than units."""
    measures: Measures | None = None
    """Size, sharpness, exposure and pose of the face, as reference photos are measured."""
    is_comparable: bool = True
    """Whether the person was seen by the recogniser that looked at the picture. If not, there is no likeness."""

    def __post_init__(self) -> None:
        if self.likeness is not None:
            object.__setattr__(self, "likeness", round(self.likeness, DIGITS))
        if self.box is not None:
            object.__setattr__(self, "box", Box(*(round(edge, DIGITS) for edge in self.box)))
        if self.measures is not None:
            object.__setattr__(self, "measures", _rounded(self.measures))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "unit": self.number,
            "likeness": self.likeness,
            "box": None if self.box is None else list(self.box),
            "note": self.note,
            "looks_like": self.looks_like,
            "shares_with": self.shares_with,
            "face": None if self.measures is None else asdict(self.measures),
            "is_comparable": self.is_comparable,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UnitScore:
        """Return what `as_dict` gave. Raises FileError for anything else."""
        with _Damage():
            box, likeness, face = values.get("box"), values["likeness"], values.get("face")
            return cls(
                number=_number(values["unit"]),
                likeness=None if likeness is None else _finite(likeness),
                box=None if box is None else Box(*map(_finite, box)),
                note=str(values.get("note", "")),
                looks_like=_number_or_none(values.get("looks_like")),
                shares_with=_number_or_none(values.get("shares_with")),
                measures=None if face is None else _measures(face),
                is_comparable=bool(values.get("is_comparable", True)),
            )


@dataclass(frozen=True)
class PictureScore:
    """What was seen in one picture.

    >>> judge(read_photo("me.jpg"), [], load_face_analyser()).others
    1
    """

    recogniser: str
    """File name and short SHA-256 of the recogniser that looked. Likenesses compare only where this is the same."""
    units: tuple[UnitScore, ...]
    """In the order of the job's units; people only, as an image has no likeness."""
    faces: int
    """How many faces were found."""
    others: int = 0
    """How many of them are no unit's."""
    size_px: tuple[int, int] = (0, 0)
    """Width and height of the picture."""
    note: str = ""
    """What is said of the picture as a whole, in sentences: people who stand in each other's places, other faces."""

    @property
    def likeness(self) -> float | None:
        """The lowest likeness of its units; None where one has none."""
        found = [unit.likeness for unit in self.units]
        known = [one for one in found if one is not None]
        return min(known) if known and len(known) == len(found) else None

    @property
    def is_swapped(self) -> bool:
        """Whether two units have each other's person."""
        return bool(swapped(self.units))

    @property
    def measures(self) -> Measures | None:
        """Those of the least alike unit's face; None where nobody has one."""
        found = [unit for unit in self.units if unit.measures is not None]
        least = min(found, key=lambda unit: -2.0 if unit.likeness is None else unit.likeness, default=None)
        return least and least.measures

    @property
    def notes(self) -> list[str]:
        """Everything that is not as it was asked for, a sentence each."""
        return [note for note in (*(unit.note for unit in self.units), self.note) if note]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "version": SCORE_VERSION,
            "likeness": self.likeness,
            "recogniser": self.recogniser,
            "units": [unit.as_dict() for unit in self.units],
            "faces": self.faces,
            "others": self.others,
            "size_px": list(self.size_px),
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PictureScore:
        """Return what `as_dict` gave, of this version or a newer one. Raises FileError for anything else."""
        with _Damage():
            width, height = values.get("size_px", (0, 0))
            return cls(
                str(values["recogniser"]),
                tuple(UnitScore.from_dict(unit) for unit in values["units"]),
                int(values["faces"]),
                int(values.get("others", 0)),
                (int(width), int(height)),
                str(values.get("note", "")),
            )


def swapped(units: Sequence[UnitScore]) -> list[tuple[int | str, int | str]]:
    """Return the pairs of units that have each other's person. A face that a unit shares is not its own."""
    like = {unit.number: unit.looks_like for unit in units if unit.shares_with is None}
    places = {number: at for at, number in enumerate(like)}
    both = [(one, other) for one, other in like.items() if other is not None and like.get(other) == one]
    return [(one, other) for one, other in both if places[one] < places[other]]


class _Damage:
    """Turns what a damaged value raises into a sentence."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (KeyError, TypeError, ValueError, OverflowError, AttributeError)):
            raise FileError(
                f"A saved likeness score is damaged ({error}); what PictureScore.as_dict() gives was expected. Look at "
                "the picture again."
            ) from error


def _rounded(measures: Measures) -> Measures:
    return Measures(**{name: round(value, MEASURE_DIGITS) for name, value in asdict(measures).items()})


def _measures(values: Mapping[str, Any]) -> Measures:
    found = {field.name: _finite(values[field.name]) for field in fields(Measures)}
    return Measures(int(found.pop("size_px")), **found)


def _number(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError(f"a unit's number is {value!r}")
    return value


def _number_or_none(value: Any) -> int | str | None:
    return None if value is None else _number(value)


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value!r} is no number")
    return number
