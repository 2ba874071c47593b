"""Where in the picture a person is: the words and boxes that a unit's region may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from lib_faceid.errors import UnitError

__all__ = [
    "AUTO_REGION",
    "EVERYWHERE",
    "MASK",
    "PLACES",
    "WHOLE",
    "Box",
    "box_of",
    "column",
    "figures",
    "region_choices",
    "which_face",
]

EVERYWHERE, AUTO_REGION, MASK = "everywhere", "auto", "mask"


class Box(NamedTuple):
    """A box in fractions of a picture: 0, 0 is its upper left corner, 1, 1 its lower right one."""

    left: float
    top: float
    right: float
    bottom: float

    def __str__(self) -> str:
        return "box " + " ".join(f"{value:g}" for value in (round(value, 4) for value in self))

    @classmethod
    def from_px(cls, edges: Sequence[float], width: float, height: float) -> Box:
        """Return left, top, right and bottom, in pixels of a picture of that size, as fractions of it."""
        left, top, right, bottom = edges
        return cls(left / width, top / height, right / width, bottom / height)

    def seen_from(self, view: Box) -> Box:
        """Return where it lies in a view of the picture. It may reach beyond it."""
        width, height = view.right - view.left, view.bottom - view.top
        return Box(
            (self.left - view.left) / width,
            (self.top - view.top) / height,
            (self.right - view.left) / width,
            (self.bottom - view.top) / height,
        )

    def inside(self, view: Box) -> Box:
        """Return where it lies in the picture, if this is where it lies in a view of it: the way back."""
        width, height = view.right - view.left, view.bottom - view.top
        return Box(
            view.left + self.left * width,
            view.top + self.top * height,
            view.left + self.right * width,
            view.top + self.bottom * height,
        )

    @property
    def area(self) -> float:
        """What it takes of the picture, as a fraction."""
        return (self.right - self.left) * (self.bottom - self.top)

    def overlap(self, other: Box) -> float:
        """Return the area that both share, as a fraction of the picture."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


WHOLE = Box(0, 0, 1, 1)
_THIRD = 1 / 3

PLACES: Mapping[str, Box] = {
    "left": Box(0, 0, 0.5, 1),
    "right": Box(0.5, 0, 1, 1),
    "top": Box(0, 0, 1, 0.5),
    "bottom": Box(0, 0.5, 1, 1),
    "left third": Box(0, 0, _THIRD, 1),
    "middle third": Box(_THIRD, 0, 2 * _THIRD, 1),
    "right third": Box(2 * _THIRD, 0, 1, 1),
    "top left": Box(0, 0, 0.5, 0.5),
    "top right": Box(0.5, 0, 1, 0.5),
    "bottom left": Box(0, 0.5, 0.5, 1),
    "bottom right": Box(0.5, 0.5, 1, 1),
    "centre": Box(0.25, 0.25, 0.75, 0.75),
}


def region_choices() -> list[str]:
    """Return the words that a region may be; a box in figures is possible besides."""
    return [EVERYWHERE, AUTO_REGION, *PLACES, MASK]


def box_of(region: str) -> Box | None:
    """Return the box that a region means; None for everywhere, auto and mask, which are no box.

    Raises UnitError unless it is one of `region_choices()`, or "box LEFT TOP RIGHT BOTTOM" in fractions.
    """
    text = " ".join(region.lower().replace("center", "centre").split())
    if text in (EVERYWHERE, AUTO_REGION, MASK):
        return None
    if text in PLACES:
        return PLACES[text]
    box = figures(text)
    if box is None:
        raise UnitError(
            f"region is {region[:40]!r}; one of {', '.join(region_choices())}, or four fractions such as "
            f"'box 0.1 0.2 0.6 0.9' (left, top, right, bottom) were expected."
        )
    return box


def column(number: int, count: int) -> Box:
    """Return one of so many columns of a picture, counted from 0 at the left."""
    return Box(number / count, 0, (number + 1) / count, 1)


def figures(text: str) -> Box | None:
    """Return the box of "box LEFT TOP RIGHT BOTTOM"; None for anything else, or outside the picture."""
    word, *words = text.lower().split() or [""]
    try:
        left, top, right, bottom = (float(figure) for figure in words)
    except ValueError:
        return None
    is_inside = 0 <= left < right <= 1 and 0 <= top < bottom <= 1  # never so where one is no number
    return Box(left, top, right, bottom) if word == "box" and is_inside else None


def which_face(face: str) -> Literal["largest"] | int | Box:
    """Return what the unit's field `face` means. Raises UnitError unless it is largest, a number or a box."""
    text = face.strip().lower()
    if text in ("", "largest"):
        return "largest"
    if text.isascii() and text.isdigit() and 1 <= len(text) <= 4 and int(text):
        return int(text)
    if box := figures(text):
        return box
    raise UnitError(
        f"face is {face[:40]!r}; 'largest', the number of a face, from 1 on, or four fractions of the photo around "
        "one, such as 'box 0.3 0.1 0.6 0.5' (left, top, right, bottom), was expected."
    )
