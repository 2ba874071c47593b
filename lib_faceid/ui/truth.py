"""The line under a unit, before anything is drawn: who is drawn, with what, how well that can work, what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, cast

import gradio as gr

from lib_faceid.errors import FaceIDError
from lib_faceid.faces.recognisers import untrained_note
from lib_faceid.ui.parts import QUICK
from lib_faceid.ui.photos import LARGEST
from lib_faceid.ui.preview import Preview, View, people_in
from lib_faceid.ui.services import Foreseen, Services, attempt
from lib_faceid.units.region import EVERYWHERE
from lib_faceid.units.unit import AUTO, Purpose, Unit

__all__ = ["build_truth", "truth_html", "wire_truth"]

NEEDED = (
    "enabled", "images", "person", "purpose", "face", "combine", "adapter", "variant", "weight", "clip_crop",
    "image_crop", "region", "batch",
)  # fmt: skip
"""The fields that decide what the line says."""
AT_ONCE = ("enabled", "person", "face", "adapter", "variant", "weight", "region", "combine", "batch")
"""Those whose change is seen nowhere else: what the photos show is heard of by their cards."""
UNLIKE_PHOTO = "will not be like the photo: the recogniser is another one"
UNLIKE_PERSON = "will not be like the person: the recogniser is another one"


def build_truth(prefix: str, html: str = "") -> Any:
    """Return the component, made where gradio stands right now, with what it says when the page opens."""
    return gr.HTML(html, elem_id=f"{prefix}_truth")


def wire_truth(line: Any, cards: Any, refresh: Any, fields: Mapping[str, Any], services: Services) -> None:
    """Let the line follow the unit's fields. cards: what changes with the photos; refresh: looks at the adapters."""
    inputs = [fields[name] for name in NEEDED]

    def told(*values: Any) -> str:
        try:
            unit = Unit.from_dict(dict(zip(NEEDED, values, strict=True)))
        except FaceIDError:  # a region that is half typed, say: Generate says what is wrong with it
            return ""
        return truth_html(services, unit)

    for component in (cards, *(fields[name] for name in AT_ONCE)):
        component.change(told, inputs, [line], **QUICK)
    refresh.click(told, inputs, [line], **QUICK)


def truth_html(services: Services, unit: Unit) -> str:
    """Return the line; nothing for a unit that is off or has nobody."""
    if not unit.acts:
        return ""
    purpose = cast("Purpose", unit.purpose)
    with_what, problem = attempt(services.foresee, unit.adapter, unit.variant, purpose)
    view = View(purpose, unit.face, unit.clip_crop, unit.image_crop, unit.adapter, unit.variant)
    looks = [] if unit.person else [attempt(services.look, photo.image, view)[0] for photo in unit.images]
    unlike = _untrained(services, unit, with_what, looks)
    notes = [problem, *_notes(unit, with_what, looks), *unlike]
    tone, quality = _quality(services, unit, looks)
    if tone != "error" and unlike:
        tone, quality = "warning", UNLIKE_PERSON if unit.person else UNLIKE_PHOTO
    elif doubt := services.doubt(unit):
        tone, quality = "warning", doubt
    if problem:
        tone = "error"
    parts = [
        _who(unit),
        f"{with_what.name} ({with_what.label})" if with_what else "",
        f"weight {unit.weight:.2f}",
        "" if unit.region == EVERYWHERE else unit.region,
    ]
    shown = "".join(f"<span>{escape(part)}</span>" for part in parts if part)
    listed = "".join(f"<li>{escape(note)}</li>" for note in dict.fromkeys(filter(None, notes)))
    return (
        f'<div class="faceid-truth" role="status"><strong>Will be drawn</strong>{shown}'
        f'<span class="faceid-verdict faceid-{tone}">{escape(quality)}</span>'
        f"{f'<ul>{listed}</ul>' if listed else ''}</div>"
    )


def _who(unit: Unit) -> str:
    """Return in words whom or what a unit shows."""
    if unit.person:
        return unit.person
    number, is_person = len(unit.images), unit.purpose == "person"
    if number == 1:
        face = f"face {unit.face} of the photo" if unit.face.isdigit() else "the marked face of the photo"
        return ("the face in the photo" if unit.face == LARGEST else face) if is_person else "the image"
    one_each = unit.batch != "together"
    what = "photos" if is_person else "images"
    return f"{number} {what}, one each" if one_each else f"{number} {what} as one ({unit.combine})"


def _quality(services: Services, unit: Unit, looks: Sequence[Preview | None]) -> tuple[str, str]:
    """Return the tone and the words for how well it can work, as far as the references decide that."""
    if unit.purpose == "image":
        return "good", ""
    if unit.person:
        known = [attempt(services.known_of, name.strip())[0] for name in unit.person.split("|")]
        scores = [score for one in known if one for score in one.scores]
        return ("good", f"quality {max(scores):.2f}") if scores else ("info", "quality not known")
    seen = [look for look in looks if look is not None and look.number is not None]
    if not seen:
        return "error", "nobody: no face was found"
    best = max(seen, key=lambda look: look.score)
    if best.hints:
        reason = best.hints[0].partition(":")[0].rstrip(".")
        return "warning", f"weak: {reason[:1].lower()}{reason[1:]}"
    return ("good" if best.verdict.startswith("good") else "warning"), best.verdict


def _notes(unit: Unit, with_what: Foreseen | None, looks: Sequence[Preview | None]) -> list[str]:
    """Return what is assumed, and that a person will be a mixture."""
    notes = [with_what.assumed] if with_what and unit.adapter == AUTO else []
    reads_face = unit.purpose == "person" and with_what is not None and with_what.trained_on
    if reads_face and unit.batch == "together" and len(people_in(looks)) > 1:
        notes.append("It will be a mixture of several people.")
    return notes


def _untrained(
    services: Services, unit: Unit, with_what: Foreseen | None, looks: Sequence[Preview | None]
) -> list[str]:
    """Return a sentence for each recogniser that saw the person and that the adapter was not trained on."""
    if unit.purpose == "image" or with_what is None or not with_what.trained_on:
        return []
    seen = () if with_what.is_read_by_own else looks
    made = {look.recogniser for look in seen if look and look.recogniser}
    if unit.person:
        known = [attempt(services.known_of, name.strip())[0] for name in unit.person.split("|")]
        made = {one.recogniser for one in known if one}
    return [note for one in sorted(made) if (note := untrained_note(one, with_what.trained_on))]
