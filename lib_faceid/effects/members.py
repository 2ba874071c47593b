"""Contributions made ready for one UNet: their keys and values, and the factor of each layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lib_faceid.effects.bank import Bank, bank_of
from lib_faceid.effects.contribution import Contribution
from lib_faceid.unet.blocks import layer_factors
from lib_faceid.unet.layers import AttentionLayer

__all__ = ["Member", "members_of"]


class Member(NamedTuple):
    """A contribution, ready for one UNet."""

    contribution: Contribution
    bank: Bank
    factors: Mapping[int, float]
    """Layer index -> what the weight is multiplied by; at 0 nothing is computed."""


def members_of(layers: Sequence[AttentionLayer], contributions: Iterable[Contribution]) -> list[Member]:
    """Return contributions ready for the UNet of these layers. Raises MismatchError for one made for another."""
    return [_member(one, layers) for one in contributions]


def _member(one: Contribution, layers: Sequence[AttentionLayer]) -> Member:
    shared = layer_factors(one.layers, layers)
    bank = bank_of(one.effect.weights, one.effect.sources, layers, shared.swapped)
    return Member(one, bank, shared.factors)
