"""Who is in a drawing, by the detector and the recogniser that read the photos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.analyser import FaceAnalyser, largest

__all__ = ["Judge", "cosine_table"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Judge:
    """Finds the largest face of each picture."""

    analyser: FaceAnalyser

    def embeddings(self, pictures_rgb: NDArray[np.uint8]) -> Floats:
        """Return the raw embedding of each picture [n, 512]; not-a-number where no face is found."""
        found = [self.analyser.detect(picture) for picture in pictures_rgb]
        nobody = np.full(512, np.nan, np.float32)
        return np.stack([largest(faces).id_embedding if faces else nobody for faces in found])

    def cosines(self, pictures_rgb: NDArray[np.uint8], wanted: Floats) -> Floats:
        """Return how alike each picture is to the person of its embedding [n]; not-a-number where no face is found."""
        return (_unit(self.embeddings(pictures_rgb)) * _unit(wanted)).sum(1)


def cosine_table(embeddings: Floats, people: Floats) -> Floats:
    """Return the cosine of each embedding [n, 512] to each person's [people, 512]."""
    return _unit(embeddings) @ _unit(people).T


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
