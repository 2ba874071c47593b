"""People who are nobody: faces blended of the parts of a few freely licensed ones.

Every parent's face is brought into one frame, with its five points where the stranger has them, without its own colour
and with most of its own light taken away. A stranger has eyes, nose, mouth and outline of two or three parents, each
part with a mixture of its own, a geometry of its own and a skin tint. The same seed and number give the same stranger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.crops import warped
from lib_faceid.faces.geometry import TEMPLATE, alignment
from training.people import Portrait

__all__ = ["CANVAS_PX", "CANVAS_SCALE", "Parent", "Stranger", "make_stranger", "parent_of"]

CANVAS_PX = 256
CANVAS_SCALE = CANVAS_PX / (112 * 1.35)
"""Of the canvas to the recogniser's crop, which stands in its middle."""
GREY, CONTRAST = 120.0, 42.0  # mean and deviation of every parent's face
FLATTENED = 0.6  # of the light that falls on a parent, which a blend of two would make a seam of
SHARPNESS = 0.8  # of the mixtures: below 1, one parent has most of a part
IMPORTANCE = np.array((0.35, 0.15, 0.2, 0.3))  # of eyes, nose, mouth and the rest for who somebody is
MOST_OF_ONE = 0.62  # of a stranger may come from one parent: nobody who exists is drawn
TINTS_RGB = (
    (1.16, 1.0, 0.88),
    (1.1, 1.0, 0.92),
    (1.2, 0.98, 0.8),
    (1.05, 1.0, 0.95),
    (1.22, 0.97, 0.76),
    (1.0, 1.0, 1.0),
)
GRID_PX = 8  # warps are computed on a coarse grid

Floats = NDArray[np.float64]


def canvas_points(template: Floats) -> Floats:
    """Return where points of the recogniser's crop [n, 2] are on the canvas."""
    return (template - 56) * CANVAS_SCALE + CANVAS_PX / 2


@dataclass(frozen=True, eq=False)
class Parent:
    """A face that strangers are made of: luminance on the canvas [256, 256], and its points there [5, 2]."""

    name: str
    luminance: Floats
    points: Floats


@dataclass(frozen=True, eq=False)
class Stranger:
    """A face on the canvas: uint8 RGB [256, 256, 3], and its points there [5, 2]."""

    face_rgb: NDArray[np.uint8]
    points: Floats


def parent_of(portrait: Portrait) -> Parent:
    """Return the face of a portrait, of the same brightness and contrast as everybody's."""
    matrix = alignment(portrait.face.points, 112) * CANVAS_SCALE
    matrix[:, 2] += CANVAS_PX / 2 - 56 * CANVAS_SCALE
    face = warped(portrait.photo_rgb, matrix, CANVAS_PX, is_edge_repeated=True).astype(np.float64)
    luminance = face @ (0.299, 0.587, 0.114)
    light = cv2.GaussianBlur(luminance, (0, 0), CANVAS_PX / 6)
    luminance = luminance - FLATTENED * (light - light.mean())
    inside = luminance[56:-24, 56:-56]
    luminance = (luminance - inside.mean()) / inside.std() * CONTRAST + GREY
    points = portrait.face.points @ matrix[:, :2].T + matrix[:, 2]
    return Parent(portrait.person.name, luminance, points)


def make_stranger(parents: Sequence[Parent], generator: np.random.Generator) -> Stranger:
    """Return somebody new, made of two or three of the parents."""
    count = int(generator.integers(2, 4))
    chosen = [parents[index] for index in generator.choice(len(parents), count, replace=False)]
    points = canvas_points(_geometry(generator))
    faces = np.stack([_moved(parent.luminance, parent.points, points) for parent in chosen])
    shares = _shares(count, generator)
    luminance = np.einsum("phw,pc,chw->hw", _PARTS, shares, faces)
    luminance = (luminance - GREY) * generator.uniform(0.85, 1.1) + GREY + generator.uniform(-22, 22)
    tint = np.array(TINTS_RGB[generator.integers(len(TINTS_RGB))])
    return Stranger((luminance[..., None] * tint).round().clip(0, 255).astype(np.uint8), points)


def _shares(count: int, generator: np.random.Generator) -> Floats:
    """Return how much of each part comes from each parent [4, count], with nobody's face as a whole among them."""
    while True:
        shares = generator.dirichlet([SHARPNESS] * count, size=len(_PARTS))
        if (IMPORTANCE @ shares).max() <= MOST_OF_ONE:
            return shares


def _geometry(generator: np.random.Generator) -> Floats:
    """Return the five points of a new face in the recogniser's crop: width, length, and each feature's own place."""
    middle = TEMPLATE.mean(0)
    stretched = (TEMPLATE - middle) * generator.uniform(0.9, 1.1, 2) + middle
    eyes, nose, mouth = generator.normal(0, (1.3, 1.6, 1.6))
    stretched[:2, 0] += (-eyes, eyes)
    stretched[2, 1] += nose
    stretched[3:, 0] += (-mouth, mouth)
    stretched[3:, 1] += generator.normal(0, 1.4)
    return stretched


def _moved(luminance: Floats, points: Floats, targets: Floats) -> Floats:
    """Return the face after a smooth warp (thin plates) that brings its points to the targets."""
    edge = np.linspace(0, CANVAS_PX - 1, 3)
    border = np.array([(x, y) for x in edge for y in edge if (x, y) != (edge[1], edge[1])])
    knots = np.concatenate((targets, border))
    offsets = np.concatenate((points - targets, np.zeros_like(border)))
    places = np.arange(0, CANVAS_PX + 1, GRID_PX, dtype=np.float64)
    grid = np.stack(np.meshgrid(places, places), -1).reshape(-1, 2)
    field = _plates(knots, offsets, grid).reshape(len(places), len(places), 2)
    fine = np.mgrid[:CANVAS_PX, :CANVAS_PX][::-1].astype(np.float32)
    coarse = fine / GRID_PX
    maps = [
        fine[axis] + cv2.remap(field[..., axis].astype(np.float32), coarse[0], coarse[1], cv2.INTER_LINEAR)
        for axis in (0, 1)
    ]
    moved = cv2.remap(luminance, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float64)


def _plates(knots: Floats, values: Floats, places: Floats) -> Floats:
    """Return the thin-plate spline through `values` at `knots`, at other places (Bookstein 1989)."""

    def bend(a: Floats, b: Floats) -> Floats:
        squared = np.square(a[:, None] - b[None]).sum(-1)
        return squared * np.log(np.maximum(squared, 1e-9))

    count = len(knots)
    plane = np.column_stack((np.ones(count), knots))
    system = np.zeros((count + 3, count + 3))
    system[:count, :count], system[:count, count:], system[count:, :count] = bend(knots, knots), plane, plane.T
    weights = np.linalg.solve(system, np.concatenate((values, np.zeros((3, 2)))))
    return bend(places, knots) @ weights[:count] + np.column_stack((np.ones(len(places)), places)) @ weights[count:]


def _parts() -> Floats:
    """Return how much each pixel belongs to eyes, nose, mouth and the rest [4, 256, 256]; the sum is 1 everywhere."""
    y, x = (np.mgrid[:CANVAS_PX, :CANVAS_PX] - CANVAS_PX / 2) / CANVAS_SCALE + 56
    blobs = ((56, 47, 34, 13), (56, 66, 10, 11), (56, 92, 24, 13))  # middle and half axes in the recogniser's crop
    parts = [np.exp(-(((x - cx) / rx) ** 4 + ((y - cy) / ry) ** 4)) for cx, cy, rx, ry in blobs]
    total = np.maximum(np.sum(parts, 0), 1)
    inner = np.stack(parts) / total
    return np.concatenate((inner, 1 - inner.sum(0, keepdims=True)))


_PARTS = _parts()
