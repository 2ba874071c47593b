"""Units as the text that pictures carry in their metadata, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from lib_faceid.unit import FIELDS, Range, Unit

__all__ = ["ALGORITHM", "infotext_key", "pasted", "unit_from_infotext", "unit_to_infotext"]

ALGORITHM = 1
"""Goes up when the same settings begin to give another picture."""

# What stands in the text under its own name. Photos and saved people do not: a picture tells nobody who was in them.
WRITTEN = [name for name in FIELDS if name not in ("enabled", "images", "person")]
ALWAYS = {"adapter", "variant", "weight"}
SAFE = " /()[]{}+*=&'!?@#$^~<>;|"  # beside letters, digits and _.-; a comma or a colon would end the value


def infotext_key(number: int) -> str:
    """Return the metadata key of a unit. It must not begin with "ControlNet", whose extension reads all such keys."""
    return f"FaceID {number}"


def unit_to_infotext(unit: Unit, adapter: str, variant: str, references: Sequence[str] = ()) -> str:
    """Return one line with what is needed to draw the unit again.

    adapter and variant: what "Auto" became; references: short hashes of the photos, by which they are found again.
    """
    values = unit.to_dict() | {"adapter": adapter, "variant": variant}
    told = {name: values[name] for name in WRITTEN if name in ALWAYS or values[name] != FIELDS[name].default}
    told |= {"refs": "+".join(references)} if references else {}
    return ", ".join(f"{name}: {_text(value)}" for name, value in (told | {"algo": ALGORITHM}).items())


def unit_from_infotext(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that a line tells, the untold ones at their defaults, and the photos' hashes.

    Names that this version does not know, and values that it cannot read, are left out: the line may be a newer one's.
    """
    told = dict(part.split(": ", 1) for part in text.split(", ") if ": " in part)
    fields = {name: _value(name, told) for name in WRITTEN}
    references = tuple(filter(None, told.get("refs", "").split("+")))
    return {"enabled": True, **fields}, references


def pasted(params: Mapping[str, Any], number: int, name: str) -> Any:
    """Return what the metadata of a picture, as the host parsed it, say of a unit's field; None where nothing."""
    line = params.get(infotext_key(number))
    if not isinstance(line, str) or "adapter: " not in line:
        return None
    return unit_from_infotext(line)[0].get(name)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else quote(str(value), safe=SAFE)


def _value(name: str, told: Mapping[str, str]) -> Any:
    field = FIELDS[name]
    if name not in told:
        return field.default
    try:
        value = float(told[name]) if isinstance(field.kind, Range) else unquote(told[name])
        field.check(value)
    except ValueError:  # UnitError is one too
        return field.default
    return value
