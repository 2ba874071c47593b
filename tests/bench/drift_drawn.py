"""Runs of a person's pictures in which something was changed on the way, drawn by the miniature, for the drift alarm.

`cd tests && python -m bench.drift_drawn` draws them and writes their likenesses to `drift_runs.json`:
of each person pictures as they should be, and from then on those of each change, with other seeds. People whom training
never saw; the likeness is that to the person who was asked for, whoever was drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from gallery import Gallery, strangers
from safetensors.torch import load_file, save_file

from lib_faceid.faces.analyser import load_face_analyser
from lib_faceid.likeness.drift import BASELINE
from lib_faceid.miniature.trained import TRAINED_ADAPTER, write_trained_checkpoint
from training.captions import COLOUR_NAMES

__all__ = ["RUNS", "DrawnRun", "drawn_runs"]

PROJECT = Path(__file__).resolve().parents[2]
RUNS = PROJECT / "tests" / "drift_runs.json"
STEPS = 8
PEOPLE, GOOD, AFTER = 6, BASELINE + 8, 8


class DrawnRun(TypedDict):
    """One person's likenesses, in the order of the pictures; null for a picture without a face."""

    person: str
    good: list[float | None]
    changed: dict[str, list[float | None]]
    """What was changed -> the pictures after it."""


def drawn_runs() -> list[DrawnRun]:
    """Return the runs that were drawn."""
    return json.loads(RUNS.read_text("utf-8"))


@dataclass(frozen=True)
class _World:
    gallery: Gallery
    other_adapter: Gallery
    names: list[str]

    def run(self, at: int) -> DrawnRun:
        name, somebody_else = self.names[at], self.names[(at + 1) % len(self.names)]
        after = range(GOOD, GOOD + AFTER)
        return DrawnRun(
            person=name,
            good=self._likenesses(self.gallery, name, name, range(GOOD)),
            changed={
                "weight 0": self._likenesses(self.gallery, name, name, after, weight=0.0),
                "another person": self._likenesses(self.gallery, somebody_else, name, after),
                "another adapter": self._likenesses(self.other_adapter, name, name, after),
            },
        )

    def _likenesses(
        self, gallery: Gallery, drawn: str, asked_for: str, seeds: Sequence[int], **settings: Any
    ) -> list[float | None]:
        walls = [seed % len(COLOUR_NAMES) for seed in seeds]
        person = gallery.people[asked_for]
        pictures = gallery.draw([drawn] * len(seeds), seeds, walls, **settings)
        return [round(one.likeness(person), 4) if one.faces else None for one in pictures]


def _another_recognisers(path: Path) -> Path:
    """Write the miniature's adapter as if trained on another recogniser: the numbers of a vector in another order."""
    tensors = load_file(TRAINED_ADAPTER)
    first = tensors["image_proj.proj.0.weight"]
    order = torch.randperm(first.shape[1], generator=torch.Generator().manual_seed(0))
    save_file({**tensors, "image_proj.proj.0.weight": first[:, order].contiguous()}, path)
    return path


def main() -> None:
    """Draw the runs, and print what each begins and ends with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=PEOPLE)
    people = strangers("never_seen", parser.parse_args().people)
    analyser = load_face_analyser(Path(os.environ["FACEID_TEST_DATA"]) / "face_models")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = write_trained_checkpoint(folder / "miniature.safetensors")
        other = _another_recognisers(folder / TRAINED_ADAPTER.name)
        good, changed = (
            Gallery(folder, checkpoint, analyser, people, STEPS, file) for file in (TRAINED_ADAPTER, other)
        )
        world = _World(good, changed, list(people))
        runs = [world.run(at) for at in range(len(people))]
    for run in runs:
        print(run["person"], run["good"][:3], {change: values[:3] for change, values in run["changed"].items()})
    RUNS.write_text(json.dumps(runs, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
