"""A field's value from the text that a user typed for it."""

from __future__ import annotations

from typing import Any

from lib_faceid.units.unit import Field, Range

__all__ = ["typed"]

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def typed(field: Field, text: str) -> Any:
    """Return the value that a text stands for; the text itself where it can be none, for the field's check to name."""
    if field.kind is bool:
        return _TRUTH.get(text.strip().lower(), text)
    if not isinstance(field.kind, Range):
        return text
    try:
        return float(text)
    except ValueError:
        return text
