"""`<faceid:NAME:0.8:left>` and `<image:NAME:0.6>` in a prompt: a saved person or image by name, as a unit.

The WebUI takes such tags, its "extra networks", out of a prompt by itself; they are found here at the same places.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from lib_faceid.errors import UnitError
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import FIELDS, Purpose, Unit

__all__ = [
    "NETWORKS",
    "Names",
    "Tag",
    "find_tags",
    "nobody",
    "refuse_negative",
    "saved_name",
    "settings_of_tag",
    "tag_for",
    "tag_key",
    "tag_parts",
    "units_of",
    "units_of_tags",
]

NETWORKS: Mapping[Purpose, str] = {"person": "faceid", "image": "image"}
"""What stands before the first colon."""

Names = Callable[[Purpose], Sequence[str]]
"""Gives the saved people, or the saved images; asked only where a prompt has a tag."""

POSITIONAL = ("weight", "region")  # after the name, without saying which they are
NOT_IN_TAGS = (
    "enabled", "image", "images", "person", "purpose", "face", "combine", "clip_crop", "image_crop", "mask", "batch",
    "pose",
)  # fmt: skip
SHOWN_NAMES = 20
_PURPOSES: Mapping[str, Purpose] = {network: purpose for purpose, network in NETWORKS.items()}
# Bounded: where thousands of tags begin and none ends, each would be searched to the end of the text.
_TAG = re.compile(rf"<({'|'.join(_PURPOSES)}):([^>]{{1,2000}})>")
# What was meant as a tag and is none: the WebUI would drop it without a word, or read it as words. The word "image" is
# more common than "faceid", and so needs its colon.
_ALMOST = re.compile(r"<\s*(?:faceid(?![\w-])|image\s*:)[^<>]{0,60}>?", re.IGNORECASE)
_SETTING = re.compile(r"\s*(\w+)\s*=(.*)", re.DOTALL)


class Tag(NamedTuple):
    """One tag of a prompt."""

    text: str
    """What stands after the first colon: "Anna:0.8"."""
    purpose: Purpose = "person"

    def __str__(self) -> str:
        return f"<{NETWORKS[self.purpose]}:{self.text}>"


def nobody(_: Purpose) -> Sequence[str]:
    """Return no names: of a library that is empty."""
    return ()


def find_tags(prompt: str) -> tuple[str, tuple[Tag, ...]]:
    """Return the prompt without its tags, and the tags in order: those of people first. UnitError for half a tag."""
    tags = [Tag(text, _PURPOSES[network]) for network, text in _TAG.findall(prompt)]
    rest = _TAG.sub("", prompt)
    half = next((str(tag) for tag in tags if "<" in tag.text), None) or (
        found.group() if (found := _ALMOST.search(rest)) else None
    )
    if half:
        network = NETWORKS["person" if "faceid" in half[:12].lower() else "image"]
        raise UnitError(
            f"{half[:60]!r} in the prompt is not a whole tag. Write <{network}:NAME:0.8>, in small letters, without "
            f"spaces before the first colon, and with > at its end."
        )
    return rest, tuple(sorted(tags, key=lambda tag: tag.purpose == "image"))


def units_of_tags(prompt: str, negative: str, names: Names) -> tuple[str, list[Unit]]:
    """Return the prompt without its tags, and the units that they call. Raises UnitError."""
    refuse_negative(negative)
    rest, tags = find_tags(prompt)
    return rest, units_of(tags, names)


def refuse_negative(negative: str) -> None:
    """Raise UnitError where a negative prompt calls somebody."""
    if found := _TAG.search(negative) or _ALMOST.search(negative):
        network = "image" if "image" in found.group()[:12].lower() else "faceid"
        what = "images" if network == "image" else "people"
        raise UnitError(
            f"The negative prompt has a <{network}:...> tag, which would be read as words there. Take it out: {what} "
            f"are called from the prompt only."
        )


def units_of(tags: Sequence[Tag], names: Names) -> list[Unit]:
    """Return the units of tags (as `find_tags` gives them), in order. Raises UnitError, naming the tag."""
    saved = cache(names)  # each kind of name is asked for once, and only where a tag needs it
    return [_unit(tag, saved) for tag in tags]


def tag_for(name: str, weight: float = FIELDS["weight"].default, purpose: Purpose = "person") -> str:
    """Return the tag that calls a saved person, or a saved image."""
    escaped = re.sub(r"([\\:])", r"\\\1", name)
    return str(Tag(f"{escaped}:{weight:g}", purpose))


def tag_key(number: int) -> str:
    """Return the number of a called unit: one that no unit of the page has, so that nothing brings it back there."""
    return f"tag {number}"


def _unit(tag: Tag, saved: Names) -> Unit:
    name, *parts = tag_parts(tag.text)
    person = saved_name(name, tag.purpose, saved)
    purpose = {} if tag.purpose == "person" else {"purpose": tag.purpose}
    try:
        return Unit.from_dict({"person": person, **purpose, **settings_of_tag(parts)})
    except UnitError as error:
        form = f"A tag is <{NETWORKS[tag.purpose]}:NAME:weight:region:setting=value>, and only the name is needed."
        shown = Tag(" ".join(tag.text.split())[:100], tag.purpose)
        raise UnitError(f"{shown} in the prompt: {error} {form}") from error


def tag_parts(tag: str) -> list[str]:
    r"""Return what colons separate; `\:` is a colon of its own, and `\(` a bracket, as elsewhere in prompts."""
    parts, letters = [""], iter(tag)
    for letter in letters:
        if letter == ":":
            parts.append("")
        else:
            parts[-1] += next(letters, letter) if letter == "\\" else letter
    return [part.strip() for part in parts]


def settings_of_tag(parts: Sequence[str], refused: Sequence[str] = NOT_IN_TAGS) -> dict[str, Any]:
    """Return the fields that the parts after the name give; an empty part leaves its field alone. Raises UnitError."""
    texts: dict[str, str] = {}
    place = 0
    for part in parts:
        if setting := _SETTING.fullmatch(part):
            name, text = setting.group(1), setting.group(2).strip()
        else:
            name, text, place = (*POSITIONAL, "")[min(place, len(POSITIONAL))], part, place + 1
        if not name:
            raise UnitError(f"{text[:40]!r} is one part too many.")
        if name in refused:
            raise UnitError(f"{name} cannot be set in a tag.")
        if name in texts:
            raise UnitError(f"{name} is given twice.")
        if text:
            texts[name] = text
    return {name: typed(FIELDS[name], text) if name in FIELDS else text for name, text in texts.items()}


def saved_name(name: str, purpose: Purpose, saved: Names) -> str:
    """Return the saved name that is meant, capitals aside where that leaves no doubt. It never becomes a path here."""
    if found := _found(name, saved(purpose)):
        return found
    other: Purpose = "image" if purpose == "person" else "person"
    problem = f"The prompt calls {name[:60]!r} with a <{NETWORKS[purpose]}:...> tag, and "
    if found := _found(name, saved(other)):
        raise UnitError(f"{problem}that is a saved {other}. Write {tag_for(found, purpose=other)}.")
    exact = {unicodedata.normalize("NFC", one): one for one in saved(purpose)}
    folded = unicodedata.normalize("NFC", name).casefold()
    near = difflib.get_close_matches(folded, [form.casefold() for form in exact], n=1)
    meant = next((one for form, one in exact.items() if near and form.casefold() == near[0]), "")
    raise UnitError(
        f"{problem}there is no saved {purpose} of that name. "
        + (f"Did you mean {tag_for(meant, purpose=purpose)}? " if meant else "")
        + _what_is_saved(purpose, saved(purpose))
    )


def _found(name: str, saved: Sequence[str]) -> str:
    """Return the one of these names that is meant; empty where none is, or several are."""
    exact = {unicodedata.normalize("NFC", one): one for one in saved}
    composed = unicodedata.normalize("NFC", name)
    alike = [one for form, one in exact.items() if form.casefold() == composed.casefold()]
    return exact.get(composed) or (alike[0] if len(alike) == 1 else "")


def _what_is_saved(purpose: Purpose, saved: Sequence[str]) -> str:
    if not saved and purpose == "image":
        return "No image is saved yet: put images into a unit whose reference is for an image, and save them there."
    if not saved:
        return "Nobody is saved yet: put photos into a unit and save the person there."
    more = f" and {len(saved) - SHOWN_NAMES} more" if len(saved) > SHOWN_NAMES else ""
    return f"Saved {'people' if purpose == 'person' else 'images'}: {', '.join(saved[:SHOWN_NAMES])}{more}."
