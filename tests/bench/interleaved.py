"""Ratios that hold on a noisy machine: each contender is timed between two calls of what it is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

import torch

from bench.hooks import Hooks

__all__ = ["Contender", "Timed", "compare", "seconds_of"]

Call = Callable[[], object]
BETWEEN = 2  # contenders between two bare calls


@dataclass(frozen=True)
class Contender:
    """Something that is set up, called once under the clock, and taken out again."""

    name: str
    ready: Callable[[], AbstractContextManager[Call]]
    target: float | None = None
    """Its ratio to the bare call is to be at most this."""
    hooks: Hooks | None = None
    """What tells how much of the call went by inside our hooks."""


@dataclass
class Timed:
    """All calls of one contender."""

    ratios: list[float]
    seconds: list[float]
    inside: list[float]
    """How much of each call went by inside our hooks, in seconds."""


def seconds_of(call: Call) -> float:
    """Return how long a call takes, until the device is done with it."""
    settle()
    began = time.perf_counter()
    call()
    settle()
    return time.perf_counter() - began


def settle() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def compare(
    bare: Contender, contenders: Sequence[Contender], rounds: int, say: Callable[[str], None]
) -> dict[str, Timed]:
    """Return the ratios of each contender to the mean of the bare calls before and after it, round by round.

    The order is turned by one in each round, so that nobody always follows the same one.
    """
    timed = {one.name: Timed([], [], []) for one in (bare, *contenders)}
    once(bare)  # memory is claimed and caches are warm
    for number in range(rounds):
        turn = number % len(contenders)
        order = [*contenders[turn:], *contenders[:turn]]
        groups = [order[at : at + BETWEEN] for at in range(0, len(order), BETWEEN)]
        bares: list[float] = []
        calls: list[list[tuple[float, float]]] = []
        for group in groups:
            bares.append(once(bare)[0])
            calls.append([once(one) for one in group])
        bares.append(once(bare)[0])
        for group, seconds, around in zip(groups, calls, pairwise(bares), strict=True):
            for one, (taken, inside) in zip(group, seconds, strict=True):
                timed[one.name].seconds.append(taken)
                timed[one.name].inside.append(inside)
                timed[one.name].ratios.append(2 * taken / sum(around))
        timed[bare.name].seconds += bares
        timed[bare.name].ratios += [one / (sum(bares) / len(bares)) for one in bares]
        say(f"round {number + 1} of {rounds}: bare {bares[-1]:.2f} s")
    return timed


def once(contender: Contender) -> tuple[float, float]:
    """Return how long one call takes, and how long our hooks take in it; setting up and taking out are not counted."""
    hooks = contender.hooks
    with contender.ready() as call:
        before = hooks.seconds if hooks else 0.0
        taken = seconds_of(call)
        return taken, hooks.seconds - before if hooks else 0.0
