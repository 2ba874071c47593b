"""Units as the text that pictures carry in their metadata."""

from __future__ import annotations

from lib_faceid.unit import Unit

__all__ = ["ALGORITHM", "infotext_key", "unit_to_infotext"]

ALGORITHM = 1
"""Goes up when the same settings begin to give another picture."""


def infotext_key(number: int) -> str:
    """Return the metadata key of a unit. It must not begin with "ControlNet", whose extension reads all such keys."""
    return f"FaceID {number}"


def unit_to_infotext(unit: Unit, adapter: str, variant: str) -> str:
    """Return one line with what is needed to draw the unit again, and nothing that tells who was in the photo."""
    values = {"adapter": adapter, "variant": variant}
    values |= {name: f"{getattr(unit, name):g}" for name in ("weight", "structure", "lora", "start", "end")}
    values |= {"algo": str(ALGORITHM)}
    return ", ".join(f"{name}: {value}" for name, value in values.items())
