"""How strongly a person acts in each block of the UNet: by a weight type, or by a user's own factors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lib_faceid.errors import MismatchError, UnitError
from lib_faceid.units.weight_types import BLOCKS, LINEAR, WEIGHT_TYPES

__all__ = ["LayerWeights", "read_factors"]

LARGEST = 5.0  # of a factor, on both sides of 0
MOST_BLOCKS = max(map(len, BLOCKS.values()))


def read_factors(text: str) -> Mapping[int, float] | tuple[float, ...]:
    """Return the factors in a text: block -> factor of "3:2.5,6:1", or one for each block of "1,1,0.5,...".

    Nothing for no text. Raises UnitError, which says what is right.
    """
    entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
    if any(":" in entry for entry in entries):
        return _pairs(entries)
    if entries and len(entries) not in map(len, BLOCKS.values()):
        expected = " or ".join(f"{len(stages)} ({family})" for family, stages in BLOCKS.items())
        raise UnitError(
            f"layer_weights has {len(entries)} factors; {expected} were expected, or pairs of block and factor: "
            f'"3:2.5,6:1".'
        )
    return tuple(map(_factor, entries))


def _pairs(entries: list[str]) -> Mapping[int, float]:
    pairs: dict[int, float] = {}
    for entry in entries:
        number, colon, factor = (part.strip() for part in entry.partition(":"))
        if not colon or not re.fullmatch("[0-9]{1,2}", number) or int(number) >= MOST_BLOCKS:
            raise UnitError(
                f"layer_weights has {entry[:40]!r}; a block from 0 to {MOST_BLOCKS - 1}, a colon and a factor were "
                f'expected, as in "3:2.5,6:1".'
            )
        if int(number) in pairs:
            raise UnitError(f"layer_weights has block {int(number)} twice. Give each block one factor.")
        pairs[int(number)] = _factor(factor)
    return pairs


def _factor(text: str) -> float:
    # No float() of any text: it takes nan, infinity, 1_0 and other alphabets' digits too.
    value = float(text) if re.fullmatch(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", text) else LARGEST + 1
    if abs(value) > LARGEST:
        raise UnitError(
            f"layer_weights has the factor {text[:40]!r}; a number from {-LARGEST:g} to {LARGEST:g} was expected."
        )
    return value


@dataclass(frozen=True)
class LayerWeights:
    """A weight type, or a user's own factors in its place. Raises UnitError for a text that cannot be read.

    Blocks that own factors do not name get nothing, and a precise type still says which blocks are swapped.
    """

    weight_type: str = LINEAR
    own: str = ""

    def __post_init__(self) -> None:
        if self.weight_type not in WEIGHT_TYPES:
            raise UnitError(f"weight_type is '{self.weight_type}'; one of {', '.join(WEIGHT_TYPES)} was expected.")
        read_factors(self.own)

    @property
    def acts(self) -> bool:
        """Whether any block gets anything."""
        own = read_factors(self.own)
        return not own or any(own.values() if isinstance(own, Mapping) else own)

    @property
    def is_even(self) -> bool:
        """Whether every block of any UNet gets the whole weight."""
        return self.weight_type == LINEAR and not read_factors(self.own)

    def factors(self, family: str) -> tuple[float, ...]:
        """Return the factor of each block; none for a family without blocks.

        Raises MismatchError for own factors that were made for another family, or where there are no blocks.
        """
        if family not in BLOCKS:
            if not self.is_even:
                raise MismatchError(
                    f"Weight types and layer weights share a weight out among a UNet's blocks, and {family} has none. "
                    f"Set weight_type to '{LINEAR}', and leave layer_weights empty."
                )
            return ()
        own, count = read_factors(self.own), len(BLOCKS[family])
        if not own:
            return WEIGHT_TYPES[self.weight_type].factors[family]
        if isinstance(own, Mapping):
            if max(own) >= count:
                raise MismatchError(
                    f"layer_weights names block {max(own)}, and {family} has blocks 0 to {count - 1}. Name those."
                )
            return tuple(own.get(t, 0.0) for t in range(count))
        if len(own) != count:
            raise MismatchError(
                f"layer_weights has {len(own)} factors, and {family} has {count} blocks. Give {count} factors."
            )
        return own

    def swapped(self, family: str) -> frozenset[int]:
        """Return the blocks where uncond sees the person, and cond sees nothing."""
        return WEIGHT_TYPES[self.weight_type].swapped[family]
