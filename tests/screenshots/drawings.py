"""What the shipped miniature draws for the docs, through the whole engine, each picture with its likeness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from lib_faceid.commands.sheet import make_sheet
from tests.gallery import Drawn, Gallery

__all__ = ["DRAWINGS"]

WHO = ("astronaut", "bryan", "luciano")
WEIGHTS = (0.0, 0.4, 0.8, 1.2)
PAIRS = (("astronaut", "bryan"), ("bryan", "astronaut"), ("luciano", "astronaut"))
SEED = 7
SQUARE_PX = 192


def _likeness(gallery: Gallery) -> Image.Image:
    """One row for each person, one column for each weight: the same seed, the same prompt."""
    rows: list[Image.Image] = []
    for name in WHO:
        drawn = [gallery.draw(name, SEED, weight=weight) for weight in WEIGHTS]
        labels = [
            f"weight {weight:g}: likeness {one.likeness(gallery.people[name]):.2f}"
            for weight, one in zip(WEIGHTS, drawn, strict=True)
        ]
        rows.append(_sheet(labels, drawn))
    return Image.fromarray(np.concatenate([np.asarray(row) for row in rows]))


def _two(gallery: Gallery) -> Image.Image:
    """Two people in two regions; who stands where is all that changes between the first two."""
    drawn = [gallery.draw_side_by_side(pair, SEED) for pair in PAIRS]
    labels: list[str] = []
    for pair, one in zip(PAIRS, drawn, strict=True):
        left, right = one.likeness_from_left(*(gallery.people[name] for name in pair))
        labels.append(f"{pair[0]} {left:.2f}, {pair[1]} {right:.2f}")
    return _sheet(labels, drawn)


def _sheet(labels: Sequence[str], drawn: Sequence[Drawn]) -> Image.Image:
    images = [Image.fromarray(one.pixels) for one in drawn]
    people = images[0].width // images[0].height
    return make_sheet(list(zip(labels, images, strict=True)), (people * SQUARE_PX, SQUARE_PX))


DRAWINGS: dict[str, Callable[[Gallery], Image.Image]] = {"likeness": _likeness, "two": _two}
"""The pictures `docs/images/NAME.png`, and who draws each."""
