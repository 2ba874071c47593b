"""The measures, as plain formulas over unit vectors and cosines. They know no file and no model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Place", "copy_paste", "counted", "greedy_lowest", "leave_one_out", "place", "summary_of", "variety"]

Floats: TypeAlias = NDArray[np.float64]
LEAST_ANGLE = 1e-6


def counted(similarity: float | None, *, is_absent_zero: bool, is_negative_zero: bool) -> float | None:
    """Return what a picture counts: its similarity by the protocol's rules; None where it is left out."""
    if similarity is None:
        return 0.0 if is_absent_zero else None
    return max(similarity, 0.0) if is_negative_zero else similarity


def summary_of(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return mean, median and lowest of what is there; None for each where nothing is."""
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "median": None, "lowest": None}
    return {"mean": mean(known), "median": median(known), "lowest": min(known)}


def copy_paste(generated: Floats, reference: Floats, truth: Floats) -> float | None:
    """Return how much a face is the photo rather than the person: 0 is as near to the truth, 1 a copy; [512] each.

    (angle(generated, truth) - angle(generated, reference)) / angle(truth, reference), as in MultiID-Bench. None where
    the two photos are one.
    """
    apart = _angle(truth, reference)
    if apart < LEAST_ANGLE:
        return None
    return (_angle(generated, truth) - _angle(generated, reference)) / apart


def _angle(first: Floats, second: Floats) -> float:
    cosine = float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    return math.acos(min(max(cosine, -1.0), 1.0))


def greedy_lowest(alike: Floats) -> float | None:
    """Return the lowest similarity of people matched to faces, the best pair first; alike: [people, faces].

    None where there are fewer faces than people.
    """
    people, faces = alike.shape
    if faces < people or not people:
        return None
    left = alike.astype(float).copy()
    lowest = math.inf
    for _ in range(people):
        at = int(left.argmax())
        person, face = divmod(at, faces)
        lowest = min(lowest, float(left[person, face]))
        left[person, :] = left[:, face] = -math.inf
    return lowest


def variety(faces: Sequence[Floats]) -> float | None:
    """Return the mean likeness between the faces of different seeds; None for fewer than two. Lower is more varied."""
    unit = [face / np.linalg.norm(face) for face in faces]
    pairs = [float(unit[i] @ unit[j]) for i in range(len(unit)) for j in range(i)]
    return mean(pairs) if pairs else None


def leave_one_out(photos: Sequence[Floats]) -> list[float]:
    """Return the likeness of each photo of a person to the mean of the others; empty for fewer than two."""
    unit = np.stack([photo / np.linalg.norm(photo) for photo in photos]) if len(photos) > 1 else np.zeros((0, 1))
    total = unit.sum(axis=0)
    rest = [total - one for one in unit]
    return [float(one @ other / np.linalg.norm(other)) for one, other in zip(unit, rest, strict=True)]


@dataclass(frozen=True)
class Place:
    """Where likenesses lie between strangers and the person's own photos."""

    own: float | None
    """The mean likeness of her photos to the others of hers; None where each has one photo only."""
    own_lowest: float | None
    strangers: float | None
    """The mean likeness of photos of different people; None for one person."""
    strangers_highest: float | None
    share: float | None
    """0 is a stranger, 1 as alike as her own photos; None where one of the two is not known."""


def place(likeness: float | None, own: Sequence[float], strangers: Sequence[float]) -> Place:
    """Return where a likeness lies."""
    ours, theirs = (mean(own) if own else None), (mean(strangers) if strangers else None)
    share = None
    if likeness is not None and ours is not None and theirs is not None and ours > theirs:
        share = (likeness - theirs) / (ours - theirs)
    return Place(ours, min(own, default=None), theirs, max(strangers, default=None), share)
