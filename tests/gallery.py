"""The shipped miniature drawn the user's way, and each picture looked at by the detector and the recogniser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_faceid.commands.painting import Easel
from lib_faceid.commands.standalone import Workshop
from lib_faceid.faces.analyser import FaceAnalyser, largest
from lib_faceid.generation import Job
from lib_faceid.hosts.request import Request
from lib_faceid.miniature.trained import TRAINED_ADAPTER, write_trained_checkpoint
from lib_faceid.models.folders import Roots
from lib_faceid.people.identity import Identity
from lib_faceid.unit import Unit
from training.captions import COLOURS_RGB, caption

__all__ = ["Drawn", "Gallery"]

CORNER_PX = 12


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture, and who is in it."""

    pixels: NDArray[np.uint8]
    id_embedding: NDArray[np.float32] | None
    """Of the largest face; None where no face is found."""

    def likeness(self, person: Identity) -> float:
        """The cosine to a person; 0 where no face is found."""
        if self.id_embedding is None:
            return 0.0
        unit = self.id_embedding / np.linalg.norm(self.id_embedding)
        return float(person.averaged().normed_embeddings[0].numpy() @ unit)

    @property
    def colour(self) -> int:
        """Which of the captions' colours is nearest to the upper corners."""
        top = self.pixels[:CORNER_PX]
        mean = np.concatenate((top[:, :CORNER_PX], top[:, -CORNER_PX:])).reshape(-1, 3).mean(0)
        return int(np.square(np.array(COLOURS_RGB) - mean).sum(1).argmin())


class Gallery:
    """Draws people with the miniature, each picture once."""

    def __init__(self, folder: Path, analyser: FaceAnalyser, people: Mapping[str, Identity]) -> None:
        """Take the people who can be drawn, and by whom pictures are judged."""
        self.people = dict(people)
        self._analyser = analyser
        self._checkpoint = write_trained_checkpoint(folder / "miniature.safetensors")
        self._files = {name: folder / f"{name}.identity.safetensors" for name in people}
        for name, person in people.items():
            person.save(self._files[name])
        named = tuple(self._files.values())
        self._easel = Easel(Workshop(Roots((folder,)), adapters=(TRAINED_ADAPTER,), identities=named))
        self._drawn: dict[str, Drawn] = {}

    def draw(self, name: str | None, seed: int, colour: int = 2, **settings: Any) -> Drawn:
        """Return the picture of somebody, or of nobody, in front of a wall of that colour."""
        units = [self._unit(name, **settings)] if name else []
        key = repr((units, seed, colour))
        if key not in self._drawn:
            request = Request(caption(colour), size_px=(128, 128), steps=20, cfg=2, seed=seed)
            job = Job(units, self._easel.workshop.models())
            (painted,) = self._easel.paint(self._checkpoint, job, [request])
            pixels = np.asarray(painted.image)
            faces = self._analyser.detect(pixels)
            self._drawn[key] = Drawn(pixels, largest(faces).id_embedding if faces else None)
        return self._drawn[key]

    def _unit(self, name: str, **settings: Any) -> Unit:
        return Unit(enabled=True, person=str(self._files[name]), adapter=str(TRAINED_ADAPTER), **settings)
