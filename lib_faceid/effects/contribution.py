"""What one adapter says about one or more people: the unit of what is put into a UNet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lib_faceid.arguments import as_many, as_number, require
from lib_faceid.methods.adapter import NOBODY, Adapter
from lib_faceid.references.identity import Identity
from lib_faceid.references.negative import Against
from lib_faceid.unet.regions import Region
from lib_faceid.units.layer_weights import LayerWeights

__all__ = ["Contribution"]


@dataclass(frozen=True)
class Contribution:
    """What one adapter says about one or more people. Several contributions add up, in any order."""

    adapter: Adapter
    identities: Sequence[Identity]
    """Slot i + 1 is identities[i]; a single one serves every slot. Slot 0, or a negative one, is uncond."""
    weight: float = 0.8
    structure: float = 1.0
    start: float = 0.0
    """Acts from this fraction of the steps ..."""
    end: float = 1.0
    """... up to, and without, this one."""
    fade: float = 0.0
    """Comes in over this fraction of the steps after start, and goes over as much before an end below 1."""
    against: Against = NOBODY
    """What uncond rows are drawn with: nobody, unless somebody is to be led away from."""
    regions: Sequence[Region | None] = ()
    """Where it acts in each image of a batch; a single one serves all, none at all is everywhere."""
    layers: LayerWeights = LayerWeights()
    """How the weight is shared out among the UNet's layers."""

    def __post_init__(self) -> None:
        require(self.adapter, "adapter", Adapter, "an Adapter, as load_adapter(path) gives one,")
        expected = "an Identity, as identity_from_photos(photos) or Identity.load(path) gives one,"
        object.__setattr__(self, "identities", as_many(self.identities, "identities", Identity, expected))
        for name, highest in (("weight", math.inf), ("structure", math.inf), ("start", 1), ("end", 1), ("fade", 1)):
            lowest = -math.inf if highest == math.inf else 0
            object.__setattr__(self, name, as_number(getattr(self, name), name, lowest, highest))
        regions = (self.regions,) if isinstance(self.regions, Region) else self.regions
        object.__setattr__(self, "regions", tuple(require(regions, "regions", Sequence, "a Region for each image")))
        require(self.against, "against", Against, "an Against")
        require(self.layers, "layers", LayerWeights, "LayerWeights")

    def weight_at(self, progress: float, step: float = 0.0) -> float:
        """Return the weight for the step that begins at that fraction of the pass; 0 where nothing is to be done.

        step: how much of the pass that step is. A fade is measured in its middle, so that a pass of few steps loses
        none of them to it.
        """
        if not self.layers.acts or progress < self.start or (self.end <= progress and self.end < 1):
            return 0.0
        if not self.fade:
            return self.weight
        middle = progress + step / 2
        coming, going = middle - self.start, self.end - middle if self.end < 1 else self.fade
        return self.weight * min(max(min(coming, going) / self.fade, 0.0), 1.0)
