"""What a picture's metadata bring back into a unit: who it was, as far as that is here, and what is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gradio as gr

from lib_faceid.pictures.photo import decode_base64, read_photo
from lib_faceid.references.analysis import digest
from lib_faceid.ui.parts import QUICK, notice
from lib_faceid.ui.photos import Photos
from lib_faceid.ui.services import Services, attempt
from lib_faceid.units.infotext import pasted, pasted_line, unit_from_infotext
from lib_faceid.units.old_names import names_of
from lib_faceid.units.region import MASK
from lib_faceid.units.unit import FIELDS, ONE_EACH, Purpose

__all__ = ["InfotextField", "are_here", "build_paste", "infotext_fields", "missing", "still_missing", "wire_paste"]

InfotextField = tuple[Any, Callable[[Mapping[str, Any]], Any]]
"""A component, and what a host's parsed metadata say of its value; None where they say nothing."""


_LESS_LIKE: Mapping[Purpose, str] = {
    "person": "It was drawn less like somebody: add that photo again under Less like.",
    "image": "It was drawn less like another image: add that image again under Less like.",
}


def build_paste(prefix: str) -> Any:
    """Return the hidden text in which a pasted line arrives, made where gradio stands right now."""
    return gr.Textbox("", label="Pasted", elem_id=f"{prefix}_pasted", elem_classes=["faceid-hidden"])


def infotext_fields(components: Sequence[Any], line: Any, services: Services, number: int) -> list[InfotextField]:
    """Return what a host's paste fills in: the components of a unit's fields, in their order, and the hidden text."""

    def person(params: Mapping[str, Any]) -> str | None:
        text = pasted_line(params, number)
        return None if text is None else _person(services, text)

    def arrived(params: Mapping[str, Any]) -> str | None:
        text = pasted_line(params, number)
        return None if text is None else f"{text}, pasted: {time.time_ns()}"  # always another text: or nothing happens

    given = {"person": person}
    fields = [
        (component, given.get(name) or partial(pasted, number=number, name=name))
        for name, component in zip(FIELDS, components, strict=True)
    ]
    return [*fields, (line, arrived)]


def wire_paste(line: Any, services: Services, images: Any, person: Any, message: Any) -> None:
    """Let a line that arrives choose the person, and say what is missing."""

    def arrived(text: str, photos: Photos) -> list[Any]:
        found = "" if are_here(unit_from_infotext(text)[1], photos) else _person(services, text)
        return [found, notice(missing(services, text, photos, found), "warning")]

    line.change(arrived, [line, images], [person, message], **QUICK)


def missing(services: Services, text: str, photos: Photos, person: str) -> str:
    """Return what is not here of what a picture was drawn with, and what to do; nothing where all of it is.

    text: the picture's line about the unit; photos: the unit's; person: a saved one who is that picture's.
    """
    fields, references = unit_from_infotext(text)
    sentences = []
    if not person and not are_here(references, photos):
        one, saved = ("an image", "image") if fields["purpose"] == "image" else ("a photo", "person")
        what = one.rpartition(" ")[2]
        them = f"{one} that is" if len(references) == 1 else f"{what}s that are"
        named = f" ({', '.join(references)})" if references else ""
        add = f"Add the {what}{'' if len(references) == 1 else 's'}"
        sentences.append(f"The picture was made from {them} not here{named}. {add} or pick a saved {saved}.")
    files, problem = attempt(services.adapter_files)
    if problem:
        sentences.append(problem)
    elif fields["adapter"] not in {name for path in files or () for name in (path.name, path.stem)}:
        sentences.append(
            f"It was drawn with {fields['adapter']}, which is not here. Get it under Check setup, or choose another "
            "adapter."
        )
    if fields["region"] == MASK:
        sentences.append("Its region was a mask, which metadata do not carry: draw it again under Region.")
    if ", pose: " in text:
        sentences.append("It followed a pose photo, which metadata do not carry: add it again under Advanced.")
    if any(f", {name}: " in text for name in names_of("negative_images")):
        sentences.append(_LESS_LIKE[fields["purpose"]])
    return " ".join(sentences)


def still_missing(services: Services, text: str, photos: Photos) -> str:
    """Return the same after photos were added; nothing where they are others than the picture's: a choice was made."""
    references = unit_from_infotext(text)[1]
    return missing(services, text, photos, "") if _those_here(references, photos) else ""


def are_here(references: Sequence[str], photos: Photos) -> bool:
    """Say whether all photos of these short hashes are among a unit's; never so for none."""
    return bool(references) and _those_here(references, photos) == set(references)


def _those_here(references: Sequence[str], photos: Photos) -> set[str]:
    hashes = [_hash(photo["image"]) for photo in photos] if references else []
    return {reference for reference in references if any(one.startswith(reference) for one in hashes)}


def _hash(image: str) -> str:
    return attempt(lambda: digest(read_photo(decode_base64(image))))[0] or ""


def _person(services: Services, text: str) -> str:
    """Return what the unit's field `person` should be: the saved references that a line's hashes mean, or nothing."""
    fields, references = unit_from_infotext(text)
    groups = [[one] for one in references] if fields["batch"] == ONE_EACH else [references]
    names = [attempt(services.saved_of, group, fields["purpose"])[0] or "" for group in groups if group]
    return " | ".join(names) if all(names) else ""
