"""A unit's fields as options of a command line, in the order in which they are typed: `--and` begins the next person.

Every field has one, made from FIELDS. What the others get as text and pictures, a command line names by files.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lib_faceid.commands.completion import complete_with, people_or_files
from lib_faceid.commands.values import name_or_file, text
from lib_faceid.errors import UnitError
from lib_faceid.units.old_names import names_of
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import FIELDS, Field, Photo, Range, Unit

__all__ = ["Typed", "add_photo_options", "add_unit_options", "units_of"]

Typed = Sequence[tuple[str, str]]
"""What was typed, in order: (field, text). `photo_weight` and `and` are no fields."""

OF_PHOTOS = ("face", "combine", "clip_crop")


def add_unit_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of units. They are put into `units`, for `units_of`."""
    who = parser.add_argument_group(
        "who",
        "Photos, or somebody saved. `--and` begins the next person, with photos and settings of its own.",
    )
    add_photo_options(who)
    _add(who, FIELDS["person"], "--identity")
    who.add_argument("--and", dest="units", action="append_const", const=("and", ""), help="the next person follows")
    elsewhere = ("enabled", "images", "person", *OF_PHOTOS)  # the first is true, the second `--photo`
    how = parser.add_argument_group("how much of the person", "The settings of a unit, for each person.")
    for field in FIELDS.values():
        if field.name not in elsewhere:
            _add(how, field)


def add_photo_options(group: Any) -> None:
    """Add the options of photos to a parser, or to a group of one. They are put into `units` too."""
    _append(group, "images", "--photo", metavar="FILE", help="a photo of the person; may be given again")
    _append(group, "photo_weight", "--photo-weight", metavar="0..10", help="how much the photo before it counts (1)")
    for name in OF_PHOTOS:
        _add(group, FIELDS[name])


def units_of(options: Typed | None) -> list[Unit]:
    """Return the units that were typed. Raises UnitError, naming the unit."""
    people: list[list[tuple[str, str]]] = [[]]
    for option in options or ():
        if option[0] == "and":
            people.append([])
        else:
            people[-1].append(option)
    return [_unit(number, person) for number, person in enumerate(people)]


def _unit(number: int, options: Typed) -> Unit:
    settings: dict[str, Any] = {}
    try:
        for name, text in options:
            _set(settings, name, text)
        unit = Unit.from_dict(settings)
        if not unit.has_reference:
            raise UnitError(
                "Say who is to be drawn: give --photo FILE (once or more), or --person NAME, or write <faceid:NAME> or "
                "<image:NAME> into the prompt and leave out the settings."
            )
    except UnitError as error:
        raise UnitError(f"Unit {number}: {error}") from error
    return unit


def _set(unit: dict[str, Any], name: str, text: str) -> None:
    if name == "photo_weight":
        if not (photos := unit.get("images")):
            raise UnitError("--photo-weight says how much the photo before it counts, and there is none before it.")
        photos[-1] = Photo(photos[-1].image, typed(FIELDS["weight"], text))
    elif FIELDS[name].kind is list:
        unit.setdefault(name, []).append(Photo(Path(text)))
    elif name in unit:
        raise UnitError(f"{_option(name)} is given twice. --and begins the next person.")
    else:
        unit[name] = _value(FIELDS[name], text)


def _value(field: Field, text: str) -> Any:
    is_text = isinstance(field.kind, (Range, tuple)) or field.kind in (str, bool)
    return typed(field, text) if is_text else Path(text)  # what else there is, is a picture


def _add(group: Any, field: Field, *more: str) -> None:
    default = "" if field.default in ("", None, ()) else f" ({field.default})"
    text = f"{field.help}{default}".replace("%", "%%")
    names = map(_option, names_of(field.name))
    action = _append(group, field.name, *names, *more, metavar=_metavar(field), help=text)
    if isinstance(choices := field.kind, tuple):
        complete_with(action, lambda prefix, **_: [one for one in choices if one.startswith(prefix)])
    elif field.name == "person":
        complete_with(action, people_or_files)


def _append(group: Any, name: str, *options: str, **more: Any) -> argparse.Action:
    return group.add_argument(*options, dest="units", action="append", type=partial(_pair, name), **more)


def _pair(name: str, typed_text: str) -> tuple[str, str]:
    """Return a field and what was typed for it: a text where it is one, and a file's name whatever its bytes."""
    field = FIELDS.get(name)
    if name in ("person", "adapter"):
        return name, name_or_file(typed_text)
    return name, text(typed_text) if field is not None and field.kind is str else typed_text


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _metavar(field: Field) -> str:
    if isinstance(field.kind, Range):
        return f"{field.kind.lowest:g}..{field.kind.highest:g}"
    if isinstance(field.kind, tuple):
        return "|".join(field.kind)
    if field.name in ("person", "adapter"):
        return "NAME|FILE"
    return {bool: "true|false", str: "TEXT"}.get(field.kind, "FILE")
