"""What the miniature's Plus v2 draws beside its FaceID, of people whom training never saw.

`python -m bench.plus [--write FILE]` in the folder `tests` makes the tables of docs/MINIATURE.md. Both draw the same
people in the same noises: structure 0 of Plus v2 is FaceID, to the byte. The second table says how pictures follow the
light on photos (`light.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gallery import BLUE, Gallery, photo_of, strangers
from numpy.typing import NDArray

from bench.light import Pictures, followed, in_two_lights, people_of
from bench.results import put_table
from lib_faceid.encoders.clip_vision import ClipVision, load_clip_vision
from lib_faceid.faces.analyser import FaceAnalyser, largest, load_face_analyser
from lib_faceid.faces.crops import resized
from lib_faceid.miniature.plus import TRAINED_CLIP_NAME, TRAINED_PLUS_NAME, write_trained_clip, write_trained_plus
from lib_faceid.miniature.trained import write_trained_checkpoint
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.identity import Identity
from lib_faceid.references.joining import identity_from_photos

__all__ = ["Seen", "looked_at", "seen_by", "with_structure"]

PROJECT = Path(__file__).resolve().parents[2]
STEPS, SEEDS = 10, (0,)
STRUCTURES = (0.0, 1.0, 3.0)
INNER = slice(28, 196)  # of the straightened face of 224 px: without the wall
COARSE_PX = 24
HEAD = [
    "| | who was asked for | others | rank 1 | colour of the face, off by | its light and dark, correlation |",
    "|---|---|---|---|---|---|",
]
LIGHT_HEAD = [
    "| | brightness, correlation | left to right, correlation | brightness, part of it | left to right | likeness |",
    "|---|---|---|---|---|---|",
]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen in one picture of each person and seed; arrays of all pictures, not-a-number without a face."""

    alike: Floats
    """[pictures, people]: the likeness to each; 0 where no face is found."""
    who: NDArray[np.int64]
    colour: Floats
    """How far the mean colour of the straightened face is from that of the photo, of 255."""
    shape: Floats
    """The correlation of both faces' grey at 24 px, which is where brows, beard and outline are."""

    @property
    def right(self) -> Floats:
        """The likeness of each picture to who was asked for."""
        return self.alike[np.arange(len(self.who)), self.who]

    def row(self, name: str) -> str:
        """Return a line of the table."""
        is_right = np.arange(self.alike.shape[1]) == self.who[:, None]
        found = (self.right, self.colour, self.shape)
        right, colour, shape = (f"{np.nanmean(one):.3g} ± {_error(one):.2g}" for one in found)
        rank_1 = (self.alike.argmax(axis=1) == self.who).mean()
        return f"| {name} | {right} | {self.alike[~is_right].mean():.3f} | {rank_1:.2f} | {colour} | {shape} |"


def _error(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1) / len(known) ** 0.5)


def with_structure(names: Sequence[str], analyser: FaceAnalyser, clip: ClipVision) -> dict[str, Identity]:
    """Return the strangers with what the image encoder sees of their photos beside the recogniser's vectors."""
    return {name: identity_from_photos(photo_of(name), analyser=analyser, clip=clip) for name in names}


def looked_at(face_rgb: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Return the mean colour of a straightened face [224, 224, 3], and its grey at a few pixels, without its mean."""
    inner = face_rgb[INNER, INNER]
    grey = resized(inner, (COARSE_PX, COARSE_PX), is_mean=True).mean(-1).ravel()
    return inner.reshape(-1, 3).mean(0), grey - grey.mean()


def seen_by(gallery: Gallery, analyser: FaceAnalyser, seeds: Sequence[int], **settings: Any) -> Seen:
    """Return what is seen in a picture of everybody for each seed."""
    names = list(gallery.people)
    who = np.tile(np.arange(len(names)), len(seeds))
    noises = np.repeat(seeds, len(names)).tolist()
    drawn = gallery.draw([names[one] for one in who], noises, [BLUE] * len(who), **settings)
    photos = [looked_at(largest(analyser.search(read_photo(photo_of(name))).require()).crop_rgb) for name in names]
    alike = np.array([[one.likeness(person) for person in gallery.people.values()] for one in drawn])
    colour, shape = np.full((2, len(who)), np.nan)
    for at, one in enumerate(drawn):
        if one.faces:
            (mean, grey), (wanted, wanted_grey) = looked_at(largest(one.faces).crop_rgb), photos[who[at]]
            colour[at] = np.abs(mean - wanted).mean()
            shape[at] = grey @ wanted_grey / max(np.linalg.norm(grey) * np.linalg.norm(wanted_grey), 1e-9)
    return Seen(alike, who, colour, shape)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(prog="bench.plus", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of a Markdown file")
    parser.add_argument("--people", type=int, default=40, help="(%(default)s)")
    parser.add_argument(
        "--in-light", type=int, default=20, help="people who are photographed in two lights (%(default)s)"
    )
    options = parser.parse_args(argv)
    data = Path(os.environ.get("FACEID_TEST_DATA") or PROJECT.parent / "shared" / "data")
    analyser = load_face_analyser(data / "face_models" / "models" / "buffalo_sc_f32")
    with tempfile.TemporaryDirectory(prefix="faceid-plus-") as name:
        folder = Path(name)
        adapter = write_trained_plus(folder / TRAINED_PLUS_NAME)
        clip = load_clip_vision(write_trained_clip(folder / TRAINED_CLIP_NAME))
        checkpoint = write_trained_checkpoint(folder / "miniature.safetensors")
        plain = with_structure(list(strangers("never_seen", options.people)), analyser, clip)
        tables = {"plus": _likeness(Gallery(folder, checkpoint, analyser, plain, STEPS, adapter), analyser)}
        if options.in_light:
            photos = in_two_lights(list(strangers("never_seen", options.in_light)))
            people = people_of(photos, analyser, clip)
            gallery = Gallery(folder, checkpoint, analyser, people, STEPS, adapter)
            tables["plus-light"] = _light(gallery, photos, analyser)
    for mark, lines in tables.items():
        if options.write:
            put_table(options.write, mark, "\n".join(lines) + "\n")
    return 0


def _likeness(gallery: Gallery, analyser: FaceAnalyser) -> list[str]:
    """Return the table of whom the pictures show, and print its lines as they come."""
    lines = list(HEAD)
    first: Floats | None = None
    for structure in STRUCTURES:
        seen = seen_by(gallery, analyser, SEEDS, structure=structure)
        first = seen.right if first is None else first
        more = seen.right - first
        lines.append(seen.row(_named(structure)))
        _say(f"{lines[-1]}\nmore than FaceID, pair by pair: {more.mean():.4f} ± {_error(more):.4f}")
    return lines


def _light(gallery: Gallery, photos: Pictures, analyser: FaceAnalyser) -> list[str]:
    """Return the table of how the pictures follow the light on photos, and print its lines as they come."""
    lines = list(LIGHT_HEAD)
    people = strangers("never_seen", len(photos) // 2)
    for structure in STRUCTURES:
        lines.append(followed(gallery, photos, analyser, people, structure=structure).row(_named(structure)))
        _say(lines[-1])
    return lines


def _named(structure: float) -> str:
    return f"structure {structure:g}" + (", which is FaceID" if not structure else "")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
