"""What the shipped miniature draws for the docs, through the whole engine, each picture with its likeness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from lib_faceid.commands.sheet import make_sheet
from lib_faceid.pictures.photo import read_photo
from tests.gallery import BLUE, Drawn, Gallery, photo_of

__all__ = ["DRAWINGS"]

WHO: tuple[str, ...] = ("never_seen_10", "never_seen_27", "never_seen_29")
WEIGHTS = (0.0, 0.2, 0.4, 0.8)
PAIRS = [(WHO[0], WHO[1]), (WHO[1], WHO[0]), (WHO[2], WHO[0])]
NAMES: dict[str, str] = dict(zip(WHO, ("Robin", "Kim", "Noor"), strict=True))
SEED = 7
SQUARE_PX = 192


def _likeness(gallery: Gallery) -> Image.Image:
    """One row for each person: the photo, then one column for each weight with the same seed and the same prompt."""
    rows: list[Image.Image] = []
    for name in WHO:
        drawn = [gallery.draw([name], [SEED], [BLUE], weight=weight)[0] for weight in WEIGHTS]
        photo = Drawn(read_photo(photo_of(name)), ())
        labels = ["photo"] + [
            f"weight {weight:g}: likeness {one.likeness(gallery.people[name]):.2f}"
            for weight, one in zip(WEIGHTS, drawn, strict=True)
        ]
        rows.append(_sheet(labels, [photo, *drawn]))
    return Image.fromarray(np.concatenate([np.asarray(row) for row in rows]))


def _two(gallery: Gallery) -> Image.Image:
    """Two people in two regions; who stands where is all that changes between the first two."""
    drawn = [gallery.draw_pairs([pair], [SEED], [BLUE])[0] for pair in PAIRS]
    labels: list[str] = []
    for pair, one in zip(PAIRS, drawn, strict=True):
        left, right = one.likeness_from_left(*(gallery.people[name] for name in pair))
        labels.append(f"{NAMES[pair[0]]} {left:.2f}, {NAMES[pair[1]]} {right:.2f}")
    return _sheet(labels, drawn)


def _sheet(labels: Sequence[str], drawn: Sequence[Drawn]) -> Image.Image:
    images = [Image.fromarray(one.pixels) for one in drawn]
    people = images[0].width // images[0].height
    return make_sheet(list(zip(labels, images, strict=True)), (people * SQUARE_PX, SQUARE_PX))


DRAWINGS: dict[str, Callable[[Gallery], Image.Image]] = {"likeness": _likeness, "two": _two}
"""The pictures `docs/images/NAME.png`, and who draws each."""
