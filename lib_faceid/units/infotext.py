"""Units as the text that pictures carry in their metadata, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from lib_faceid.errors import UnitError
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import FIELDS, PICTURES, Unit

__all__ = [
    "ALGORITHM",
    "KEY",
    "WRITTEN",
    "infotext_key",
    "pasted",
    "pasted_line",
    "unit_from_infotext",
    "unit_to_infotext",
]

ALGORITHM = 1
"""Goes up when the same settings begin to give another picture."""

WRITTEN = tuple(name for name in FIELDS if name not in ("enabled", "person", *PICTURES))
"""What stands in the text under its own name. Photos and saved people do not: a picture tells nobody who they are."""
KEY = "FaceID "
ALWAYS = {"adapter", "variant", "weight"}
SAFE = " /()[]{}+*=&'!?@#$^~<>;|"  # beside letters, digits and _.-; a comma or a colon would end the value


def infotext_key(number: int | str) -> str:
    """Return the metadata key of a unit. It must not begin with "ControlNet", whose extension reads all such keys."""
    return f"{KEY}{number}"


def unit_to_infotext(
    unit: Unit,
    adapter: str,
    variant: str,
    references: Sequence[str] = (),
    negative_images: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> str:
    """Return one line with what is needed to draw the unit again.

    adapter and variant: what "Auto" became; references: short hashes of the photos, by which they are found again;
    negative_images: those of the negative photos; more: by name, what is said of a pose photo (`pose`), and the
    beginning of the SHA-256 of its ControlNet's file (`net`); "" for none.
    """
    values = unit.to_dict() | {"adapter": adapter, "variant": variant}
    written = {name: values[name] for name in WRITTEN if name in ALWAYS or values[name] != FIELDS[name].default}
    written |= {
        name: "+".join(hashes)
        for name, hashes in (("refs", references), ("negative_images", negative_images))
        if hashes
    }
    written |= {name: text for name, text in (more or {}).items() if text}
    return ", ".join(f"{name}: {_text(value)}" for name, value in (written | {"algo": ALGORITHM}).items())


def unit_from_infotext(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that a line tells, the untold ones at their defaults, and the photos' hashes.

    Names that this version does not know, and values that it cannot read, are left out: the line may be a newer one's.
    """
    values = dict(part.split(": ", 1) for part in text.split(", ") if ": " in part)
    fields = {name: _value(name, values) for name in WRITTEN}
    references = tuple(filter(None, values.get("refs", "").split("+")))
    return {"enabled": True, **fields}, references


def pasted(params: Mapping[str, Any], number: int, name: str) -> Any:
    """Return what the metadata of a picture, as the host parsed it, say of a unit's field; None where nothing.

    Units that a picture with people in it was drawn without are off.
    """
    line = pasted_line(params, number)
    if line is None:
        is_off = name == "enabled" and any(_is_line(value) for key, value in params.items() if key.startswith(KEY))
        return False if is_off else None
    return unit_from_infotext(line)[0].get(name)


def pasted_line(params: Mapping[str, Any], number: int) -> str | None:
    """Return the line about a unit in metadata as the host parsed them; None where the unit did not act."""
    line = params.get(infotext_key(number))
    return line if _is_line(line) else None


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and "adapter: " in value


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else quote(str(value), safe=SAFE)


def _value(name: str, values: Mapping[str, str]) -> Any:
    field = FIELDS[name]
    if name not in values:
        return field.default
    try:
        value = typed(field, unquote(values[name]))
        field.check(value)
    except UnitError:
        return field.default
    return value
