"""What a likeness means, in words: by recogniser, from pairs of photos of which it is known who is on them.

A word says how alike two faces look to that recogniser, beside pairs of photos of one person and of two. It never says
who somebody is: a drawing is nobody, and the figures are too few to tell people apart by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lib_faceid.likeness.score import PictureScore, UnitScore
from lib_faceid.units.infotext import infotext_key

__all__ = [
    "LIKENESS_KEY",
    "WORDS",
    "Meaning",
    "answer_of",
    "console_text",
    "infotext_of",
    "level_of",
    "meaning_of",
    "words_of",
]

LIKENESS_KEY = infotext_key("likeness")
"""What the line in a picture's metadata is called."""
FIGURES = Path(__file__).with_name("meaning.json")
WORDS = ("not alike", "hardly alike", "somewhat alike", "alike", "very alike")
"""From the least to the most; a level is a place in it."""


@dataclass(frozen=True)
class Meaning:
    """What one recogniser gives pairs of photos."""

    source: str
    """Which pairs were measured."""
    pairs: int
    same_mean: float
    """Of two photos of one person."""
    same_lowest: float
    different_mean: float
    """Of photos of two people."""
    different_highest: float

    @property
    def borders(self) -> tuple[float, float, float, float]:
        """From which likeness on each word but the first is right.

        Hardly alike: more than half of the way from the mean of two people to the most alike two. Somewhat alike: more
        than any two people. Alike: as much as the least alike two photos of one person. Very alike: as their mean.
        """
        halfway = (self.different_mean + self.different_highest) / 2
        return halfway, self.different_highest, self.same_lowest, self.same_mean


def meaning_of(recogniser: str) -> Meaning | None:
    """Return what is known of a recogniser, by its id; None for one that was not measured."""
    return next((meaning for name, meaning in _measured().items() if recogniser.startswith(name)), None)


def level_of(likeness: float | None, recogniser: str) -> int | None:
    """Return which of `WORDS` is right, from 0; None without a likeness, or where the recogniser was not measured."""
    meaning = meaning_of(recogniser)
    if likeness is None or meaning is None:
        return None
    return sum(likeness >= border for border in meaning.borders)


def words_of(likeness: float | None, recogniser: str) -> str:
    """Return how alike that is, such as "somewhat alike"; "" where only the number can be given."""
    level = level_of(likeness, recogniser)
    return "" if level is None else WORDS[level]


def answer_of(score: PictureScore) -> dict[str, Any]:
    """Return what a client is given: `PictureScore.as_dict`, with words and levels for the picture and for each unit.

    `PictureScore.from_dict` reads it too.
    """
    found = score.as_dict()
    for one in (found, *found["units"]):
        one["words"] = words_of(one["likeness"], score.recogniser)
        one["level"] = level_of(one["likeness"], score.recogniser)
    return found


def infotext_of(score: PictureScore) -> str:
    """Return what a picture's metadata say, rounded to two digits: the lowest first, then each of several units.

    Such as "0.47", "no face", or "0.21 (0: 0.21, 1: 0.24, swapped)"; "" where nobody was asked for.
    """
    if not score.units:
        return ""
    if len(score.units) == 1:
        return _short(score.units[0])
    parts = [f"{unit.number}: {_short(unit)}" for unit in score.units]
    parts += ["swapped"] if score.is_swapped else []
    lowest = "incomplete" if score.likeness is None else f"{score.likeness:.2f}"
    return f"{lowest} ({', '.join(parts)})"


def console_text(score: PictureScore) -> str:
    """Return one line: the likeness of each unit with its words, and what is not as it was asked for."""
    several = len(score.units) > 1
    parts: list[str] = []
    for unit in score.units:
        words = words_of(unit.likeness, score.recogniser)
        text = _short(unit) + (f" ({words})" if words else "")
        parts.append(f"FaceID {unit.number} {text}" if several else text)
    return " ".join([f"likeness {', '.join(parts)}", *score.notes])


def _short(unit: UnitScore) -> str:
    if unit.likeness is not None:
        return f"{unit.likeness:.2f}"
    return "no face" if unit.is_comparable else "another recogniser"


@cache
def _measured() -> Mapping[str, Meaning]:
    return {name: Meaning(**figures) for name, figures in json.loads(FIGURES.read_text("utf-8")).items()}
