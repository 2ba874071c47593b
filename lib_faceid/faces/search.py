"""How a face is looked for: in which views, and when to stop. Knows no detector, only what one reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from lib_faceid.faces.geometry import Floats, View, moved, roll_degrees

__all__ = ["MIN_SCORE", "VIEWS", "Sighting", "search_views"]

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

    def mapped(self, matrix: Floats) -> Sighting:
        """Return the same after a map of shifts, scales and quarter turns, which keeps boxes boxes."""
        corners = moved(self.boxes.reshape(-1, 2, 2), matrix)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Sighting(boxes, moved(self.points, matrix), self.scores)


def search_views(look: Callable[[View, int], Sighting]) -> Sighting:
    """Return the first sighting with a face in it, else the one that came nearest.

    `look(view, quarter_turns)` shows the photo to the detector: first upright in every view, then on its
    sides and on its head.
    """
    best = Sighting.nothing()
    for turns in (UPRIGHT, TURNED):
        for view in VIEWS:
            sighting = _best(look(view, turn) for turn in turns)
            if sighting.best_score >= MIN_SCORE:
                if turns == TURNED or sighting.is_sure:
                    return sighting
                return _best([sighting, *(look(view, turn) for turn in TURNED)])
            best = _best([best, sighting])
    return best


def _best(sightings: Iterable[Sighting]) -> Sighting:
    return max(sightings, key=lambda sighting: sighting.best_score)
