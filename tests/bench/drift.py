"""How often the drift alarm is wrong, and how soon it is right, with other numbers: `python -m bench.drift` in `tests`.

Seeded standard normal likenesses. Beside it, what a t-test of the 8 pictures against the baseline finds that knows when
the fall began, at one false alarm in 1,000: no rule that has to look for the beginning finds much more.
"""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from scipy import stats

from lib_faceid.likeness import drift

__all__ = ["false_alarms", "found"]

RULES = ((0.7, 3.9), (0.6, 4.2), (0.5, 4.6))
FALLS = ((2.0, 20), (2.5, 20), (3.0, 20), (2.0, 40))
WITHIN = 8


def false_alarms(runs: int, pictures: int = 1000, seed: int = 5) -> float:
    """Return how many alarms there are in 1,000 pictures where nothing falls."""
    values = np.random.default_rng(seed).standard_normal((runs, pictures))
    return sum(len(_alarms(row)) for row in values) / (runs * pictures / 1000)


def found(fall: float, baseline: int, times: int, seed: int = 6) -> float:
    """Return the share of falls by so many standard deviations that are found within 8 pictures."""
    values = np.random.default_rng(seed).standard_normal((times, baseline + WITHIN))
    values[:, baseline:] -= fall
    first = [(_alarms(row) or [-1])[0] for row in values]
    return float(np.mean([at >= baseline for at in first]))


def known_beginning(fall: float, baseline: int) -> float:
    """Return the share that a t-test finds which knows when the fall began, at one false alarm in 1,000."""
    free = baseline + WITHIN - 2
    limit = stats.t.ppf(0.999, free)
    return float(1 - stats.nct.cdf(limit, free, fall / np.sqrt(1 / baseline + 1 / WITHIN)))


def _alarms(row: np.ndarray) -> list[int]:
    watch = drift.DriftWatch()
    return [at for at, one in enumerate(row.tolist()) if watch.add(one)]


def main() -> None:
    """Print one line for each rule."""
    for allowance, limit in RULES:
        with patch.multiple(drift, ALLOWANCE=allowance, LIMIT=limit):
            shares = ", ".join(f"{fall:g} after {after}: {found(fall, after, 4000):.3f}" for fall, after in FALLS)
            print(f"{allowance:g}, {limit:g}: {false_alarms(250):.2f} false alarms in 1,000 pictures; {shares}")
    known = ", ".join(f"{fall:g} after {after}: {known_beginning(fall, after):.3f}" for fall, after in FALLS)
    print(f"whoever knew the beginning: {known}")


if __name__ == "__main__":
    main()
