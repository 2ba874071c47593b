"""How alike the miniature's pictures are to people whom its training never saw, through the whole engine.

`python -m bench.likeness [--write FILE]` in the folder `tests` makes the table of docs/MINIATURE.md; `--only WORD`
measures the rows whose name has that word. `--ship` writes what the demo says where nobody can look.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gallery import BLUE, Drawn, Gallery, identity_of, photo_of, strangers
from numpy.typing import NDArray

from bench.degrade import degraded, spearman
from bench.results import put_table
from lib_faceid.faces.analyser import FaceAnalyser, largest, load_face_analyser
from lib_faceid.faces.report import judge
from lib_faceid.miniature.trained import (
    MEASURED,
    STRANGER,
    STRANGER_PHOTO,
    write_trained_checkpoint,
)
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.identity import Identity
from training.captions import COLOUR_NAMES

__all__ = ["SPOILT", "Marks", "marks_of", "marks_of_pairs", "spoilt_references", "weak_photos"]

PROJECT = Path(__file__).resolve().parents[2]
STEPS = 10  # do as well as 20
SEEDS = range(4)
PAIRS, CROSSED_ROW = "two never seen in two regions", "halves of these that are more like the other half's person"
WEAK_ROWS = {
    "one": "ten of them, one weak photo",
    "mean": "the ten, four weak photos, their mean",
    "all": "the ten, four weak photos, the tokens of all",
}
SPOILT_ROW = "degraded references: rank correlation of quality and likeness"
DEMO_SEED, DEMO_WEIGHTS = 7, (0, 0.2, 0.4, 0.8)
WEAK = (("blur", 0.08), ("resize", 24), ("jpeg", 7), ("gamma", 6))
SPOILT = (("resize", 40), ("resize", 24), ("blur", 0.04), ("blur", 0.08), ("jpeg", 10), ("gamma", 5))
HEAD = ["| | who was asked for | others | rank 1 | face found | colour kept |", "|---|---|---|---|---|---|"]

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
    """The mean likeness to everybody else of the group."""
    rank_1: float
    """How often who was asked for is who is most alike."""
    found: float
    """How often there is a face."""
    colour: float
    """How often the background has the caption's colour."""
    crossed: float = 0.0
    """Of pictures of two: how often a half is more like who was asked for in the other half."""

    def row(self, name: str) -> str:
        """Return a line of the table."""
        likeness = f"{self.right:.3f} ± {self.spread:.3f} | {self.others:.3f} | {self.rank_1:.2f}"
        return f"| {name} | {likeness} | {self.found:.2f} | {self.colour:.2f} |"


def marks_of(gallery: Gallery, group: str, seeds: Sequence[int] = SEEDS, **settings: Any) -> Marks:
    """Return what is seen in pictures of one person each: everybody of the group, once for each seed.

    Each picture has a noise of its own, and the same one at every setting.
    """
    names = [name for name in gallery.people if name.startswith(group)]
    who, walls = _everybody(len(names), seeds)
    drawn = gallery.draw([names[one] for one in who], np.repeat(seeds, len(names)).tolist(), walls.tolist(), **settings)
    alike = np.array([[one.likeness(gallery.people[name]) for name in names] for one in drawn])
    return _marks(alike, who, [bool(one.faces) for one in drawn], _keeps(drawn, walls))


def marks_of_pairs(gallery: Gallery, group: str, seeds: Sequence[int] = (0,)) -> Marks:
    """Return the same of pictures of two, each half by itself: everybody, once for each seed, with other neighbours."""
    names = [name for name in gallery.people if name.startswith(group)]
    order = [np.roll(np.arange(len(names)), -turn) for turn in range(len(seeds))]
    who = np.stack(order).reshape(-1, 2)
    walls = (np.arange(len(who)) + len(seeds)) % len(COLOUR_NAMES)
    pairs = [(names[left], names[right]) for left, right in who]
    drawn = gallery.draw_pairs(pairs, list(range(len(pairs))), walls.tolist())
    sides = [
        zip(*(one.likeness_from_left(*[gallery.people[name]] * 2) for name in names), strict=True) for one in drawn
    ]
    alike = np.array([list(side) for picture in sides for side in picture])
    found = [any(side) for side in alike.tolist()]
    marks = _marks(alike, who.ravel(), found, np.repeat(_keeps(drawn, walls), 2).tolist())
    halves = np.arange(len(alike))
    own, neighbours = alike[halves, who.ravel()], alike[halves, who[:, ::-1].ravel()]
    return replace(marks, crossed=float((neighbours > own).mean()))


def spoilt_references(
    folder: Path, checkpoint: Path, analyser: FaceAnalyser, people: int, steps: int = STEPS
) -> tuple[list[float], list[float]]:
    """Return the quality of degraded references, as the project judges photos, and the likeness that each gives."""
    clean = strangers("never_seen", people)
    quality: dict[str, float] = {}
    seen = {}
    for name in clean:
        photo = read_photo(photo_of(name))
        size_px = largest(analyser.search(photo).require()).size_px
        for kind, step in (("resize", 999), *SPOILT):
            spoilt = degraded(photo, kind, step, size_px)
            faces = analyser.detect(spoilt)
            if faces:
                face = largest(faces)
                label = f"{name}-{kind}-{step}"
                seen[label], quality[label] = identity_of([face.id_embedding], analyser), judge(face, spoilt).score
    gallery = Gallery(folder, checkpoint, analyser, seen, steps)
    noises = [list(clean).index(label.partition("-")[0]) for label in seen]
    drawn = gallery.draw(list(seen), noises, [BLUE] * len(seen))
    likeness = [one.likeness(clean[label.partition("-")[0]]) for one, label in zip(drawn, seen, strict=True)]
    return list(quality.values()), likeness


def weak_photos(folder: Path, checkpoint: Path, analyser: FaceAnalyser, people: int) -> dict[str, Floats]:
    """Return the likeness of each person drawn from one weak photo, and from four that are weak in other ways.

    Of the four, their mean vector or their tokens side by side, which is what Portrait does.
    """
    clean = strangers("never_seen", people)
    references: dict[str, Identity] = {}
    for name in clean:
        photo = read_photo(photo_of(name))
        size_px = largest(analyser.search(photo).require()).size_px
        faces = [analyser.detect(degraded(photo, kind, step, size_px)) for kind, step in WEAK]
        found = [largest(one).id_embedding for one in faces if one]
        every = identity_of(found, analyser)
        references |= {f"{name} one": identity_of(found[:1], analyser), f"{name} mean": every.averaged()}
        references[f"{name} all"] = every
    gallery = Gallery(folder, checkpoint, analyser, references, STEPS)
    likeness: dict[str, Floats] = {}
    for photos, words in WEAK_ROWS.items():
        drawn = [gallery.draw([f"{name} {photos}"], [seed], [BLUE])[0] for seed, name in enumerate(clean)]
        likeness[words] = np.array([one.likeness(who) for one, who in zip(drawn, clean.values(), strict=True)])
    return likeness


def _everybody(count: int, seeds: Sequence[int]) -> tuple[Integers, Integers]:
    """Return who is in each picture, and before which wall: another one for each seed and each person."""
    who = np.tile(np.arange(count), len(seeds))
    return who, (who + np.repeat(seeds, count)) % len(COLOUR_NAMES)


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
    parser.add_argument("--only", default="", metavar="WORD", help="only rows whose name has it")
    parser.add_argument(
        "--ship", action="store_true", help=f"write {MEASURED.name} and the stranger that the demo draws"
    )
    options = parser.parse_args(argv)
    data = Path(os.environ.get("FACEID_TEST_DATA") or PROJECT.parent / "shared" / "data")
    analyser = load_face_analyser(data / "face_models" / "models" / "buffalo_sc_f32")
    marks: dict[str, Marks] = {}
    lines = list(HEAD)
    with tempfile.TemporaryDirectory(prefix="faceid-likeness-") as name:
        folder = Path(name)
        checkpoint = write_trained_checkpoint(folder / "miniature.safetensors")
        for line in _rows(folder, checkpoint, analyser, options.only, marks):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
            lines.append(line)
        if options.ship:
            ship(folder, checkpoint, analyser, marks)
    if options.write:
        put_table(options.write, "likeness", "\n".join(lines) + "\n")
    return 0


def ship(folder: Path, checkpoint: Path, analyser: FaceAnalyser, marks: Mapping[str, Marks]) -> None:
    """Write the shipped stranger as the face models see the photo, and what was measured, for the demo to say."""
    face = largest(analyser.search(read_photo(STRANGER_PHOTO)).require())
    robin = identity_of([face.id_embedding], analyser)
    robin.save(STRANGER)
    demo = Gallery(folder, checkpoint, analyser, {"robin": robin})
    alone = {
        f"{weight:g}": demo.draw(["robin"], [DEMO_SEED], [BLUE], weight=weight)[0].likeness(robin)
        for weight in DEMO_WEIGHTS
    }
    said = {
        "robin": {weight: round(likeness, 3) for weight, likeness in alone.items()},
        **{
            group.replace(" ", "_"): {
                f"{weight:g}": round(marks[f"{group}, weight {weight:g}"].right, 3) for weight in weights
            }
            for group, weights in {"never seen": DEMO_WEIGHTS, "new parents": (0, 0.8)}.items()
        },
        "others": {"0.8": round(marks["never seen, weight 0.8"].others, 3)},
    }
    MEASURED.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _rows(folder: Path, checkpoint: Path, analyser: FaceAnalyser, only: str, marks: dict[str, Marks]) -> Iterator[str]:
    """Give the lines of the table, and put what they say into `marks`."""
    people = strangers("never_seen", 40) | strangers("new_parents")
    gallery = Gallery(folder, checkpoint, analyser, people, STEPS)
    for name, measure in _jobs(gallery):
        if only in name:
            marks[name] = measure()
            yield marks[name].row(name)
            if name == PAIRS:
                yield f"| {CROSSED_ROW} | {marks[name].crossed:.2f} | | | | |"
    if only in SPOILT_ROW:
        quality, likeness = spoilt_references(folder, checkpoint, analyser, 8)
        yield f"| {SPOILT_ROW} | {spearman(quality, likeness):.2f} | | | | |"
    if any(only in row for row in WEAK_ROWS.values()):
        for name, alike in weak_photos(folder, checkpoint, analyser, 10).items():
            yield f"| {name} | {alike.mean():.3f} ± {alike.std(ddof=1) / len(alike) ** 0.5:.3f} | | | | |"


def _jobs(gallery: Gallery) -> list[tuple[str, Callable[[], Marks]]]:
    seen = partial(marks_of, gallery, "never_seen")
    ten = partial(marks_of, gallery, "never_seen_0", range(2))
    new = partial(marks_of, gallery, "new_parents")
    graded = [(f"never seen, weight {weight:g}", partial(seen, (0,), weight=weight)) for weight in (0, 0.2, 0.4, 1.2)]
    return [
        *graded[:3],
        ("never seen, weight 0.8", partial(seen, weight=0.8)),
        graded[3],
        ("new parents, weight 0", partial(new, (0,), weight=0)),
        ("new parents, weight 0.8", partial(new, range(2), weight=0.8)),
        (PAIRS, partial(marks_of_pairs, gallery, "never_seen")),
        ("ten of them, weight 0.8", partial(ten, weight=0.8)),
        ("the ten, LoRA 0", partial(ten, weight=0.8, lora=0)),
        ("the ten, from half of the steps on", partial(ten, weight=0.8, start=0.5)),
        ("the ten, half of the steps", partial(ten, weight=0.8, end=0.5)),
        ("the ten as drawings", partial(ten, weight=0.8, style=1)),
        ("the ten, CFG 4", partial(ten, weight=0.8, cfg=4)),
        ("the ten, CFG 7", partial(ten, weight=0.8, cfg=7)),
    ]


if __name__ == "__main__":
    sys.exit(main())
