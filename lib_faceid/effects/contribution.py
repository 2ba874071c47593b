"""Tokens, and how strongly, when and where they act: what a UNet is injected with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_faceid.arguments import require
from lib_faceid.effects.effect import ContextTokens, Control, CrossAttention
from lib_faceid.effects.schedule import Schedule
from lib_faceid.unet.regions import Region
from lib_faceid.units.layer_weights import LayerWeights

__all__ = ["Contribution", "Guide", "InContext"]


@dataclass(frozen=True)
class Contribution:
    """Tokens, and how strongly, when and where they act. Several contributions add up, in any order.

    >>> tokens = load_adapter("ip-adapter-faceid_sd15.safetensors").tokens(Identity.load("me.safetensors"))
    >>> Contribution(tokens, Schedule(weight=0.8, start=0.2)).weight_at(progress=0.1)
    0.0
    """

    effect: CrossAttention
    schedule: Schedule = Schedule()
    regions: Sequence[Region | None] = ()
    """Where it acts in each image of a batch; a single one serves all, none at all is everywhere."""
    layers: LayerWeights = LayerWeights()
    """How the weight is distributed over the UNet's layers."""

    def __post_init__(self) -> None:
        require(self.effect, "effect", CrossAttention, "what adapter.tokens([identity]) gives")
        require(self.schedule, "schedule", Schedule, "a Schedule, such as Schedule(weight=0.8)")
        regions = (self.regions,) if isinstance(self.regions, Region) else self.regions
        object.__setattr__(self, "regions", tuple(require(regions, "regions", Sequence, "a Region for each image")))
        require(self.layers, "layers", LayerWeights, "LayerWeights")

    def weight_at(self, progress: float, step: float = 0.0) -> float:
        """Return the weight for the step that begins at that fraction of the pass; `Schedule.weight_at`."""
        return self.schedule.weight_at(progress, step) if self.layers.acts else 0.0


@dataclass(frozen=True)
class Guide:
    """A ControlNet of ours, and how strongly, when and where it acts. Several add up."""

    effect: Control
    schedule: Schedule = Schedule()
    regions: Sequence[Region | None] = ()
    """As of a Contribution."""


@dataclass(frozen=True)
class InContext:
    """Tokens in a transformer's context, and how strongly, when and where they act. Several follow one another."""

    effect: ContextTokens
    schedule: Schedule = Schedule()
    regions: Sequence[Region | None] = ()
    """As of a Contribution."""
