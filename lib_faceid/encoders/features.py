"""The names of what an encoder gives of a reference: which encoder it is, and which of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = [
    "ARCFACE",
    "CLIP_BIGG_HIDDEN",
    "CLIP_BIGG_PROJECTED",
    "CLIP_H_HIDDEN",
    "CLIP_H_PROJECTED",
    "FEATURE_SHAPES",
    "PIXELS",
    "SIGLIP",
    "FeatureKey",
]


class FeatureKey(NamedTuple):
    """One output of one encoder. The crop that the encoder is given is no part of it."""

    encoder: str
    """`arcface`, `clip_vit_h`, `clip_vit_bigg`, `siglip_so400m`; `pixels` where the adapter has its own encoder."""
    output: str
    """`embedding` (raw), `penultimate` (the hidden states before the last layer) or `projected` (image_embeds); `last`
    (the hidden states after the last layer and its norm); `clip` (the pixel values that CLIP is given)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of this feature for one reference. Raises KeyError for a feature that no encoder gives."""
        return FEATURE_SHAPES[self]


ARCFACE = FeatureKey("arcface", "embedding")
CLIP_H_HIDDEN = FeatureKey("clip_vit_h", "penultimate")
CLIP_H_PROJECTED = FeatureKey("clip_vit_h", "projected")
CLIP_BIGG_HIDDEN = FeatureKey("clip_vit_bigg", "penultimate")
CLIP_BIGG_PROJECTED = FeatureKey("clip_vit_bigg", "projected")
PIXELS = FeatureKey("pixels", "clip")
"""The centre square of the whole picture, for encoders that lie in an adapter's file. It is never kept or saved."""
SIGLIP = FeatureKey("siglip_so400m", "last")

FEATURE_SHAPES: Mapping[FeatureKey, tuple[int, ...]] = MappingProxyType(
    {
        ARCFACE: (512,),
        CLIP_H_HIDDEN: (257, 1280),
        CLIP_H_PROJECTED: (1024,),
        CLIP_BIGG_HIDDEN: (257, 1664),
        CLIP_BIGG_PROJECTED: (1280,),
        PIXELS: (3, 224, 224),
        SIGLIP: (729, 1152),
    }
)
