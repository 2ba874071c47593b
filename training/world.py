"""The world: strangers on five flat colours, each in several pictures (photos and drawings) and in photos of their own.

Faces stand where ArcFace's own alignment would put them, so that nearly all of a picture is face, and only jitter
around it: the fewer ways a picture can be, the sooner a small network knows them all. Nobody is mirrored: a face and
its mirror image are two modes, and a small network draws their mean. A photo is what a user would give: another size,
light and pose, blurred and pressed a little, and never the picture that is to be drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lib_faceid.faces.crops import aligned, clip_crop, warped
from training.captions import COLOURS_RGB
from training.recogniser import Recogniser
from training.strangers import CANVAS_PX, CANVAS_SCALE, Parent, Stranger, make_stranger

__all__ = [
    "DRAWING",
    "PHOTO",
    "PHOTO_PX",
    "PICTURES_EACH",
    "SIZE_PX",
    "World",
    "draw_picture",
    "make_sittings",
    "make_world",
    "read_world",
    "sit",
    "stranger",
    "take_photo",
    "write_sittings",
    "write_world",
]

SIZE_PX, PHOTO_PX = 128, 256
FACE_FRAME_PX = 112  # the aligned face, of which the picture shows a little more
ELLIPSE = (CANVAS_PX / 2, CANVAS_PX / 2, 78, 97)  # centre and half axes of what is kept of the face, on the canvas
FEATHER = 0.08  # how soft its edge is, in half axes
PHOTO, DRAWING = 0, 1  # styles
PICTURES_EACH, PHOTOS_EACH = 2, 2
PART = 40  # people in a file
PAPER, INK, TONES = 225.0, 45.0, 4  # of drawings

Floats = NDArray[np.float64]
Locate = Callable[[NDArray[np.uint8]], "Floats | None"]


@dataclass(frozen=True, eq=False)
class World:
    """All pictures, person by person, and what is known of each."""

    pictures_rgb: NDArray[np.uint8]
    """[n, 128, 128, 3]"""
    person: NDArray[np.int64]
    """[n]: whose picture it is."""
    colour: NDArray[np.int64]
    """[n], an index of COLOURS_RGB."""
    style: NDArray[np.int64]
    """[n]: PHOTO or DRAWING."""
    photo_embeddings: NDArray[np.float32]
    """[people, 2, 512]: raw, of each person's photos."""


def read_world(folder: Path) -> World:
    """Return the world whose parts `write_world` put into a folder."""
    parts = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            parts.append({name: file[name] for name in World.__dataclass_fields__})
    return World(**{name: np.concatenate([part[name] for part in parts]) for name in World.__dataclass_fields__})


def write_world(
    folder: Path, parents: Sequence[Parent], recogniser: Recogniser, people: int, seed: int, locate: Locate
) -> World:
    """Write and return a world of so many people, in parts; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in tqdm(range(0, people, PART), "world", disable=None):
        path = folder / f"{start:06}.npz"
        if not path.is_file():
            part = path.with_suffix(".part.npz")
            np.savez(
                part, **vars(make_world(parents, recogniser, range(start, min(start + PART, people)), seed, locate))
            )
            part.replace(path)
    return read_world(folder)


def stranger(parents: Sequence[Parent], group: str, index: int, seed: int) -> Stranger:
    """Return person `index` of a group of strangers; groups with different names have nobody in common."""
    return make_stranger(parents, _generator(seed, group, index, "face"))


def make_world(
    parents: Sequence[Parent], recogniser: Recogniser, people: Sequence[int], seed: int, locate: Locate
) -> World:
    """Return a world of these strangers of the group "train".

    locate: finds the five points of a photo as users' photos are looked at, which is not quite where they are; None
    where it finds no face.
    """
    pictures: list[NDArray[np.uint8]] = []
    crops: list[NDArray[np.uint8]] = []
    person = np.repeat(people, PICTURES_EACH)
    number = person * PICTURES_EACH + np.tile(np.arange(PICTURES_EACH), len(people))
    style = np.where(number % (3 * PICTURES_EACH) == 3 * PICTURES_EACH - 1, DRAWING, PHOTO)  # one of six
    colour = number % len(COLOURS_RGB)
    for who in people:
        one = stranger(parents, "train", who, seed)
        for index in np.flatnonzero(person == who):
            generator = _generator(seed, "train", int(number[index]), "picture")
            pictures.append(draw_picture(one, COLOURS_RGB[colour[index]], generator, int(style[index]))[0])
        for index in range(PHOTOS_EACH):
            photo, points = take_photo(one, _generator(seed, "train", who * PHOTOS_EACH + index, "photo"))
            found = locate(photo)
            crops.append(aligned(photo, points if found is None else found, FACE_FRAME_PX))
    photo_embeddings = recogniser.embeddings(np.stack(crops)).reshape(len(people), PHOTOS_EACH, -1)
    return World(np.stack(pictures), person, colour, style, photo_embeddings)


def make_sittings(
    parents: Sequence[Parent], people: Sequence[int], seed: int, locate: Locate
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return pictures [people, 2, 128, 128, 3] of the group "train", and the straightened face of the photo of each.

    The faces are [people, 2, 224, 224, 3], as CLIP is shown them. The pictures' colours take turns.
    """
    pictures: list[NDArray[np.uint8]] = []
    crops: list[NDArray[np.uint8]] = []
    for who in people:
        one = stranger(parents, "train", who, seed)
        for number in range(who * PICTURES_EACH, (who + 1) * PICTURES_EACH):
            generator = _generator(seed, "train", number, "sitting")
            picture, photo, points = sit(one, COLOURS_RGB[number % len(COLOURS_RGB)], generator)
            found = locate(photo)
            pictures.append(picture)
            crops.append(clip_crop(photo, points if found is None else found))
    shape = len(people), PICTURES_EACH
    return np.stack(pictures).reshape(*shape, SIZE_PX, SIZE_PX, 3), np.stack(crops).reshape(*shape, *crops[0].shape)


def write_sittings(
    folder: Path, parents: Sequence[Parent], people: int, seed: int, locate: Locate
) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
    """Write the same of so many people, in parts; those that are there stay. Return them, the faces on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[NDArray[np.uint8]] = []
    crops: list[NDArray[np.uint8]] = []
    for start in tqdm(range(0, people, PART), "sittings", disable=None):
        paths = [folder / f"{start:06}_{name}.npy" for name in ("pictures", "faces")]
        if not paths[-1].is_file():
            made = make_sittings(parents, range(start, min(start + PART, people)), seed, locate)
            for path, arrays in zip(paths, made, strict=True):
                part = path.with_suffix(".part.npy")
                np.save(part, arrays)
                part.replace(path)
        pictures.append(np.load(paths[0]).reshape(-1, SIZE_PX, SIZE_PX, 3))
        crops.append(np.load(paths[1], mmap_mode="r"))
    return np.concatenate(pictures), crops


def draw_picture(
    one: Stranger, background_rgb: tuple[int, int, int], generator: np.random.Generator, style: int = PHOTO
) -> tuple[NDArray[np.uint8], Floats]:
    """Return a picture [128, 128, 3] of the person, turned, moved, lit a little differently, and the points in it."""
    matrix = _view(generator, SIZE_PX, 1 / CANVAS_SCALE, turn=5, scales=(0.96, 1.03), shift=3)
    matrix[1, 2] -= 4  # room for the chin
    face = _seen(one.face_rgb, matrix, SIZE_PX)
    contrast, brightness = generator.uniform(0.94, 1.06), generator.uniform(-8, 8)
    face = (face - 110) * contrast + 110 + brightness
    if style == DRAWING:
        face = _drawn(face)
    kept = _ellipse(matrix, SIZE_PX)[..., None]
    return _bytes(kept * face + (1 - kept) * np.array(background_rgb)), _points(one, matrix)


def take_photo(one: Stranger, generator: np.random.Generator) -> tuple[NDArray[np.uint8], Floats]:
    """Return a photo [256, 256, 3] of the person before a grey wall, and the points in it."""
    scale = PHOTO_PX / SIZE_PX / CANVAS_SCALE
    matrix = _view(generator, PHOTO_PX, scale, turn=8, scales=(0.8, 1.0), shift=8)
    face = _seen(one.face_rgb, matrix, PHOTO_PX)
    y, x = (np.mgrid[:PHOTO_PX, :PHOTO_PX] - PHOTO_PX / 2) / PHOTO_PX
    light = generator.uniform(-0.3, 0.3) * x + generator.uniform(-0.2, 0.2) * y
    face = (face - 110) * generator.uniform(0.85, 1.15) + 110 + generator.uniform(-15, 15)
    wall = generator.uniform(90, 200) * np.array((1.0, 0.98, 0.94))
    kept = _ellipse(matrix, PHOTO_PX)[..., None]
    photo = (kept * face + (1 - kept) * wall) * (1 + light)[..., None]
    blurred = cv2.GaussianBlur(photo, (0, 0), generator.uniform(0.3, 1.1))
    return _pressed(_bytes(blurred), int(generator.integers(75, 96))), _points(one, matrix)


def sit(
    one: Stranger, background_rgb: tuple[int, int, int], generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Floats]:
    """Return a picture [128, 128, 3] and a photo [256, 256, 3] of one moment, and the points in the photo.

    The face, its pose and the light on it are the same, which is stronger than elsewhere. The picture's wall is flat,
    the photo's is grey, and only the photo is blurred and pressed.
    """
    scale = PHOTO_PX / SIZE_PX / CANVAS_SCALE
    matrix = _view(generator, PHOTO_PX, scale, turn=5, scales=(0.96, 1.03), shift=6)
    matrix[1, 2] -= 8
    y, x = (np.mgrid[:PHOTO_PX, :PHOTO_PX] - PHOTO_PX / 2) / PHOTO_PX
    light = generator.uniform(-0.6, 0.6) * x + generator.uniform(-0.4, 0.4) * y
    face = _seen(one.face_rgb, matrix, PHOTO_PX)
    face = (face - 110) * generator.uniform(0.85, 1.15) + 110 + generator.uniform(-25, 25)
    face = (face * (1 + light)[..., None]).clip(0, 255)
    wall = generator.uniform(90, 200) * np.array((1.0, 0.98, 0.94))
    kept = _ellipse(matrix, PHOTO_PX)[..., None]
    drawn = cv2.resize(
        kept * face + (1 - kept) * np.array(background_rgb), (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA
    )
    blurred = cv2.GaussianBlur(kept * face + (1 - kept) * wall, (0, 0), generator.uniform(0.3, 1.1))
    photo = _pressed(_bytes(blurred), int(generator.integers(75, 96)))
    return _bytes(drawn), photo, _points(one, matrix)


def _view(
    generator: np.random.Generator,
    size_px: int,
    scale: float,
    *,
    turn: float,
    scales: tuple[float, float],
    shift: float,
) -> Floats:
    """Return a map [2, 3] from the canvas to a picture: turned, scaled and moved by chance."""
    angle, scale = np.deg2rad(generator.uniform(-turn, turn)), scale * generator.uniform(*scales)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.full(2, CANVAS_PX / 2)
    return np.column_stack([linear, size_px / 2 - linear @ centre + generator.uniform(-shift, shift, 2)])


def _seen(face_rgb: NDArray[np.uint8], matrix: Floats, size_px: int) -> Floats:
    """Return the face after the map; drawn larger and averaged, because a smaller picture would be jagged."""
    finer = 2 if matrix[0, 0] < 0.8 else 1
    map_finer = matrix * finer
    map_finer[:, 2] += (finer - 1) / 2
    large = warped(face_rgb, map_finer, finer * size_px, is_edge_repeated=True)
    small = cv2.resize(large.astype(np.float64), (size_px, size_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float64)


def _ellipse(matrix: Floats, size_px: int) -> Floats:
    """Return how much of the face is kept at each pixel: 1 inside, 0 outside."""
    y, x = np.mgrid[:size_px, :size_px]
    still = np.linalg.solve(matrix[:, :2], np.stack([x.ravel(), y.ravel()]) - matrix[:, 2:])
    cx, cy, rx, ry = ELLIPSE
    radius = np.hypot((still[0] - cx) / rx, (still[1] - cy) / ry).reshape(size_px, size_px)
    return np.clip((1 - radius) / FEATHER + 0.5, 0, 1)


def _drawn(face: Floats) -> Floats:
    """Return the face as a drawing: a few tones of one ink on paper, with its edges gone over."""
    grey = face.mean(-1).astype(np.float32)
    smooth = cv2.bilateralFilter(grey, 7, 40, 3)
    tones = np.round(np.clip((smooth - 40) / 160, 0, 1) * (TONES - 1)) / (TONES - 1)
    edges = cv2.GaussianBlur(grey, (0, 0), 0.8) - cv2.GaussianBlur(grey, (0, 0), 2.0)
    ink = np.clip(tones + np.clip(edges / 12, -1, 0.2), 0, 1)
    return (INK + (PAPER - INK) * ink)[..., None] * np.array((1.0, 0.99, 0.95))


def _pressed(photo_rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", photo_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], dtype=np.uint8)


def _points(one: Stranger, matrix: Floats) -> Floats:
    return one.points @ matrix[:, :2].T + matrix[:, 2]


def _bytes(picture: Floats) -> NDArray[np.uint8]:
    return picture.round().clip(0, 255).astype(np.uint8)


def _generator(seed: int, group: str, index: int, what: str) -> np.random.Generator:
    return np.random.default_rng([seed, index, *group.encode(), *what.encode()])
