"""The world: each person's face again and again, a little different every time, on five flat colours.

Faces stand where ArcFace's own alignment would put them, so that nearly all of a picture is face, and only jitter
around it: the fewer ways a picture can be, the sooner a small network knows them all. Nobody is mirrored: a face and
its mirror image are two modes, and a small network draws their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lib_faceid.faces.crops import aligned, warped
from lib_faceid.faces.geometry import alignment
from training.captions import COLOURS_RGB
from training.people import Portrait
from training.recogniser import Recogniser

__all__ = ["SIZE_PX", "World", "make_world", "read_world"]

SIZE_PX = 128
FACE_FRAME_PX = 112  # the aligned face, of which the picture shows a little more
FRAME_OFFSET_PX = (8, 4)
SUPERSAMPLING = 2  # photos have more pixels than pictures: drawn twice as large, then averaged
ELLIPSE = (64, 64, 46, 57)  # centre and half axes of what is kept of the photo, in pixels of an unjittered picture
FEATHER = 0.08  # how soft its edge is, in half axes

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class World:
    """All pictures, and what is known of each."""

    names: tuple[str, ...]
    """Of the people."""
    photo_embeddings: NDArray[np.float32]
    """[people, 512]: raw, of the photo itself: what a user would give."""
    pictures_rgb: NDArray[np.uint8]
    """[n, 128, 128, 3]"""
    person: NDArray[np.int64]
    """[n], an index of `names`."""
    colour: NDArray[np.int64]
    """[n], an index of COLOURS_RGB."""
    embeddings: NDArray[np.float32]
    """[n, 512]: raw, of each picture."""


def read_world(path: Path) -> World:
    """Return a world that `make_world` wrote."""
    with np.load(path) as file:
        return World(tuple(file["names"].tolist()), *(file[name] for name in _ARRAYS))


_ARRAYS = ("photo_embeddings", "pictures_rgb", "person", "colour", "embeddings")


def make_world(path: Path, portraits: Sequence[Portrait], recogniser: Recogniser, each: int, seed: int) -> World:
    """Write and return a world of `each` pictures of each person."""
    pictures: list[NDArray[np.uint8]] = []
    embeddings: list[NDArray[np.float32]] = []
    person = np.repeat(np.arange(len(portraits)), each)
    colour = np.arange(len(person)) % len(COLOURS_RGB)
    for index, who in enumerate(tqdm(person, "world", disable=None)):
        generator = np.random.default_rng((seed, index))
        picture, points = draw_picture(portraits[who], COLOURS_RGB[colour[index]], generator)
        pictures.append(picture)
        embeddings.append(recogniser.embedding(aligned(picture, points, FACE_FRAME_PX)))
    names = np.array([portrait.person.name for portrait in portraits])
    photo_embeddings = np.stack([portrait.face.id_embedding for portrait in portraits])
    arrays = (photo_embeddings, np.stack(pictures), person, colour, np.stack(embeddings))
    np.savez(path, names=names, **dict(zip(_ARRAYS, arrays, strict=True)))
    return read_world(path)


def draw_picture(
    portrait: Portrait, background_rgb: tuple[int, int, int], generator: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    """Return one picture [128, 128, 3] of the person, turned, moved, lit a little differently, and its points [5, 2].

    No detector is needed to find them again: they are where the map puts the photo's.
    """
    jitter = _jitter(generator)
    base = alignment(portrait.face.points, FACE_FRAME_PX).copy()
    base[:, 2] += FRAME_OFFSET_PX
    matrix = _composed(jitter, base)
    large = warped(portrait.photo_rgb, SUPERSAMPLING * matrix, SUPERSAMPLING * SIZE_PX, is_edge_repeated=True)
    shape = (SIZE_PX, SUPERSAMPLING, SIZE_PX, SUPERSAMPLING, 3)
    photo = large.reshape(shape).astype(np.float64).mean((1, 3))
    contrast, brightness = generator.uniform(0.92, 1.08), generator.uniform(-10, 10)
    photo = (photo - 110) * contrast + 110 + brightness
    kept = _ellipse(jitter)[..., None]
    picture = kept * photo + (1 - kept) * np.array(background_rgb)
    points = portrait.face.points @ matrix[:, :2].T + matrix[:, 2]
    return picture.round().clip(0, 255).astype(np.uint8), points


def _jitter(generator: np.random.Generator) -> Floats:
    """Return a map [2, 3] of the picture onto itself: turned by up to 5 degrees, scaled, moved by up to 4 pixels."""
    angle, scale = np.deg2rad(generator.uniform(-5, 5)), generator.uniform(0.94, 1.03)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([SIZE_PX / 2, SIZE_PX / 2])
    return np.column_stack([linear, centre - linear @ centre + generator.uniform(-4, 4, 2)])


def _composed(after: Floats, before: Floats) -> Floats:
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])


def _ellipse(jitter: Floats) -> Floats:
    """Return how much of the photo is kept at each pixel [128, 128]: 1 inside, 0 outside."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    still = np.linalg.solve(jitter[:, :2], np.stack([x.ravel(), y.ravel()]) - jitter[:, 2:])
    cx, cy, rx, ry = ELLIPSE
    radius = np.hypot((still[0] - cx) / rx, (still[1] - cy) / ry).reshape(SIZE_PX, SIZE_PX)
    return np.clip((1 - radius) / FEATHER + 0.5, 0, 1)
