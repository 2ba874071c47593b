"""How a face is looked for: in which views, and when to stop. Knows no detector, only what one reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.geometry import Floats, View, moved, roll_degrees
from lib_faceid.faces.tiles import Tile, is_large, tiles_of

__all__ = ["MIN_SCORE", "VIEWS", "Looker", "Sighting", "search_box", "search_photo", "search_views"]

# A face that fills the frame is missed at 640 px and found when it looks smaller: in a border, or shrunk.
VIEWS = (
    View(640),
    *(View(640, border) for border in (0.25, 0.5, 1.0)),
    *(View(size_px) for size_px in (512, 448, 384, 320, 256, 128)),
)
MIN_SCORE = 0.5
# SCRFD also fires on upside-down faces, at 0.5 to 0.75, and gives them the five points of an upright face:
# the embedding of nobody. Upright faces mostly score above 0.8. So doubt costs three more looks, all turned.
SURE_SCORE = 0.8
SURE_ROLL_DEGREES = 45
UPRIGHT, TURNED = (0,), (1, 2, 3)
PROMINENT = 1 / 8  # of the photo's longer side: who is so large is meant, and small faces behind are not
LIKELY_SCORE = 0.3  # enough where somebody says that there is a face
SAME_FACE = 0.4  # how much of two boxes is one, from which they are one face
INSIDE = 0.6  # how much of the smaller box
MOST_FACES = 100  # that are looked at closely


@dataclass(frozen=True, eq=False)
class Sighting:
    """Everything a detector saw in one view, the weak included."""

    boxes: Floats
    """[n, 4]: x0, y0, x1, y1."""
    points: Floats
    """[n, 5, 2]"""
    scores: Floats
    """[n]"""

    @classmethod
    def nothing(cls) -> Sighting:
        """Return the sighting of an empty room."""
        return cls(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0))

    @classmethod
    def joined(cls, sightings: Iterable[Sighting]) -> Sighting:
        """Return several sightings as one; of boxes of the same face, the one that scores best is kept."""
        every = [*sightings, cls.nothing()]
        boxes, points, scores = (
            np.concatenate([getattr(one, name) for one in every]) for name in ("boxes", "points", "scores")
        )
        kept: list[int] = []
        for i in np.argsort(-scores, kind="stable"):
            if not any(_is_same_face(boxes[i], boxes[j]) for j in kept):
                kept.append(int(i))
        return cls(boxes, points, scores)[kept]

    def __getitem__(self, which: NDArray[Any] | list[Any]) -> Sighting:
        """Return some of the faces, by their indices or a mask."""
        return Sighting(self.boxes[which], self.points[which], self.scores[which])

    @property
    def found(self) -> Sighting:
        """The faces of it."""
        return self[self.scores >= MIN_SCORE]

    @property
    def best_score(self) -> float:
        """The score of the best face; 0 without one."""
        return float(self.scores.max(initial=0.0))

    @property
    def is_sure(self) -> bool:
        """Whether the best face is surely one, and the right way up."""
        if self.best_score < SURE_SCORE:
            return False
        return roll_degrees(self.points[self.scores.argmax()]) < SURE_ROLL_DEGREES

    @property
    def largest_px(self) -> float:
        """The longest side of a face that is surely one; 0 without one."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return float(sides[self.scores >= SURE_SCORE].max(initial=0.0))

    def mapped(self, matrix: Floats) -> Sighting:
        """Return the same after a map of shifts, scales and quarter turns, which keeps boxes boxes."""
        corners = moved(self.boxes.reshape(-1, 2, 2), matrix)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Sighting(boxes, moved(self.points, matrix), self.scores)

    def turned_back(self, quarter_turns: int, size_px: tuple[int, int]) -> Sighting:
        """Return the same in a picture of that width and height, which `np.rot90` had turned so often."""
        width, height = size_px
        matrices = {
            0: [[1, 0, 0], [0, 1, 0]],
            1: [[0, -1, width - 1], [1, 0, 0]],
            2: [[-1, 0, width - 1], [0, -1, height - 1]],
            3: [[0, 1, 0], [-1, 0, height - 1]],
        }
        return self.mapped(np.array(matrices[quarter_turns % 4], float)) if quarter_turns % 4 else self

    def shifted(self, x: float, y: float) -> Sighting:
        """Return the same, moved."""
        return Sighting(self.boxes + np.array([x, y, x, y]), self.points + np.array([x, y]), self.scores)

    def inside(self, edges: tuple[int, int, int, int], size_px: tuple[int, int]) -> Sighting:
        """Return who is not cut by those edges of a piece that are none of the photo's."""
        left, top, right, bottom = edges
        limits = np.array([left or -np.inf, top or -np.inf])
        ends = np.array([np.inf if right >= size_px[0] else right, np.inf if bottom >= size_px[1] else bottom])
        return self[((self.boxes[:, :2] > limits) & (self.boxes[:, 2:] < ends)).all(axis=1)]


class Looker(Protocol):
    """What shows a photo to the detector: quarter turns are anticlockwise, what comes back is in the photo's pixels."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Width, height of the photo."""
        ...

    def view(self, view: View, quarter_turns: int) -> Sighting:
        """Return what is seen of the whole photo."""
        ...

    def tile(self, tile: Tile, quarter_turns: int) -> Sighting:
        """Return what is seen in one piece of it."""
        ...

    def around(self, box: Floats, quarter_turns: int) -> Sighting:
        """Return what is seen around a box."""
        ...


def search_photo(looker: Looker) -> Sighting:
    """Return the faces of a photo, else what came nearest to one.

    A photo in which a face of 40 px may be too small for the detector is also looked at in tiles, unless somebody fills
    an eighth of it; who is found in it is looked at once more from near by.
    """
    if not is_large(looker.size_px):
        return search_views(looker.view)
    best = Sighting.nothing()
    for turns in (UPRIGHT, TURNED):
        whole = _first_view(looker.view, turns)
        if turns == UPRIGHT and whole.largest_px >= PROMINENT * max(looker.size_px):
            return whole
        seen = _best(Sighting.joined(_everywhere(looker, whole, turn)) for turn in turns)
        near = Sighting.joined(_from_near(looker, seen, whole.found))
        if near.best_score >= MIN_SCORE:
            return near
        best = _best([best, whole, seen])
    return Sighting(best.boxes, best.points, np.minimum(best.scores, np.nextafter(MIN_SCORE, 0)))


def search_box(looker: Looker, box: Floats) -> Sighting:
    """Return the one face in a box that somebody drew, perhaps too large or beside it; nothing where none is seen."""
    near = _at(box, looker.around(box, 0))
    if not near.is_sure:
        near = _best([near, *(_at(box, looker.around(box, turn)) for turn in TURNED)])
    return near[[int(near.scores.argmax())]] if near.best_score >= LIKELY_SCORE else Sighting.nothing()


def search_views(look: Callable[[View, int], Sighting]) -> Sighting:
    """Return the first sighting with a face in it, else the one that came nearest.

    `look(view, quarter_turns)` shows the photo to the detector: first upright in every view, then on its
    sides and on its head.
    """
    best = Sighting.nothing()
    for turns in (UPRIGHT, TURNED):
        sighting = _first_view(look, turns)
        if sighting.best_score >= MIN_SCORE:
            return sighting
        best = _best([best, sighting])
    return best


def _first_view(look: Callable[[View, int], Sighting], turns: tuple[int, ...]) -> Sighting:
    """Return the first view with a face in it, else the one that came nearest."""
    best = Sighting.nothing()
    for view in VIEWS:
        sighting = _best(look(view, turn) for turn in turns)
        if sighting.best_score >= MIN_SCORE:
            if turns == TURNED or sighting.is_sure:
                return sighting
            return _best([sighting, *(look(view, turn) for turn in TURNED)])
        best = _best([best, sighting])
    return best


def _everywhere(looker: Looker, whole: Sighting, turn: int) -> Iterator[Sighting]:
    """Give the faces of the whole photo, and those of its tiles."""
    yield whole.found
    for tile in tiles_of(looker.size_px):
        yield looker.tile(tile, turn).found


def _from_near(looker: Looker, seen: Sighting, whole: Sighting) -> Iterator[Sighting]:
    """Give each face as it is seen from near by, where it has more pixels; what is no face then, and was none in the
    whole photo, is left out.
    """
    for i, box in enumerate(seen.boxes[:MOST_FACES]):
        near = _at(box, looker.around(box, 0))
        if not near.is_sure:
            near = _best([near, *(_at(box, looker.around(box, turn)) for turn in TURNED)])
        is_known = any(_is_same_face(box, other) for other in whole.boxes)
        yield seen[[i]] if is_known and near.best_score < MIN_SCORE else near.found


def _at(box: Floats, seen: Sighting) -> Sighting:
    """Return what of a sighting is the face in that box."""
    return seen[[_is_same_face(box, other) for other in seen.boxes]] if len(seen.boxes) else seen


def _is_same_face(a: Floats, b: Floats) -> bool:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    areas = [float(np.prod(np.maximum(box[2:] - box[:2], 1e-6))) for box in (a, b)]
    return shared > SAME_FACE * (sum(areas) - shared) or shared > INSIDE * min(areas)


def _best(sightings: Iterable[Sighting]) -> Sighting:
    return max(sightings, key=lambda sighting: sighting.best_score)
