"""Runs with a planted cause, drawn by the miniature or made by formula, for the diagnosis to find.

`python -m bench.diagnosis --draw` in the folder `tests` draws the miniature's runs and writes their facts to
`diagnosis_runs.json`; `python -m bench.diagnosis` says what the map makes of all runs, and of which half.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gallery import Drawn, Gallery, photo_of, strangers
from numpy.typing import NDArray

from bench.formula import formula_runs
from bench.weak import WEAK, weakened
from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.look import Look, look_at
from lib_faceid.diagnosis.map import diagnose
from lib_faceid.faces.analyser import Face, FaceAnalyser, largest, load_face_analyser
from lib_faceid.faces.report import judge
from lib_faceid.miniature.trained import MEASURED, RECOGNISER, write_trained_checkpoint
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.identity import Identity
from training.captions import COLOUR_NAMES, caption

__all__ = ["GOOD", "RUNS", "USUAL", "Rates", "Run", "all_runs", "halves", "rates"]

PROJECT = Path(__file__).resolve().parents[2]
RUNS = PROJECT / "tests" / "diagnosis_runs.json"
GOOD = "good"
STEPS, CFG, SIDE_PX = 8, 2.0, 128
SEEDS = 2  # pictures of a run; those before one wall share their noise, and so the pictures of nobody
EACH = 6  # runs of each planted cause
PAIRS = 4
GOOD_RUNS = 14
SPLIT_SEED = 16
PEOPLE, FIRST_WEAK, FIRST_RANDOM = 48, 20, 40  # those before the first weak one have good references
WEAK_SCORE = 0.75  # of the report of a weak reference, at most
CLEAN_SEEDS = (901, 902, 903)  # of the pictures that say what is usual for a person
OTHER = "glintr100-00000000"
IN_UNIT = ("weight", "start", "end", "lora", "weight_type")
USUAL: float = json.loads(MEASURED.read_text("utf-8"))["never_seen"]["0.8"]


@dataclass(frozen=True)
class Run:
    """What was planted, and what is known of the run."""

    name: str
    planted: str
    facts: Facts


@dataclass(frozen=True)
class Rates:
    """How often the diagnosis was right."""

    first: float
    """Of the runs with a planted cause, those whose first row it is."""
    clean: float
    """Of the good runs, those in which nothing wrong is found."""
    planted: int
    good: int


def all_runs() -> list[Run]:
    """Return the runs that were drawn, and those by formula, in a fixed order."""
    stored = json.loads(RUNS.read_text("utf-8"))
    drawn = [Run(one["name"], one["planted"], Facts.from_dict(one["facts"])) for one in stored]
    return [*drawn, *(Run(name, planted, facts) for name, planted, facts in formula_runs())]


def halves(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Return the half for tuning and the half that is kept out of it, each with half of every planted cause."""
    tuning: list[Run] = []
    kept: list[Run] = []
    draw = np.random.default_rng(SPLIT_SEED)
    for planted in sorted({run.planted for run in runs}):
        group = [run for run in runs if run.planted == planted]
        for at, number in enumerate(draw.permutation(len(group))):
            (kept if at % 2 == 0 else tuning).append(group[number])
    return tuning, kept


def rates(runs: Sequence[Run]) -> Rates:
    """Return how often the diagnosis of these runs is right."""
    planted = [run for run in runs if run.planted != GOOD]
    good = [run for run in runs if run.planted == GOOD]
    first = [_first(run) == run.planted for run in planted]
    clean = [diagnose(run.facts).is_clean for run in good]
    return Rates(float(np.mean(first)), float(np.mean(clean)), len(planted), len(good))


def _first(run: Run) -> str:
    findings = diagnose(run.facts).findings
    return findings[0].row.id if findings else GOOD


# ------------------------------------------------------------------ drawn


@dataclass(frozen=True)
class _Plan:
    """One run to draw."""

    name: str
    planted: str
    person: str
    wall: int
    settings: dict[str, Any]
    unit: dict[str, Any]
    """What the facts say beyond the settings."""
    prompt: str = ""


class _World:
    """The miniature, and what is seen of its pictures."""

    def __init__(self, folder: Path, analyser: FaceAnalyser) -> None:
        self.analyser = analyser
        self.clean = strangers("never_seen", PEOPLE)
        self.checkpoint = write_trained_checkpoint(folder / "miniature.safetensors")
        spoilt = dict(self._spoilt())
        self.reports = {name: report for name, (_, report) in spoilt.items()}
        people = {**self.clean, **{name: person for name, (person, _) in spoilt.items()}, **_randoms()}
        self.gallery = Gallery(folder, self.checkpoint, analyser, people, STEPS)
        self._plain: dict[int, Look] = {}
        self._clean_likeness: dict[str, float] = {}

    def _usual(self, name: str) -> float:
        """Return the likeness of clean pictures of that person, drawn with noises that no run has."""
        if name not in self._clean_likeness:
            walls = [seed % len(COLOUR_NAMES) for seed in CLEAN_SEEDS]
            drawn = self.gallery.draw([name] * len(walls), CLEAN_SEEDS, walls)
            self._clean_likeness[name] = round(float(np.mean([one.likeness(self.clean[name]) for one in drawn])), 4)
        return self._clean_likeness[name]

    def _plain_look(self, wall: int) -> Look:
        if wall not in self._plain:
            drawn = self.gallery.draw_nobody(_seeds(wall), [wall] * SEEDS)
            self._plain[wall] = _look(drawn, [largest(one.faces) if one.faces else None for one in drawn])
        return self._plain[wall]

    def _spoilt(self) -> Iterator[tuple[str, tuple[Identity, tuple[float, str]]]]:
        """Give references that were made weak: small, blurred, dark, in profile, covered."""
        for name, (kind, how) in zip(list(self.clean)[FIRST_WEAK:], WEAK, strict=False):
            photo = read_photo(photo_of(name))
            whole = largest(self.analyser.search(photo).require())
            weak = weakened(photo, kind, how, np.asarray(whole.box), np.asarray(whole.points))
            if faces := self.analyser.search(weak).faces:
                face = largest(faces)
                report = judge(face, weak)
                person = Identity(torch.from_numpy(face.id_embedding[None]), recogniser=self.analyser.recogniser)
                yield f"spoilt-{name}", (person, (report.score, report.reasons[0] if report.reasons else ""))

    def run(self, plan: _Plan) -> Run:
        seeds, walls = _seeds(plan.wall), [plan.wall] * SEEDS
        drawn = self.gallery.draw([plan.person] * SEEDS, seeds, walls, **plan.settings)
        name = plan.person if plan.person in self.clean else plan.person.rpartition("-")[2]
        person = self.clean[name]
        faces = [largest(one.faces) if one.faces else None for one in drawn]
        likeness = [round(one.likeness(person), 4) if one.faces else None for one in drawn]
        unit = UnitFacts(
            likeness=tuple(likeness),
            recogniser=self.analyser.recogniser,
            trained_on=RECOGNISER,
            face_px=_mean([face.size_px for face in faces if face]),
            reference=1.0,
            **{key: value for key, value in plan.settings.items() if key in IN_UNIT},
        )
        facts = Facts(
            prompt=plan.prompt or caption(plan.wall, style=plan.settings.get("style", 0)),
            steps=STEPS,
            cfg=plan.settings.get("cfg", CFG),
            usual_cfg=CFG,
            seed=seeds[0],
            units=(replace(unit, **plan.unit),),
            usual=self._usual(name),
            others=_mean([max(len(one.faces) - 1, 0) for one in drawn]) or 0.0,
            side_px=SIDE_PX,
            look=_look(drawn, faces),
            plain_look=self._plain_look(plan.wall),
        )
        return Run(plan.name, plan.planted, facts)

    def swapped(self, number: int) -> Run:
        """Return a run of two people whose regions were taken for each other's."""
        names = list(self.clean)[2 * number : 2 * number + 2]
        (one,) = self.gallery.draw_pairs([(names[1], names[0])], [number], [number % len(COLOUR_NAMES)])
        people = [self.gallery.people[name] for name in names]
        own = one.likeness_from_left(*people)
        crossed = one.likeness_from_left(*reversed(people))
        units = tuple(
            UnitFacts(
                number=at, likeness=(round(own[at], 4),), region=side, swapped=crossed[at] > own[at] + 0.05,
                recogniser=self.analyser.recogniser, trained_on=RECOGNISER, reference=1.0,
            )
            for at, side in enumerate(("left", "right"))
        )  # fmt: skip
        prompt = caption(number % len(COLOUR_NAMES), people=2)
        return Run(f"swapped-{number}", "swapped", _pair_facts(prompt, number, units, 0.0))

    def extra(self, number: int) -> Run:
        """Return a run of two people of whom one was asked for."""
        names = list(self.clean)[2 * number : 2 * number + 2]
        (one,) = self.gallery.draw_pairs([(names[0], names[1])], [100 + number], [number % len(COLOUR_NAMES)])
        own = one.likeness_from_left(self.gallery.people[names[0]], self.gallery.people[names[1]])[0]
        unit = UnitFacts(
            likeness=(round(own, 4),), region="left", recogniser=self.analyser.recogniser, trained_on=RECOGNISER,
            reference=1.0,
        )  # fmt: skip
        prompt = caption(number % len(COLOUR_NAMES), people=2)
        return Run(f"extra-{number}", "extra_faces", _pair_facts(prompt, number, (unit,), float(len(one.faces) - 1)))


def _pair_facts(prompt: str, seed: int, units: tuple[UnitFacts, ...], others: float) -> Facts:
    return Facts(
        prompt=prompt, steps=STEPS, cfg=CFG, usual_cfg=CFG, seed=seed, units=units, usual=USUAL, others=others,
        side_px=SIDE_PX,
    )  # fmt: skip


def _seeds(wall: int) -> list[int]:
    return [wall * 10 + number for number in range(SEEDS)]


def _randoms() -> dict[str, Identity]:
    """Return what another recogniser would say: vectors that have nothing to do with the people."""
    draw = torch.Generator().manual_seed(5)
    names = list(strangers("never_seen", PEOPLE))[FIRST_RANDOM : FIRST_RANDOM + EACH]
    vectors = 24 * torch.nn.functional.normalize(torch.randn(len(names), 1, 512, generator=draw), dim=-1)
    return {f"random-{name}": Identity(one, recogniser=OTHER) for name, one in zip(names, vectors, strict=True)}


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _look(drawn: Sequence[Drawn], faces: Sequence[Face | None]) -> Look:
    looks = [look_at(one.pixels, _box(face, one.pixels)) for one, face in zip(drawn, faces, strict=True)]
    return Look(
        *(round(float(np.mean(values)), 4) for values in zip(*(one.as_dict().values() for one in looks), strict=True))
    )


def _box(face: Face | None, pixels: NDArray[np.uint8]) -> Sequence[float] | None:
    if face is None:
        return None
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = face.box
    return (x0 / width, y0 / height, x1 / width, y1 / height)


def _plans(world: _World) -> Iterator[_Plan]:
    people = list(world.clean)
    settings: dict[str, list[dict[str, Any]]] = {
        GOOD: [{"weight": (0.8, 0.7, 1.0)[number % 3]} for number in range(GOOD_RUNS)],
        "off": [{"weight": 0.0} for _ in range(3)],
        "low_weight": [{"weight": weight} for weight in (0.05, 0.1, 0.12, 0.15, 0.2, 0.25)],
        "late_start": [{"start": start} for start in (0.45, 0.5, 0.6, 0.65, 0.7, 0.8)],
        "early_end": [{"end": end} for end in (0.15, 0.2, 0.3, 0.35, 0.4, 0.5)],
        "high_cfg": [{"cfg": cfg} for cfg in (12.0, 15.0, 20.0, 25.0, 30.0, 40.0)],
        "prompt_dominates": [{"style": 1} for _ in range(EACH)],
    }
    for planted, each in settings.items():
        for number, one in enumerate(each):
            person = people[(number + 7 * len(planted)) % FIRST_WEAK] if planted != GOOD else people[number]
            yield _Plan(f"{planted}-{number}", planted, person, number % len(COLOUR_NAMES), one, {})
    weak = [name for name, (score, _) in world.reports.items() if score < WEAK_SCORE]
    for number, name in enumerate(weak):
        score, reason = world.reports[name]
        told = {"reference": round(score, 3), "reference_reason": reason}
        yield _Plan(f"weak_reference-{number}", "weak_reference", name, number % 5, {}, told)
    for number, name in enumerate(list(_randoms())[:EACH]):
        told = {"recogniser": OTHER, "reference": 1.0}
        yield _Plan(f"wrong_recogniser-{number}", "wrong_recogniser", name, number % 5, {}, told)


def draw_runs(only: str = "") -> Iterator[Run]:
    """Give the miniature's runs, drawn and looked at now; `only` those whose names begin so."""
    data = Path(os.environ.get("FACEID_TEST_DATA") or PROJECT.parent / "shared" / "data")
    analyser = load_face_analyser(data / "face_models" / "models" / "buffalo_sc_f32")
    with tempfile.TemporaryDirectory(prefix="faceid-diagnosis-") as name:
        world = _World(Path(name), analyser)
        yield from (world.run(plan) for plan in _plans(world) if plan.name.startswith(only))
        if "swapped".startswith(only):
            yield from map(world.swapped, range(PAIRS))
        if "extra".startswith(only):
            yield from map(world.extra, range(PAIRS, 2 * PAIRS))


def _line(run: Run) -> str:
    unit = run.facts.units[0] if run.facts.units else UnitFacts()
    found = [f"{one.row.id} {one.strength:.2f}" for one in diagnose(run.facts).findings[:3]]
    likeness = "" if unit.mean is None else f"{unit.mean:.2f} ({unit.spread:.2f})"
    look, plain = run.facts.look, run.facts.plain_look
    seen = f"{tuple(look.as_dict().values())} {tuple(plain.as_dict().values())}" if look and plain else ""
    return f"{'  ' if _first(run) == run.planted else 'X '}{run.name:22} {likeness:12} {', '.join(found)} {seen}"


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, or say how often the diagnosis is right."""
    parser = argparse.ArgumentParser(prog="bench.diagnosis", description=__doc__)
    parser.add_argument("--draw", action="store_true", help=f"draw the miniature's runs anew and write {RUNS.name}")
    parser.add_argument("--only", default="", metavar="NAME", help="draw those whose names begin so; the others stay")
    parser.add_argument("--tuning", action="store_true", help="list only the runs of the half for tuning")
    options = parser.parse_args(argv)
    if options.draw:
        stored: dict[str, Any] = {}
        if options.only:
            stored = {one["name"]: one for one in json.loads(RUNS.read_text("utf-8"))}
        for run in draw_runs(options.only):
            stored[run.name] = {"name": run.name, "planted": run.planted, "facts": run.facts.as_dict()}
            RUNS.write_text(json.dumps(list(stored.values())) + "\n", "utf-8")
            sys.stdout.write(f"{_line(run)}\n")
            sys.stdout.flush()
    runs = all_runs()
    tuning, kept = halves(runs)
    for run in tuning if options.tuning else runs:
        sys.stdout.write(f"{_line(run)}\n")
    for name, half in (("tuning", tuning), ("kept out", kept)):
        sys.stdout.write(f"{name}: {rates(half)} {dict(Counter(run.planted for run in half))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
