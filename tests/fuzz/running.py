"""Try mutants: each has to end in a result or in an error of ours, soon, and without taking the machine's memory."""

from __future__ import annotations

import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from fuzz.parsers import PARSERS, Parser
from lib_faceid.errors import FaceIDError

__all__ = ["Finding", "Tally", "fuzz", "try_input"]

SECONDS = 5
MIB = 1024


@dataclass(frozen=True)
class Finding:
    """An input that broke a parser, and how."""

    parser: str
    seed: str
    input: Any
    what: str

    def __str__(self) -> str:
        return f"{self.parser}, --seed {self.seed}: {self.what}\n    input: {ascii(self.input)[:160]}"


@dataclass
class Tally:
    """What came of the mutants of one parser."""

    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0


def fuzz(count: int, seed: int, only: Sequence[str] = ()) -> tuple[dict[str, Tally], list[Finding]]:
    """Return what came of `count` mutants, shared among the parsers; each can be made again from its own seed."""
    parsers = [one for one in PARSERS if (not only or one.name in only) and one.seeds()]
    shares = sum(one.share for one in parsers)
    tallies, findings = {one.name: Tally() for one in parsers}, []
    for parser in parsers:
        for number in range(max(count * parser.share // shares, 1)):
            own = f"{seed}:{parser.name}:{number}"
            random = Random(own)
            value = parser.mutate(random.choice(parser.seeds()), random)
            finding = try_input(parser, value, own, tallies[parser.name])
            findings += [finding] if finding else []
    return tallies, findings


def try_input(parser: Parser, value: Any, seed: str = "", tally: Tally | None = None) -> Finding | None:
    """Return what is wrong with how a parser takes one input; None where nothing is."""
    tally = tally or Tally()
    before, began = _peak_mib(), time.process_time()
    try:
        with _limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parser.run(value)
        tally.read += 1
    except FaceIDError as error:
        tally.refused += 1
        if "\n" in str(error) or len(str(error)) > 2000:
            return Finding(parser.name, seed, value, f"no sentence: {ascii(str(error))[:120]}")
    except TimeoutError:
        return Finding(parser.name, seed, value, f"took more than {SECONDS} s")
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        last = traceback.format_exc().strip().splitlines()
        return Finding(parser.name, seed, value, f"{last[-1]} ({last[-3].strip() if len(last) > 3 else ''})")
    tally.slowest_s = max(tally.slowest_s, time.process_time() - began)
    if _peak_mib() - before > 1024:
        return Finding(parser.name, seed, value, f"took {_peak_mib() - before:,.0f} MiB")
    return None


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MIB * MIB if sys.platform == "darwin" else MIB)


@contextmanager
def _limited() -> Generator[None, None, None]:
    def late(*_: Any) -> None:
        raise TimeoutError

    # Of computing, not of waiting: a busy machine is no finding. What waits for ever is ended all the same.
    kinds = ((signal.SIGPROF, signal.ITIMER_PROF, SECONDS), (signal.SIGALRM, signal.ITIMER_REAL, 20 * SECONDS))
    before = [signal.signal(one, late) for one, _, _ in kinds]
    for _, timer, seconds in kinds:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (one, timer, _), handler in zip(kinds, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(one, handler)
