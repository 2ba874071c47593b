"""What earlier versions called things that users have in files and requests: the one table, read and never written."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["OLD_FIELDS", "OLD_ORDERS", "names_of"]

OLD_FIELDS: Mapping[str, str] = {"unlike": "negative_images"}
"""Field of a unit as it was called -> as it is called now."""

_BEFORE_NETS = (
    "enabled",
    "images",
    "person",
    "purpose",
    "face",
    "combine",
    "adapter",
    "variant",
    "weight",
    "structure",
    "lora",
    "start",
    "end",
    "fade",
    "clip_crop",
    "image_crop",
    "hires",
    "weight_type",
    "layer_weights",
    "region",
    "mask",
    "feather",
    "batch",
    "negative_images",
    "noise",
    "adetailer",
    "adetailer_weight",
)
_CALLED_THEN = {now: then for then, now in OLD_FIELDS.items()}
_BEFORE_IMAGES = tuple(_CALLED_THEN.get(name, name) for name in _BEFORE_NETS if name not in ("purpose", "image_crop"))
OLD_ORDERS: tuple[tuple[str, ...], ...] = (
    _BEFORE_IMAGES,
    _BEFORE_NETS,
    (*_BEFORE_NETS, "net_weight", "net_start", "net_end", "keypoints", "pose"),  # before FLUX
)
"""The orders in which a unit's fields were sent one after the other, the oldest first."""


def names_of(field: str) -> tuple[str, ...]:
    """Return what a field of a unit is called and was called, today's name first."""
    return field, *(old for old, now in OLD_FIELDS.items() if now == field)
