"""Which of several adapters Auto takes: the one rule, for a job and for the setup check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.method import Variant
from lib_faceid.methods.registry import preference

__all__ = ["Choice", "rank"]


class Choice(NamedTuple):
    """What Auto takes, and what it would rather take."""

    adapter: Adapter | None
    """None where none of them can be used."""
    best: Adapter
    """The best of them, usable or not."""
    reason: str
    """Why the best one cannot be used; empty where it can."""


def rank(adapters: Sequence[Adapter], why_not: Callable[[Variant], str]) -> Choice:
    """Return what Auto takes of adapters that all fit; at least one is expected.

    why_not: gives a sentence on what a variant needs and is missing; empty where nothing is.
    """
    ordered = sorted(adapters, key=lambda one: preference(one.variant))
    usable = next((one for one in ordered if not why_not(one.variant)), None)
    return Choice(usable, ordered[0], why_not(ordered[0].variant))
