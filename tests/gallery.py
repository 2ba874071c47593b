"""The shipped miniature drawn the user's way, and each picture looked at by the detector and the recogniser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lib_faceid.app.beginnings import TRAINED
from lib_faceid.app.resources import Workshop
from lib_faceid.app.session import Easel
from lib_faceid.faces.analyser import Face, FaceAnalyser, largest
from lib_faceid.jobs.job import Job
from lib_faceid.miniature.trained import TRAINED_ADAPTER, write_trained_checkpoint
from lib_faceid.models.folders import Roots
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Unit
from training.captions import COLOUR_NAMES, COLOURS_RGB, caption
from training.people import Person, Portrait, find_portraits

__all__ = ["Drawn", "Gallery", "identity_of", "known_portraits", "open_gallery"]

SIDE_PX = 128
CORNER_PX = 12
SIDES = ("left", "right")
BLUE = COLOUR_NAMES.index("blue")
GROUP = "solvay_conference_1927.png"
KNOWN = (
    Person("astronaut", "astronaut.png", "public domain (NASA)"),
    Person("bryan", "Bryan.png", "CC0"),
    Person("luciano", "Luciano.png", "CC0"),
    Person("solvay_1090", GROUP, "historic photograph of 1927", (1090, 1095)),
    Person("solvay_1235", GROUP, "historic photograph of 1927", (1235, 1212)),
    Person("solvay_1633", GROUP, "historic photograph of 1927", (1633, 1190)),
    Person("solvay_1993", GROUP, "historic photograph of 1927", (1993, 1103)),
    Person("solvay_2497", GROUP, "historic photograph of 1927", (2497, 1208)),
)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture, and who is in it."""

    pixels: NDArray[np.uint8]
    faces: Sequence[Face]

    def likeness(self, person: Identity) -> float:
        """The cosine of the largest face to a person; 0 where no face is found."""
        return _cosine(largest(self.faces), person) if self.faces else 0.0

    def likeness_from_left(self, *people: Identity) -> list[float]:
        """The same for several who stand side by side: of the largest face of each column to its person."""
        width = self.pixels.shape[1] / len(people)
        columns = [[face for face in self.faces if int(_middle(face) // width) == at] for at in range(len(people))]
        return [_cosine(largest(faces), who) if faces else 0.0 for faces, who in zip(columns, people, strict=True)]

    @property
    def colour(self) -> int:
        """Which of the captions' colours is nearest to the upper corners."""
        top = self.pixels[:CORNER_PX]
        mean = np.concatenate((top[:, :CORNER_PX], top[:, -CORNER_PX:])).reshape(-1, 3).mean(0)
        return int(np.square(np.array(COLOURS_RGB) - mean).sum(1).argmin())


def open_gallery(folder: Path, photos: Path, analyser: FaceAnalyser) -> Gallery:
    """Return a gallery of everybody whom the miniature knows, which keeps its files in the folder."""
    portraits = known_portraits(photos, analyser)
    people = {one.person.name: identity_of([one.face.id_embedding], analyser) for one in portraits}
    return Gallery(folder, analyser, people)


def known_portraits(photos: Path, analyser: FaceAnalyser) -> list[Portrait]:
    """Return those whom the shipped miniature knows by heart."""
    return find_portraits(photos, analyser, KNOWN)


def identity_of(id_embeddings: Sequence[NDArray[np.float32]], analyser: FaceAnalyser) -> Identity:
    """Return the person with these embeddings, as the analyser saw them."""
    return Identity(torch.from_numpy(np.stack(id_embeddings)), recogniser=analyser.recogniser)


def _cosine(face: Face, person: Identity) -> float:
    unit = face.id_embedding / np.linalg.norm(face.id_embedding)
    return float(person.averaged().normed_embeddings[0].numpy() @ unit)


def _middle(face: Face) -> float:
    return float(face.box[0] + face.box[2]) / 2


class Gallery:
    """Draws people with the miniature, each picture once."""

    def __init__(
        self, folder: Path, analyser: FaceAnalyser, people: Mapping[str, Identity], steps: int = TRAINED.steps
    ) -> None:
        """Take the people who can be drawn, in how many steps, and by whom pictures are judged."""
        self._steps = steps
        self.people = dict(people)
        self._analyser, self._folder = analyser, folder
        self._checkpoint = write_trained_checkpoint(folder / "miniature.safetensors")
        for name, person in people.items():
            person.save(self._file(name))
        named = tuple(self._file(name) for name in people)
        self._easel = Easel(Workshop(Roots((folder,)), adapters=(TRAINED_ADAPTER,), identities=named))
        self._drawn: dict[str, Drawn] = {}

    def draw(self, name: str | None, seed: int, colour: int = BLUE, **settings: Any) -> Drawn:
        """Return the picture of somebody, or of nobody, in front of a wall of that colour."""
        return self._draw([self._unit(name, **settings)] if name else [], seed, colour, columns=1)

    def draw_side_by_side(self, names: Sequence[str], seed: int, colour: int = BLUE) -> Drawn:
        """Return a wide picture of two people, the first of them on the left."""
        units = [self._unit(name, region=side) for name, side in zip(names, SIDES, strict=True)]
        return self._draw(units, seed, colour, columns=len(SIDES))

    def _draw(self, units: list[Unit], seed: int, colour: int, columns: int) -> Drawn:
        key = repr((units, seed, colour, columns))
        if key not in self._drawn:
            size_px = (columns * SIDE_PX, SIDE_PX)
            request = replace(
                TRAINED, prompt=caption(colour, people=columns), size_px=size_px, steps=self._steps, seed=seed
            )
            job = Job(units, self._easel.workshop.models())
            (painted,) = self._easel.paint(self._checkpoint, job, [request])
            pixels = np.asarray(painted.image)
            self._drawn[key] = Drawn(pixels, self._analyser.detect(pixels))
        return self._drawn[key]

    def _unit(self, name: str, **settings: Any) -> Unit:
        return Unit(enabled=True, person=str(self._file(name)), adapter=str(TRAINED_ADAPTER), **settings)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.identity.safetensors"
