"""Presets: how much of the person, in one word. Four are ours; the user's own lie in one JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lib_faceid.errors import UnitError
from lib_faceid.units.unit import FIELDS
from lib_faceid.whole_files import write_json

__all__ = ["BUILT_IN", "PRESET_FIELDS", "Preset", "delete_preset", "read_presets", "save_preset"]

Preset = Mapping[str, float]
"""Field -> value, for each of PRESET_FIELDS."""

PRESET_FIELDS = ("weight", "structure", "lora", "start", "end")
MAX_NAME_LETTERS = 60


def _preset(**values: float) -> Preset:
    return {name: values[name] if name in values else FIELDS[name].default for name in PRESET_FIELDS}


BUILT_IN: Mapping[str, Preset] = {
    "Balanced": _preset(weight=0.8, structure=1.0, lora=0.6),
    "Strong likeness": _preset(weight=1.0, structure=1.5, lora=0.7),
    "Follow prompt & style": _preset(weight=0.7, structure=0.6, lora=0.5, start=0.2),
    "Identity only, free hair & pose": _preset(structure=0.0),
}


def read_presets(file: Path | None) -> dict[str, Preset]:
    """Return name -> preset: ours, then the user's. One of the user's under our name replaces ours.

    A file that is not there has none; what cannot be read in it is left out, so that one bad line costs one preset.
    """
    own = {name: preset for name, values in _content(file).items() if (preset := _checked(values))}
    return {**BUILT_IN, **own}


def save_preset(file: Path, name: str, values: Mapping[str, Any]) -> str:
    """Write a preset to the file and return its tidied name. Raises UnitError for a name or value that cannot be."""
    name = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    if not 0 < len(name) <= MAX_NAME_LETTERS:
        raise UnitError(f"The preset's name has {len(name)} letters; 1 to {MAX_NAME_LETTERS} were expected.")
    for field in PRESET_FIELDS:
        FIELDS[field].check(values[field])
    content = {**_content(file), name: {field: values[field] for field in PRESET_FIELDS}}
    write_json(file, content, ensure_ascii=False)
    return name


def delete_preset(file: Path, name: str) -> None:
    """Take a preset of the user's out of the file. Raises UnitError where there is none of that name."""
    content = _content(file)
    if name not in content:
        ours = f"'{name}' comes with the extension and stays." if name in BUILT_IN else f"There is no preset '{name}'."
        raise UnitError(f"{ours} Presets that you saved yourself can be deleted.")
    del content[name]
    write_json(file, content, ensure_ascii=False)


def _content(file: Path | None) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8")) if file else {}
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _checked(values: Any) -> Preset | None:
    try:
        for field in PRESET_FIELDS:
            FIELDS[field].check(values[field])
    except (UnitError, KeyError, TypeError):
        return None
    return {field: values[field] for field in PRESET_FIELDS}
