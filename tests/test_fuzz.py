"""No input breaks a parser: what did so once, and a share of what `python dev.py fuzz` tries."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest
from fuzz.corpus import FOUND
from fuzz.parsers import PARSERS, Parser
from fuzz.running import fuzz, try_input

KNOWN = {parser.name: parser for parser in PARSERS}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("parser", "what"), [(parser, what) for parser, found in FOUND.items() for what in found])
def test_what_broke_a_parser_once_does_no_more(parser: str, what: str) -> None:
    finding = try_input(KNOWN[parser], FOUND[parser][what]())
    assert finding is None, str(finding)


@pytest.mark.parametrize("parser", KNOWN)
def test_mutants_break_no_parser(parser: str) -> None:
    tallies, findings = fuzz(40, seed=7, only=[parser])
    assert not findings, "\n".join(map(str, findings))
    assert all(tally.read + tally.refused == 40 for tally in tallies.values())


@pytest.mark.parametrize("parser", KNOWN)
def test_good_inputs_are_read_and_mutants_are_the_same_ones_again(parser: str) -> None:
    for seed in KNOWN[parser].seeds():
        assert try_input(KNOWN[parser], seed) is None
        first, again = (KNOWN[parser].mutate(seed, Random("5")) for _ in range(2))
        assert ascii(first) == ascii(again)


def test_what_breaks_is_found() -> None:
    def slow(_: object) -> None:
        while True:
            pass

    for run, what in ((lambda _: 1 / 0, "ZeroDivisionError"), (slow, "took more than 5 s")):
        finding = try_input(Parser("a", list, lambda value, _: value, run), "input")
        assert finding is not None
        assert what in str(finding)


def test_the_command() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--count", "30", "--only", "regions", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "30 inputs, 0 broke a parser." in done.stdout
