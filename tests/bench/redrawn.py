"""How often "In ADetailer: likeness" gives a face to the unit that it was drawn by, in group pictures of the miniature.

`cd tests && python -m bench.redrawn [--pictures 200]`: pictures of two and three people whom training
never saw, each in a place of their own, and the units in another order than the places. A part that is drawn again is
the middle of a place, whatever our face models see there: what ADetailer's detectors find reaches beyond the face, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gallery import Gallery, strangers

from lib_faceid.faces.analyser import FaceAnalyser, load_face_analyser
from lib_faceid.jobs.redrawn import Redrawn
from lib_faceid.miniature.trained import write_trained_checkpoint
from lib_faceid.units.region import Box, column
from training.captions import COLOUR_NAMES

__all__ = ["Choices", "choices_in_groups"]

PROJECT = Path(__file__).resolve().parents[2]
STEPS = 10
BESIDE = 0.1  # of a place's width, at either side of what is drawn again


@dataclass(frozen=True)
class Choices:
    """How many faces went to whose they are."""

    people: int
    """In each picture."""
    faces: int
    by_likeness: int
    by_order: int
    """What *one each* would have done."""
    pictures: int
    whole: int
    """Pictures in which every face is right."""

    def __str__(self) -> str:
        return (
            f"| {self.pictures} of {self.people} | {self.by_likeness / self.faces:.1%} of {self.faces} | "
            f"{self.whole / self.pictures:.1%} | {self.by_order / self.faces:.1%} |"
        )


def choices_in_groups(gallery: Gallery, analyser: FaceAnalyser, people: int, pictures: int, seed: int = 0) -> Choices:
    """Draw so many pictures of so many people, and return whose unit each face gets."""
    order = np.random.default_rng(seed)
    names = list(gallery.people)
    groups = [tuple(str(name) for name in order.choice(names, people, replace=False)) for _ in range(pictures)]
    walls = [at % len(COLOUR_NAMES) for at in range(pictures)]
    drawn = gallery.draw_groups(groups, [1000 + seed + at for at in range(pictures)], walls)
    by_likeness = by_order = whole = 0
    for group, picture in zip(groups, drawn, strict=True):
        units = [int(at) for at in order.permutation(people)]  # unit k is the person in place units[k]
        redrawn = Redrawn(gallery.job_of([group[at] for at in units]), lambda: analyser, _unsaid)
        places = [int(at) for at in order.permutation(people)]  # the order in which faces are drawn again
        found = [redrawn.face_and_owner(0, _middle(at, people), picture.pixels, range(people)) for at in places]
        owners = [face % people if owner is None else owner for face, owner in found]
        right = [units[int(owner)] == at for owner, at in zip(owners, places, strict=True)]
        by_likeness += sum(right)
        whole += all(right)
        by_order += sum(at == unit for unit, at in enumerate(units))
    return Choices(people, pictures * people, by_likeness, by_order, pictures, whole)


def _middle(at: int, count: int) -> Box:
    """Return what is drawn again of a place: without its edges."""
    place = column(at, count)
    beside = BESIDE * (place.right - place.left)
    return Box(place.left + beside, 0.0, place.right - beside, 1.0)


def _unsaid(message: str) -> None:
    raise AssertionError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="bench.redrawn", description=__doc__)
    parser.add_argument(
        "--pictures", type=int, default=200, metavar="N", help="half of them of two people, half of three"
    )
    options = parser.parse_args(argv)
    data = Path(os.environ.get("FACEID_TEST_DATA") or PROJECT.parent / "shared" / "data")
    analyser = load_face_analyser(data / "face_models" / "models" / "buffalo_sc_f32")
    with tempfile.TemporaryDirectory(prefix="faceid-redrawn-") as name:
        checkpoint = write_trained_checkpoint(Path(name) / "miniature.safetensors")
        gallery = Gallery(Path(name), checkpoint, analyser, strangers("never_seen", 40), STEPS)
        sys.stdout.write("| pictures | faces right | pictures all right | by order |\n|---|---|---|---|\n")
        for people in (2, 3):
            sys.stdout.write(f"{choices_in_groups(gallery, analyser, people, options.pictures // 2, people)}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
