"""From the blocks that users count to the layers that adapter files count, in every kind of UNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib_faceid.errors import MismatchError
from lib_faceid.unet.layers import AttentionLayer
from lib_faceid.units.layer_weights import LayerWeights
from lib_faceid.units.weight_types import BLOCKS, Stage

__all__ = ["LayerFactors", "block_numbers", "layer_factors"]

_EXECUTION: tuple[Stage, ...] = ("input", "middle", "output")


@dataclass(frozen=True)
class LayerFactors:
    """How strongly each cross-attention layer of one UNet takes part."""

    factors: Mapping[int, float]
    """Layer index -> what the weight is multiplied by; at 0 the layer is left alone."""
    swapped: frozenset[int]
    """Indices of the layers where uncond sees the person, and cond sees nothing."""


def block_numbers(layers: Sequence[AttentionLayer]) -> tuple[dict[int, int], tuple[Stage, ...]]:
    """Return the block of each cross-attention layer (layer index -> number), and the stage of each block.

    A block is one transformer of the UNet, with 1 to 10 layers. It is counted when it is run: input, middle, output.
    """
    cross = sorted(
        (layer for layer in layers if layer.is_cross),
        key=lambda layer: (_EXECUTION.index(layer.stage), layer.index),  # inside a stage files count as it is run
    )
    stages: dict[str, Stage] = {layer.block: layer.stage for layer in cross}
    order = list(stages)
    return {layer.index: order.index(layer.block) for layer in cross}, tuple(stages.values())


def layer_factors(weights: LayerWeights, layers: Sequence[AttentionLayer]) -> LayerFactors:
    """Return the factors for this UNet's layers. Raises MismatchError where its blocks are not those of the weights."""
    numbers, stages = block_numbers(layers)
    if weights.is_even:
        return LayerFactors(dict.fromkeys(numbers, 1.0), frozenset())
    family = next((name for name, known in BLOCKS.items() if known == stages), None)
    if family is None:
        known = " and ".join(f"{name} ({len(blocks)} blocks)" for name, blocks in BLOCKS.items())
        raise MismatchError(
            f"Weight types exist for {known}, and this UNet has {len(stages)} blocks. Choose weight type linear, and "
            f"leave layer weights empty."
        )
    factors, swapped = weights.factors(family), weights.swapped(family)
    return LayerFactors(
        {index: factors[number] for index, number in numbers.items()},
        frozenset(index for index, number in numbers.items() if number in swapped),
    )
