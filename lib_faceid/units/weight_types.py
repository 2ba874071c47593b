"""Weight types: how strongly a person acts in each block of the UNet, as one table.

A block is one place of the UNet that looks at the prompt. Blocks are counted in the order in which they are run, from
0, as ComfyUI counts them (`transformer_index`): a block of SDXL holds 2 or 10 layers, which all get its factor. Names,
numbers and formulas are those of ComfyUI_IPAdapter_plus, so that settings can be carried over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["BLOCKS", "LINEAR", "WEIGHT_TYPES", "Stage", "WeightType"]

Stage = Literal["input", "middle", "output"]

_INPUT: tuple[Stage, ...] = ("input",)
_OUTPUT: tuple[Stage, ...] = ("output",)

BLOCKS: Mapping[str, tuple[Stage, ...]] = {
    "SD 1.5": (*_INPUT * 6, "middle", *_OUTPUT * 9),
    "SDXL": (*_INPUT * 4, "middle", *_OUTPUT * 6),
}
"""Family of checkpoints -> the stage of each of its blocks; the place is the block's number."""

LINEAR = "linear"


@dataclass(frozen=True)
class WeightType:
    """One row of the table."""

    name: str
    does: str
    """In one line, for the user."""
    formula: str
    """The factor of block t of L, in words."""
    factors: Mapping[str, tuple[float, ...]]
    """Family -> the factor of each block, by which the unit's weight is multiplied."""
    swapped: Mapping[str, frozenset[int]]
    """Family -> the blocks where the person stands on the other side: uncond sees the person, and cond sees nothing."""


def _by_place(name: str, does: str, formula: str, factor: Callable[[float], float]) -> WeightType:
    """Return a type whose factor depends on t / L, the block's place in the UNet."""
    factors = {family: tuple(factor(t / len(stages)) for t in range(len(stages))) for family, stages in BLOCKS.items()}
    return WeightType(name, does, formula, factors, dict.fromkeys(BLOCKS, frozenset[int]()))


def _by_stage(name: str, does: str, weak: Collection[Stage]) -> WeightType:
    """Return a type that acts with a fifth of its weight in some stages."""
    factors = {family: tuple(0.2 if stage in weak else 1.0 for stage in stages) for family, stages in BLOCKS.items()}
    formula = f"{' and '.join(weak)} 0.2, the rest 1"
    return WeightType(name, does, formula, factors, dict.fromkeys(BLOCKS, frozenset[int]()))


def _by_block(
    name: str,
    does: str,
    numbers: Mapping[str, Mapping[int, float]],
    swapped: Mapping[str, Collection[int]] | None = None,
) -> WeightType:
    """Return a type that names its blocks, family -> block -> factor; the others get nothing."""
    factors = {
        family: tuple(numbers[family].get(t, 0.0) for t in range(len(stages))) for family, stages in BLOCKS.items()
    }
    crossed = {family: frozenset((swapped or {}).get(family, ())) for family in BLOCKS}
    formula = "; ".join(f"{family}: {_formula(factors[family], crossed[family])}" for family in BLOCKS)
    return WeightType(name, does, formula, factors, crossed)


def _formula(factors: tuple[float, ...], swapped: Collection[int]) -> str:
    """Return what each block gets in words, neighbours that are alike together: "0-3 at 1, 4 at 0.25, 5 at 1"."""
    alike: list[tuple[int, int, float, bool]] = []
    for number, factor in enumerate(factors):
        crossed = number in swapped
        if alike and alike[-1][1:] == (number - 1, factor, crossed):
            alike[-1] = (alike[-1][0], number, factor, crossed)
        elif factor:
            alike.append((number, number, factor, crossed))
    return ", ".join(
        f"{first}{f'-{last}' if last > first else ''} at {factor:g}{' swapped' if crossed else ''}"
        for first, last, factor, crossed in alike
    )


def _each(*numbers: int, factor: float = 1.0) -> dict[int, float]:
    return dict.fromkeys(numbers, factor)


_SD15_LAYOUT = {4: 0.25, 5: 1.0}
_SD15_STYLE = _each(*range(4), *range(9, 16))
_XL_LAYOUT, _XL_STYLE = {3: 1.0}, {6: 1.0}
_SD15_REST, _XL_REST = (set(range(16)) - _SD15_LAYOUT.keys(), set(range(11)) - _XL_LAYOUT.keys())

_TABLE = (
    _by_place(LINEAR, "The same in every block.", "1", lambda _: 1.0),
    _by_place(
        "ease in", "Strong at first, weaker from block to block.", "0.05 + 0.95·(1 - t/L)",
        lambda place: 0.05 + 0.95 * (1 - place),
    ),
    _by_place(
        "ease out", "Weak at first, stronger from block to block: the prompt lays out the picture.",
        "0.05 + 0.95·t/L", lambda place: 0.05 + 0.95 * place,
    ),
    _by_place(
        "ease in-out", "Strongest in the middle of the UNet.", "0.05 + 0.95·(1 - |t - L/2| / (L/2))",
        lambda place: 0.05 + 0.95 * (1 - abs(2 * place - 1)),
    ),
    _by_place(
        "reverse in-out", "Strongest at both ends of the UNet.", "0.05 + 0.95·|t - L/2| / (L/2)",
        lambda place: 0.05 + 0.95 * abs(2 * place - 1),
    ),
    _by_stage("weak input", "Little in the input blocks: the prompt lays out the picture.", ("input",)),
    _by_stage("weak output", "Little in the output blocks: the prompt draws surfaces and colours.", ("output",)),
    _by_stage("weak middle", "Little in the middle block.", ("middle",)),
    _by_stage("strong middle", "Little anywhere but in the middle block.", ("input", "output")),
    _by_block(
        "style transfer", "Only the blocks of colours and surfaces, none of those that lay out the picture.",
        {"SD 1.5": _SD15_STYLE, "SDXL": _XL_STYLE},
    ),
    _by_block(
        "composition", "Only the blocks that lay out the picture.", {"SD 1.5": _SD15_LAYOUT, "SDXL": _XL_LAYOUT}
    ),
    _by_block(
        "strong style transfer", "Every block but those that lay out the picture.",
        {"SD 1.5": _each(*_SD15_REST), "SDXL": _each(*_XL_REST)},
    ),
    _by_block(
        "style and composition", "The blocks of style and those of composition, none of the others.",
        {"SD 1.5": _SD15_STYLE | _SD15_LAYOUT, "SDXL": _XL_STYLE | _XL_LAYOUT},
    ),
    _by_block(
        "style transfer precise", "As style transfer, and pushes the picture's layout away from the reference's.",
        {"SD 1.5": _SD15_STYLE | _SD15_LAYOUT, "SDXL": _XL_STYLE | _XL_LAYOUT},
        {"SD 1.5": _SD15_LAYOUT, "SDXL": _XL_LAYOUT},
    ),
    _by_block(
        "composition precise", "As composition, and pushes style and surfaces away from the reference's.",
        {
            "SD 1.5": _SD15_STYLE | _SD15_LAYOUT | _each(6, 7, 8, factor=0.1),
            "SDXL": _each(*_XL_REST, factor=0.1) | _XL_STYLE | _XL_LAYOUT,
        },
        {"SD 1.5": _SD15_REST, "SDXL": _XL_REST},
    ),
)  # fmt: skip

WEIGHT_TYPES: Mapping[str, WeightType] = {one.name: one for one in _TABLE}
