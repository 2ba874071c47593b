"""Damaged and hostile inputs for every parser of ours, and what came of them. Exit status 1 where one broke."""

from __future__ import annotations

import argparse

from fuzz.parsers import PARSERS
from fuzz.running import fuzz

__all__ = ["main"]


def main() -> int:
    """Return 0 where every input ended in a result or in one sentence."""
    parser = argparse.ArgumentParser(prog="python dev.py fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="of inputs, for all parsers together (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same inputs (%(default)s)")
    parser.add_argument("--only", action="append", default=[], choices=[one.name for one in PARSERS], metavar="PARSER")
    options = parser.parse_args()
    tallies, findings = fuzz(options.count, options.seed, options.only)
    print(f"{'parser':15}{'inputs':>8}{'read':>8}{'refused':>9}{'slowest':>10}")
    for name, tally in tallies.items():
        total = tally.read + tally.refused
        print(f"{name:15}{total:8,}{tally.read:8,}{tally.refused:9,}{tally.slowest_s:8.2f} s")
    for finding in findings:
        print(finding)
    print(f"{sum(one.read + one.refused for one in tallies.values()):,} inputs, {len(findings)} broke a parser.")
    return 1 if findings else 0
