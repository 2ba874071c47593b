"""How the last pictures look, by their settings, and what these give at weight 0: for the diagnosis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lib_faceid.diagnosis.facts import Facts
from lib_faceid.diagnosis.look import Look, look_at
from lib_faceid.diagnosis.reading import facts_of_parameters, first_box, with_scores
from lib_faceid.likeness.score import PictureScore
from lib_faceid.units.parameters import parameters_from

__all__ = ["LastLooks", "key_of"]

OURS = "FaceID"  # begins the names of all that we write into metadata
MOST = 64  # pictures


@dataclass(frozen=True)
class _Seen:
    """One picture: numbers, and no pixels."""

    look: Look
    box: Sequence[float] | None
    score: PictureScore | None
    settings: Mapping[str, str]
    """All but ours."""
    plain: Look | None = None


class LastLooks:
    """The last pictures that were drawn."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def keep(self, parameters: str, picture_rgb: NDArray[np.uint8], score: PictureScore | None = None) -> None:
        """Look at a picture (uint8 RGB [H, W, 3]) with a person: where her face is, or else in its middle."""
        box = first_box(score) if score else None
        self._seen.pop(key := key_of(parameters), None)
        self._seen[key] = _Seen(look_at(picture_rgb, box), box, score, _settings(parameters))
        while len(self._seen) > MOST:
            self._seen.pop(next(iter(self._seen)))

    def keep_plain(self, parameters: str, picture_rgb: NDArray[np.uint8]) -> bool:
        """Look at what the same settings give at weight 0, for each picture that has these; say whether one has."""
        settings = _settings(parameters)
        found = {key: one for key, one in self._seen.items() if one.settings == settings}
        self._seen |= {key: replace(one, plain=look_at(picture_rgb, one.box)) for key, one in found.items()}
        return bool(found)

    def facts_of(self, parameters: str) -> Facts:
        """Return what is known of a picture by its settings; what was seen in it too, where it is one of the last."""
        facts = facts_of_parameters(parameters_from(parameters))
        seen = self._seen.get(key_of(parameters))
        if seen is None:
            return facts
        scored = with_scores(facts, [seen.score] if seen.score else [])
        return replace(scored, look=seen.look, plain_look=seen.plain)


def _settings(parameters: str) -> dict[str, str]:
    return {name: value for name, value in parameters_from(parameters).items() if not name.startswith(OURS)}


def key_of(parameters: str) -> str:
    """Return metadata in one line: pages show them with other spaces than files have."""
    return " ".join(parameters.split())
