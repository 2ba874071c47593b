"""A photo with a box around each face, and small numbers beside the boxes that cover nobody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["CHOSEN_RGB", "INK_RGB", "THUMBNAIL_PX", "with_boxes"]

THUMBNAIL_PX = 1024
CHOSEN_RGB, OTHER_RGB, INK_RGB = (34, 197, 94), (148, 163, 184), (15, 23, 42)
LEAST_PX, MOST_PX = 12, 22
"""How high a number is."""

Edges = Sequence[float]
"""Left, top, right, bottom in pixels."""


def with_boxes(image_rgb: NDArray[np.uint8], boxes: Sequence[Edges], chosen: int | None) -> Image.Image:
    """Return a photo, made smaller, with its faces marked and numbered from 1; the chosen one is green and on top.

    boxes: in pixels of `image_rgb`, uint8 [H, W, 3].
    """
    image = Image.fromarray(image_rgb)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    scale = image.width / image_rgb.shape[1]
    faces: list[Edges] = [[edge * scale for edge in box] for box in boxes]
    draw, taken = ImageDraw.Draw(image), [*faces]
    for number, box in sorted(enumerate(faces, 1), key=lambda one: one[0] == chosen):
        colour = CHOSEN_RGB if number == chosen else OTHER_RGB
        _frame(draw, box, colour)
        if len(faces) > 1:
            taken.append(_number(draw, box, str(number), colour, taken, image.size))
    return image


def _frame(draw: ImageDraw.ImageDraw, box: Edges, colour: tuple[int, int, int]) -> None:
    side = max(box[2] - box[0], box[3] - box[1])
    draw.rectangle(list(box), outline=INK_RGB, width=max(math.ceil(side / 60), 2) + 2)
    draw.rectangle([box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1], outline=colour, width=max(round(side / 60), 2))


def _number(
    draw: ImageDraw.ImageDraw,
    box: Edges,
    label: str,
    colour: tuple[int, int, int],
    taken: Sequence[Edges],
    size_px: tuple[int, int],
) -> Edges:
    """Draw a number beside its box, and return where: at the first place that covers no face and no other number."""
    font = _font(int(min(max((box[3] - box[1]) / 5, LEAST_PX), MOST_PX)))
    left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
    width, height = right - left + 6, bottom - top + 4
    places = [place for place in _places(box, width, height) if _is_inside(place, size_px)]
    fallback = (box[0], box[1], box[0] + width, box[1] + height)
    covered = lambda place: sum(_overlap(place, other) for other in taken)  # noqa: E731
    at = min([*places, fallback], key=covered)
    draw.rectangle(list(at), fill=colour)
    draw.text((at[0] + 3 - left, at[1] + 2 - top), label, fill=INK_RGB, font=font)
    return at


def _places(box: Edges, width: float, height: float) -> Iterator[Edges]:
    """Give the places around a box, the best first: above, below, beside it."""
    left, top, right, bottom = box
    for y in (top - height, bottom):
        for x in (left, right - width, (left + right - width) / 2):
            yield (x, y, x + width, y + height)
    for x in (left - width, right):
        for y in (top, bottom - height):
            yield (x, y, x + width, y + height)


def _is_inside(place: Edges, size_px: tuple[int, int]) -> bool:
    return place[0] >= 0 and place[1] >= 0 and place[2] <= size_px[0] and place[3] <= size_px[1]


def _overlap(one: Edges, other: Edges) -> float:
    """Return the area that two boxes share."""
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font of that size; Pillow before 10.1 has one of a fixed size."""
    try:
        return ImageFont.load_default(size_px)
    except TypeError:
        return ImageFont.load_default()
