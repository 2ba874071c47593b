"""Contributions and banks in one call each, as tests mostly want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lib_faceid.effects.bank import Bank, bank_of
from lib_faceid.effects.injection import Contribution
from lib_faceid.effects.schedule import Schedule
from lib_faceid.methods.adapter import Adapter
from lib_faceid.references.negative import BLANK, Negative
from lib_faceid.references.reference import Reference
from lib_faceid.unet.layers import AttentionLayer

__all__ = ["bank_for", "changed", "contribution"]


def contribution(
    adapter: Adapter,
    references: Sequence[Reference],
    weight: float = 0.8,
    *,
    structure: float = 1.0,
    negative: Negative = BLANK,
    regions: Any = (),
    layers: Any = None,
    **steps: float,
) -> Contribution:
    """What an adapter makes of references, with the schedule that `weight` and `steps` (start, end, fade) say."""
    tokens = adapter.tokens(references, {"structure": structure}, negative)
    more = {} if layers is None else {"layers": layers}
    return Contribution(tokens, Schedule(weight, **steps), regions, **more)


def changed(one: Contribution, regions: Any = None, **schedule: float) -> Contribution:
    """The same contribution with other regions, or at another weight or other steps."""
    moved = replace(one, schedule=replace(one.schedule, **schedule))
    return moved if regions is None else replace(moved, regions=regions)


def bank_for(
    adapter: Adapter,
    references: Sequence[Reference],
    structure: float,
    layers: Sequence[AttentionLayer],
    swapped: frozenset[int] = frozenset(),
    *,
    negative: Negative = BLANK,
) -> Bank:
    """The bank of references for a UNet's layers."""
    return bank_of(adapter, adapter.tokens(references, {"structure": structure}, negative).sources, layers, swapped)
