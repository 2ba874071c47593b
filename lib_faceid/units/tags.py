"""`<faceid:NAME:0.8:left>` in a prompt: a saved person called by name, with the settings of a unit.

The WebUI takes such tags, its "extra networks", out of a prompt by itself; they are found here at the same places.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from lib_faceid.errors import UnitError
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import FIELDS, Unit

__all__ = [
    "NETWORK",
    "Names",
    "find_tags",
    "refuse_negative",
    "tag_for",
    "tag_key",
    "units_called",
    "units_of",
]

NETWORK = "faceid"
"""What stands before the first colon."""

Names = Callable[[], Sequence[str]]
"""Gives who is saved; asked only where a prompt calls somebody."""

POSITIONAL = ("weight", "region")  # after the name, without saying which they are
NOT_IN_TAGS = ("enabled", "image", "images", "person", "face", "combine", "clip_crop", "mask", "batch")
SHOWN_NAMES = 20
# Bounded: where thousands of tags begin and none ends, each would be searched to the end of the text.
_TAG = re.compile(rf"<{NETWORK}:([^>]{{1,2000}})>")
# What was meant as a tag and is none: the WebUI would drop it without a word, or read it as words.
_ALMOST = re.compile(rf"<\s*{NETWORK}(?![\w-])[^<>]{{0,60}}>?", re.IGNORECASE)
_SETTING = re.compile(r"\s*(\w+)\s*=(.*)", re.DOTALL)
_FORM = f"A tag is <{NETWORK}:NAME:weight:region:setting=value>, and only the name is needed."


def find_tags(prompt: str) -> tuple[str, tuple[str, ...]]:
    """Return the prompt without its tags, and what stands in each: "Anna:0.8". Raises UnitError for half a tag."""
    tags = tuple(_TAG.findall(prompt))
    rest = _TAG.sub("", prompt)
    half = next((f"<{NETWORK}:{tag}>" for tag in tags if "<" in tag), None) or (
        found.group() if (found := _ALMOST.search(rest)) else None
    )
    if half:
        raise UnitError(
            f"{half[:60]!r} in the prompt is not a whole tag. Write <{NETWORK}:NAME:0.8>, in small letters, without "
            f"spaces before the first colon, and with > at its end."
        )
    return rest, tags


def units_called(prompt: str, negative: str, names: Names) -> tuple[str, list[Unit]]:
    """Return the prompt without its tags, and the units that they call. Raises UnitError."""
    refuse_negative(negative)
    rest, tags = find_tags(prompt)
    return rest, units_of(tags, names)


def refuse_negative(negative: str) -> None:
    """Raise UnitError where a negative prompt calls somebody."""
    if _TAG.search(negative) or _ALMOST.search(negative):
        raise UnitError(
            f"The negative prompt has a <{NETWORK}:...> tag, which would be read as words there. Take it out: people "
            f"are called from the prompt only."
        )


def units_of(tags: Sequence[str], names: Names) -> list[Unit]:
    """Return the units of tags (as `find_tags` gives them), in order. Raises UnitError, naming the tag."""
    saved = names() if tags else ()
    return [_unit(tag, saved) for tag in tags]


def tag_for(name: str, weight: float = FIELDS["weight"].default) -> str:
    """Return the tag that calls a saved person."""
    escaped = re.sub(r"([\\:])", r"\\\1", name)
    return f"<{NETWORK}:{escaped}:{weight:g}>"


def tag_key(number: int) -> str:
    """Return the number of a called unit: one that no unit of the page has, so that nothing brings it back there."""
    return f"tag {number}"


def _unit(tag: str, saved: Sequence[str]) -> Unit:
    name, *parts = _parts(tag)
    person = _person(name, saved)
    try:
        return Unit.from_dict({"person": person, **_settings(parts)})
    except UnitError as error:
        raise UnitError(f"<{NETWORK}:{' '.join(tag.split())[:100]}> in the prompt: {error} {_FORM}") from error


def _parts(tag: str) -> list[str]:
    r"""Return what colons separate; `\:` is a colon of its own, and `\(` a bracket, as elsewhere in prompts."""
    parts, letters = [""], iter(tag)
    for letter in letters:
        if letter == ":":
            parts.append("")
        else:
            parts[-1] += next(letters, letter) if letter == "\\" else letter
    return [part.strip() for part in parts]


def _settings(parts: Sequence[str]) -> dict[str, Any]:
    """Return the fields that the parts after the name give; an empty part leaves its field alone."""
    texts: dict[str, str] = {}
    place = 0
    for part in parts:
        if setting := _SETTING.fullmatch(part):
            name, text = setting.group(1), setting.group(2).strip()
        else:
            name, text, place = (*POSITIONAL, "")[min(place, len(POSITIONAL))], part, place + 1
        if not name:
            raise UnitError(f"{text[:40]!r} is one part too many.")
        if name in NOT_IN_TAGS:
            raise UnitError(f"{name} cannot be set in a tag.")
        if name in texts:
            raise UnitError(f"{name} is given twice.")
        if text:
            texts[name] = text
    return {name: typed(FIELDS[name], text) if name in FIELDS else text for name, text in texts.items()}


def _person(name: str, saved: Sequence[str]) -> str:
    """Return the saved person of this name, capitals aside where that leaves no doubt. It never becomes a path here."""
    exact = {unicodedata.normalize("NFC", one): one for one in saved}
    wanted = unicodedata.normalize("NFC", name)
    alike = [one for form, one in exact.items() if form.casefold() == wanted.casefold()]
    if wanted in exact or len(alike) == 1:
        return exact.get(wanted) or alike[0]
    near = difflib.get_close_matches(wanted.casefold(), [form.casefold() for form in exact], n=1)
    meant = next((one for form, one in exact.items() if near and form.casefold() == near[0]), "")
    raise UnitError(
        f"The prompt calls {name[:60]!r} with a <{NETWORK}:...> tag, and there is no saved person of that name. "
        + (f"Did you mean {tag_for(meant)}? " if meant else "")
        + _who_is_saved(saved)
    )


def _who_is_saved(saved: Sequence[str]) -> str:
    if not saved:
        return "Nobody is saved yet: put photos into a unit and save the person there."
    more = f" and {len(saved) - SHOWN_NAMES} more" if len(saved) > SHOWN_NAMES else ""
    return f"Saved people: {', '.join(saved[:SHOWN_NAMES])}{more}."
