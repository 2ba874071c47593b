"""How alike the miniature's pictures are: everybody, seed by seed, through the whole engine.

`python -m bench.likeness [--write FILE]` in the folder `tests` makes the table of docs/MINIATURE.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gallery import Drawn, Gallery, open_gallery
from numpy.typing import NDArray

from bench.results import put_table
from lib_faceid.faces.analyser import load_face_analyser
from training.captions import COLOUR_NAMES

__all__ = ["Marks", "marks_of", "marks_of_two"]

PROJECT = Path(__file__).resolve().parents[2]
SEEDS = range(4)
WEIGHTS = (0.0, 0.2, 0.4, 0.8, 1.2)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Marks:
    """What was seen in pictures of everybody."""

    right: float
    """The mean likeness to who was asked for; no face counts as 0."""
    spread: float
    """Of that mean: its standard error."""
    others: float
    """The mean likeness to everybody else."""
    rank_1: float
    """How often who was asked for is who is most alike."""
    found: float
    """How often there is a face."""
    colour: float
    """How often the background has the caption's colour."""

    def row(self, name: str) -> str:
        """Return a line of the table."""
        likeness = f"{self.right:.3f} ± {self.spread:.3f} | {self.others:.3f} | {self.rank_1:.2f}"
        return f"| {name} | {likeness} | {self.found:.2f} | {self.colour:.2f} |"


def marks_of(gallery: Gallery, seeds: Sequence[int] = SEEDS, **settings: float) -> Marks:
    """Return what is seen in pictures of one person each: everybody, once for each seed."""
    who, walls = _everybody(gallery, seeds)
    names = list(gallery.people)
    drawn = [
        gallery.draw(names[person], seed, int(wall), **settings)
        for person, wall, seed in zip(who, walls, np.repeat(seeds, len(names)).tolist(), strict=True)
    ]
    alike = np.array([[one.likeness(person) for person in gallery.people.values()] for one in drawn])
    return _marks(alike, who, [bool(one.faces) for one in drawn], _keeps(drawn, walls))


def marks_of_two(gallery: Gallery, seeds: Sequence[int] = SEEDS) -> Marks:
    """Return the same of pictures of two, each half by itself: everybody, once for each seed, with other neighbours."""
    who, walls = _everybody(gallery, seeds)
    names = list(gallery.people)
    alike: list[list[float]] = []
    found: list[bool] = []
    keeps: list[bool] = []
    for at in range(0, len(who), 2):
        seed = seeds[at // len(names)]
        first, second = ((at + beside + seed) % len(names) for beside in range(2))
        who[at : at + 2] = first, second
        drawn = gallery.draw_side_by_side((names[first], names[second]), seed, int(walls[at]))
        sides = zip(*(drawn.likeness_from_left(one, one) for one in gallery.people.values()), strict=True)
        alike += [list(side) for side in sides]
        found += [any(side) for side in alike[-2:]]
        keeps += 2 * _keeps([drawn], walls[at : at + 1])
    return _marks(np.array(alike), who, found, keeps)


def _everybody(gallery: Gallery, seeds: Sequence[int]) -> tuple[Integers, Integers]:
    """Return who is in each picture, and before which wall: another one for each seed and each person."""
    who = np.tile(np.arange(len(gallery.people)), len(seeds))
    return who, (who + np.repeat(seeds, len(gallery.people))) % len(COLOUR_NAMES)


def _keeps(drawn: Sequence[Drawn], walls: Integers) -> list[bool]:
    return [one.colour == wall for one, wall in zip(drawn, walls, strict=True)]


def _marks(alike: Floats, who: Integers, found: Sequence[bool], keeps: Sequence[bool]) -> Marks:
    """Return the means; alike: [pictures, people]."""
    is_right = np.arange(alike.shape[1]) == who[:, None]
    right = alike[is_right]
    return Marks(
        right=float(right.mean()),
        spread=float(right.std(ddof=1) / len(right) ** 0.5),
        others=float(alike[~is_right].mean()),
        rank_1=float((alike.argmax(axis=1) == who).mean()),
        found=float(np.mean(found)),
        colour=float(np.mean(keeps)),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(prog="bench.likeness", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of a Markdown file")
    options = parser.parse_args(argv)
    data = Path(os.environ.get("FACEID_TEST_DATA") or PROJECT.parent / "shared" / "data")
    analyser = load_face_analyser(data / "face_models" / "models" / "buffalo_sc_f32")
    with tempfile.TemporaryDirectory(prefix="faceid-likeness-") as folder:
        table = "\n".join(_rows(open_gallery(Path(folder), data / "photos", analyser))) + "\n"
    sys.stdout.write(table)
    if options.write:
        put_table(options.write, "likeness", table)
    return 0


def _rows(gallery: Gallery) -> list[str]:
    jobs: list[tuple[str, Callable[[], Marks]]] = [
        (f"weight {weight:g}", lambda weight=weight: marks_of(gallery, weight=weight)) for weight in WEIGHTS
    ]
    jobs += [
        ("weight 0.8, LoRA 0", lambda: marks_of(gallery, weight=0.8, lora=0)),
        ("weight 0.8, two people in two regions", lambda: marks_of_two(gallery)),
    ]
    head = ["| | who was asked for | others | rank 1 | face found | colour kept |", "|---|---|---|---|---|---|"]
    return head + [measure().row(name) for name, measure in jobs]


if __name__ == "__main__":
    sys.exit(main())
