"""Best of N and Aim, tried many times over what was recorded of the miniature (`search_tables.py`).

`python -m bench.search_trials [--write FILE]` in the folder `tests` prints the tables of docs/LIKENESS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.degrade import spearman
from bench.results import Figure, figure_of, put_table
from bench.search_tables import LOOKS_TABLE, WEIGHTS_TABLE
from lib_faceid.likeness.aim import MOST_PROBES, TOLERANCE, Aim, Goal, Probe, aim
from lib_faceid.likeness.search import Look, Plan, search

__all__ = [
    "COMPARED",
    "MOST_CALLS",
    "SAME",
    "TRIALS",
    "Average",
    "Looks",
    "aim_trials",
    "cheapest",
    "is_near",
    "read_looks",
    "search_figures",
    "trials",
]

TRIALS = 400
SAME = 0.003
COMPARED, MOST_CALLS = (8, 10), 0.65
CURVE_TARGETS = 8


@dataclass(frozen=True)
class Looks:
    """What was recorded: likeness by person, seed and look, the finished picture last."""

    steps: int
    looks: tuple[int, ...]
    likeness: np.ndarray[Any, np.dtype[np.float64]]
    """[people, seeds, looks + 1]"""

    def at(self, person: int, seed: int, step: int) -> float:
        """Return the likeness after a step; of a step between two looks what the earlier one saw."""
        known = [*self.looks, self.steps]
        return float(self.likeness[person, seed, max(at for at, one in enumerate(known) if one <= step)])


@dataclass(frozen=True)
class Average:
    """Of many trials."""

    likeness: float
    calls: float


def read_looks() -> Looks:
    """Return the recorded table; people without a face in half of their pictures say nothing, and are left out."""
    table = json.loads(LOOKS_TABLE.read_text("utf-8"))
    likeness = np.array(list(table["likeness"].values()), np.float64)
    return Looks(table["steps"], tuple(table["looks"]), likeness[np.median(likeness[..., -1], axis=1) > 0])


def trials(table: Looks, count: int, *, look_ahead: bool, number: int = TRIALS) -> Average:
    """Return what the best of `count` seeds is on average, and the UNet calls it takes; the same trials for all."""
    random = np.random.default_rng(0)
    people, seeds, _ = table.likeness.shape
    found: list[tuple[float, int]] = []
    for trial in range(number):
        order, person, at = random.permutation(seeds), trial % people, dict[int, int]()

        def draw(
            numbers: Sequence[int], step: int, order: Any = order, person: int = person, at: Any = at
        ) -> list[Look]:
            looks = [Look(table.at(person, order[one], step), step - at.get(one, 0)) for one in numbers]
            at.update(dict.fromkeys(numbers, step))
            return looks

        done = search(Plan(count, table.steps, look_ahead=look_ahead), draw)
        found.append((done.best or 0.0, done.calls))
    likeness, calls = np.array(found).mean(0)
    return Average(float(likeness), float(calls))


def cheapest(table: Looks, likeness: float) -> tuple[int, Average] | None:
    """Return with how many seeds looking ahead reaches a likeness, and its average; None where none does."""
    for count in range(1, table.likeness.shape[1] + 1):
        if (found := trials(table, count, look_ahead=True)).likeness >= likeness - SAME:
            return count, found
    return None


def aim_trials() -> list[tuple[float, Aim]]:
    """Return (target, what was found) over the recorded curves, for targets between their ends."""
    table = json.loads(WEIGHTS_TABLE.read_text("utf-8"))
    weights = table["weights"]
    found: list[tuple[float, Aim]] = []
    for curve in table["likeness"].values():
        for share in np.linspace(0.2, 1.0, CURVE_TARGETS):
            target = round(float(curve[0] + share * (max(curve) - curve[0])), 3)
            if target > 0:
                seen = lambda value, curve=curve: Probe(value, float(np.interp(value, weights, curve)))  # noqa: E731
                found.append((target, aim(Goal(target, highest=max(weights)), seen)))
    return found


def is_near(target: float, found: Aim) -> bool:
    """Say whether an aim ended within the tolerance."""
    return found.proposed is not None and abs(found.proposed.counts - target) <= TOLERANCE


def search_figures() -> Iterator[Figure]:
    """Give what looking ahead saves, and how often Aim misses, for the bench."""
    table, section = read_looks(), "The search for a likeness, over what the miniature drew"
    for count in COMPARED:
        plain = trials(table, count, look_ahead=False)
        found = cheapest(table, plain.likeness)
        ratio = found[1].calls / plain.calls if found else 1.0
        name = f"UNet calls by looking ahead for the likeness of the best of {count}, to those of all {count} finished"
        yield figure_of(section, name, [ratio], "x", target=MOST_CALLS, is_exact=True)
    missed = 1 - float(np.mean([is_near(target, found) for target, found in aim_trials()]))
    yield figure_of(
        section, f"aims that miss a target by more than {TOLERANCE:g}", [missed], "", target=0.1, is_exact=True
    )


def tables() -> str:
    """Return everything as Markdown."""
    table = read_looks()
    people, seeds, _ = table.likeness.shape
    lines = [f"{people} people x {seeds} seeds, {table.steps} steps, {TRIALS} trials.", ""]
    lines += ["| estimate after | ranks a person's seeds like the end (Spearman) |", "|---|---|"]
    for at, step in enumerate(table.looks):
        ranks = [spearman(one[:, at].tolist(), one[:, -1].tolist()) for one in table.likeness]
        lines.append(f"| {step} of {table.steps} steps | {np.mean(ranks):.2f} |")
    lines += ["", "| seeds | all finished | UNet calls | looking ahead | UNet calls |", "|---|---|---|---|---|"]
    for count in (1, 2, 4, 6, 8, 12, 16):
        plain, ahead = (trials(table, count, look_ahead=is_ahead) for is_ahead in (False, True))
        lines.append(
            f"| {count} | {plain.likeness:.3f} | {plain.calls:.0f} | {ahead.likeness:.3f} | {ahead.calls:.0f} |"
        )
    lines += [
        "",
        "| best of, all finished | UNet calls | the same by looking ahead | UNet calls | saved |",
        "|---|---|---|---|---|",
    ]
    for count in (4, 6, *COMPARED):
        plain = trials(table, count, look_ahead=False)
        if (found := cheapest(table, plain.likeness)) is not None:
            tried, ahead = found
            saved = 1 - ahead.calls / plain.calls
            row = f"| {count}: {plain.likeness:.3f} | {plain.calls:.0f} | {tried}: {ahead.likeness:.3f} "
            lines.append(f"{row}| {ahead.calls:.0f} | {saved:.0%} |")
    aims = aim_trials()
    near = np.mean([is_near(target, found) for target, found in aims])
    probes = np.mean([len(found.probes) for _, found in aims])
    words = f"within {TOLERANCE:g} in {near:.0%}, {probes:.1f} pictures on average, {MOST_PROBES} at most"
    lines += ["", f"Aim: {len(aims)} targets that can be reached, {words}."]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.search_trials", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put them between the marks of a Markdown file")
    options = parser.parse_args(argv)
    table = tables()
    sys.stdout.write(table)
    if options.write:
        put_table(options.write, "search", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
