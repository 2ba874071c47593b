"""A finished picture and who was asked for in it -> which face is whose, and how alike it is.

A unit with a region has a face in its region; units that have none take what is left. Where several faces may be
several units', as many as possible get one each, with the highest sum of likenesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.face import Face, FaceSearch
from lib_faceid.faces.measures import measure
from lib_faceid.faces.recognisers import is_same_space
from lib_faceid.likeness.score import PictureScore, UnitScore, swapped
from lib_faceid.references.combining import SAME_PERSON
from lib_faceid.references.identity import Identity
from lib_faceid.unet.regions import Region
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.region import Box

__all__ = ["CLEARLY", "Expected", "Looks", "assigned", "cosines", "judge", "matched"]

CLEARLY = 0.1
"""So much more alike has a face to be to another unit's person before it is called hers."""
HALF = 0.5

Floats: TypeAlias = NDArray[np.float64]


class Looks(Protocol):
    """What finds and recognises faces: a `FaceAnalyser`."""

    recogniser: str

    def search(self, image_rgb: NDArray[np.uint8]) -> FaceSearch:
        """Return the faces of a picture."""
        ...


@dataclass(frozen=True, eq=False)
class Expected:
    """Who was asked for by one unit, and where.

    >>> Expected(0, person).region is None  # anywhere in the picture
    True
    """

    number: int | str
    identity: Identity
    region: Box | Region | None = None
    """Where in the picture, in fractions of it, or by a mask; None for anywhere."""

    def holds(self, face: Box) -> bool:
        """Return whether a face may be this unit's: its middle lies in the region, or in a mask most of its inside."""
        if self.region is None:
            return True
        box = self.region
        if isinstance(box, Region):
            if box.mask is not None:
                return box.share_of(_inside(face)) >= HALF
            box = box.box
        x, y = (face.left + face.right) / 2, (face.top + face.bottom) / 2
        return box.left <= x <= box.right and box.top <= y <= box.bottom


def judge(picture_rgb: NDArray[np.uint8], expected: Sequence[Expected], analyser: Looks) -> PictureScore:
    """Return whose face is which in a picture (uint8 RGB [H, W, 3]), and how alike each is to who was asked for.

    analyser: of the recogniser that made the identities; units whose identity is of another one, or of an unknown one,
    get a sentence and no number. Nobody wanted gives a score without units. Raises PhotoError for what is no picture.

    >>> score = judge(read_photo("me.jpg"), [Expected(0, identity_from_photos("me.jpg"))], load_face_analyser())
    >>> round(score.likeness, 2), score.faces
    (1.0, 1)
    """
    found = _Found(picture_rgb, expected, analyser)
    units = tuple(found.unit(at) for at in range(len(expected)))
    return PictureScore(
        analyser.recogniser, units, len(found.boxes), found.others, found.size_px, _whole(units, found.others)
    )


def matched(alike: Floats, may: NDArray[np.bool_]) -> list[int | None]:
    """Return each unit's own face, None where none is left: as many pairs as may be, then the highest sum.

    alike, may [units, faces]: cosines, and which face may be which unit's.
    """
    count, faces = may.shape
    more = 2.0 * count + 1  # than all cosines together can differ by: one pair more is always better
    gains = np.zeros((count, faces + count))  # behind the faces: for each unit a place without one
    gains[:, :faces] = np.where(may, alike + more, -more)
    return [face if face < faces else None for face in assigned(gains)]


def assigned(gains: Floats) -> list[int]:
    """Return each row's own column of the highest sum; gains [rows, columns], at least as many columns as rows.

    The Hungarian algorithm by shortest augmenting paths: rows^2 * columns steps (Jonker and Volgenant 1987).
    """
    rows, columns = gains.shape
    paid = np.zeros(columns)  # what columns have been made dearer by
    owner = np.full(columns, -1)
    for row in range(rows):
        # From the row along columns that are taken to the nearest free one.
        reached, before = np.full(columns, np.inf), np.full(columns, -1)
        is_done = np.zeros(columns, bool)
        at, column, length = row, -1, 0.0
        while True:
            lengths = length + paid - gains[at] + (gains[at, column] - paid[column] if column >= 0 else 0.0)
            is_shorter = ~is_done & (lengths < reached)
            reached[is_shorter], before[is_shorter] = lengths[is_shorter], column
            column = int(np.where(is_done, np.inf, reached).argmin())
            length, is_done[column] = float(reached[column]), True
            if owner[column] < 0:
                break
            at = int(owner[column])
        paid[is_done] += length - reached[is_done]
        while column >= 0:
            previous = int(before[column])
            owner[column] = row if previous < 0 else owner[previous]
            column = previous
    return [int(np.flatnonzero(owner == row)[0]) for row in range(rows)]


def cosines(people: Sequence[Identity], faces: Sequence[Face]) -> Floats:
    """Return the cosine of each face to each person [people, faces]; several photos of a person count by their mean.

    It says something only where one recogniser made them all.
    """
    if not people or not faces:
        return np.zeros((len(people), len(faces)))
    expected = np.stack([one.averaged().normed_embeddings[0].numpy() for one in people]).astype(np.float64)
    seen = np.stack([face.id_embedding for face in faces]).astype(np.float64)
    return expected @ (seen / np.linalg.norm(seen, axis=1, keepdims=True)).T


class _Found:
    """The faces of one picture, each with the unit whose it is."""

    def __init__(self, picture_rgb: NDArray[np.uint8], expected: Sequence[Expected], analyser: Looks) -> None:
        self._picture_rgb, self._expected, self._recogniser = picture_rgb, expected, analyser.recogniser
        seen = analyser.search(picture_rgb)
        self._faces, self.size_px = seen.faces, seen.photo_size_px
        self.boxes = [_within(Box.from_px(face.box, *self.size_px)) for face in seen.faces]
        self._comparable = [is_same_space(one.identity.recogniser, analyser.recogniser) for one in expected]
        self._alike = cosines([one.identity for one in expected], seen.faces)
        may = [
            [fits and one.holds(box) for box in self.boxes]
            for one, fits in zip(expected, self._comparable, strict=True)
        ]
        self._may = np.array(may, bool).reshape(self._alike.shape)
        self._own = matched(self._alike, self._may)

    @property
    def others(self) -> int:
        """How many faces are no unit's. Those that may be a unit's of another recogniser are not counted."""
        taken = {face for face in self._own if face is not None}
        return max(0, len(self.boxes) - len(taken) - self._comparable.count(False))

    def unit(self, at: int) -> UnitScore:
        """Return what became of a unit, by its place among those wanted."""
        one, face, sharing = self._expected[at], self._own[at], None
        if not self._comparable[at]:
            return UnitScore(one.number, note=_other_recogniser(one, self._recogniser), is_comparable=False)
        if face is None and self._may[at].any():
            face = int(np.where(self._may[at], self._alike[at], -np.inf).argmax())
            sharing = self._own.index(face)  # else it would be this unit's
        if face is None:
            return UnitScore(one.number, note=self._missing(at))
        other = self._more_like(at, face)
        looks_like = None if other is None else self._expected[other].number
        shares_with = None if sharing is None else self._expected[sharing].number
        note = _note(one.number, looks_like, shares_with, None if other is None else float(self._alike[other, face]))
        measures = measure(self._faces[face], self._picture_rgb)
        likeness = float(self._alike[at, face])
        return UnitScore(one.number, likeness, self.boxes[face], note, looks_like, shares_with, measures)

    def _more_like(self, at: int, face: int) -> int | None:
        """Return the unit whose person a face is clearly more like than its own unit's."""
        alike = np.where(self._comparable, self._alike[:, face], -1.0)
        other = int(alike.argmax())
        is_clear = alike[other] >= max(SAME_PERSON, alike[at] + CLEARLY)
        return other if other != at and is_clear else None

    def _missing(self, at: int) -> str:
        """Return why a unit has no face, in a sentence."""
        one = self._expected[at]
        if not self.boxes:
            return f"{infotext_key(one.number)}: no face was found in the picture."
        free = [face for face in range(len(self.boxes)) if face not in self._own]
        nearest = max(free, key=lambda face: self._alike[at, face], default=None)
        outside = ""
        if nearest is not None and self._alike[at, nearest] >= SAME_PERSON:
            outside = f" A face outside it has a likeness of {self._alike[at, nearest]:.2f}."
        return f"{infotext_key(one.number)}: no face was found in its region.{outside}"


def _within(box: Box) -> Box:
    return Box(*(min(max(edge, 0.0), 1.0) for edge in box))


def _inside(box: Box) -> Box:
    """Return the middle half of a box, without hair and background."""
    across, down = (box.right - box.left) / 4, (box.bottom - box.top) / 4
    return Box(box.left + across, box.top + down, box.right - across, box.bottom - down)


def _other_recogniser(one: Expected, recogniser: str) -> str:
    made = one.identity.recogniser or "an unknown one"
    return (
        f"{infotext_key(one.number)}: its person was seen by another recogniser ({made}) than the one that is loaded "
        f"({recogniser}), and the two cannot be compared. Make the person again from the photos."
    )


def _note(
    number: int | str, looks_like: int | str | None, shares_with: int | str | None, likeness: float | None
) -> str:
    """Return what is not as it was asked for, in sentences; "" where all is."""
    parts: list[str] = []
    if shares_with is not None:
        parts.append(f"no face of its own, it shares that of {infotext_key(shares_with)}.")
    if looks_like is not None and looks_like != shares_with:
        parts.append(f"its face is more like the person of {infotext_key(looks_like)} ({likeness:.2f}).")
    return f"{infotext_key(number)}: {' '.join(parts)}" if parts else ""


def _whole(units: Sequence[UnitScore], others: int) -> str:
    """Return what is said of the picture as a whole."""
    sentences = [f"{infotext_key(one)} and {infotext_key(other)} are swapped." for one, other in swapped(units)]
    if others and units:
        sentences.append(f"{others} other face{'s are' if others > 1 else ' is'} in the picture.")
    return " ".join(sentences)
