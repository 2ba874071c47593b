"""Several people in one unit become several units: faces ticked in a group photo, or photos of more than one person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr

from lib_faceid.ui.parts import QUICK, notice
from lib_faceid.ui.photos import LARGEST, Photos
from lib_faceid.ui.preview import View, people_in
from lib_faceid.ui.references import References, Seen
from lib_faceid.ui.services import Services, attempt
from lib_faceid.units.region import AUTO_REGION, EVERYWHERE

__all__ = ["OneUnit", "Share", "shares", "wire_asked"]

SIDE_BY_SIDE: Mapping[int, Sequence[str]] = {
    1: (EVERYWHERE,),
    2: ("left", "right"),
    3: ("left third", "middle third", "right third"),
}
"""How many people -> the region of each; more follow the faces."""
NO_ROOM = "No other unit is free. Empty one, or start with more units."
ASKED = re.compile(r"(face|each|people):?([\d,]*) #\d+")


class OneUnit(NamedTuple):
    """What of a unit in the page takes part."""

    who: References
    seen: Seen
    region: Any


class Share(NamedTuple):
    """What one unit is given."""

    photos: Photos
    face: str
    region: str


def wire_asked(units: Sequence[OneUnit], services: Services) -> None:
    """Let what is clicked in a unit's strip of faces set its face, or those of other units."""
    outputs = [part for unit in units for part in (*unit.seen.shown, unit.who.enabled, unit.region)]
    held = [part for unit in units for part in (unit.who.images, unit.who.person)]
    for number, unit in enumerate(units):

        def answered(text: str, crop: str, *held: Any, number: int = number) -> list[Any]:
            view = View(clip_crop=crop)
            given, message = _given(services, text, number, held, view)
            return _updates(units, given, view, number, message)

        crop = unit.seen.looked_at[3]
        unit.who.asked.input(answered, [unit.who.asked, crop, *held], outputs, **QUICK)


def shares(services: Services, photos: Photos, faces: Sequence[int], view: View) -> list[Share]:
    """Return what each of several units is given: one face of the photo, or else the photos of one person."""
    if faces:
        parts = [(photos[:1], str(face)) for face in sorted(faces)]  # faces are counted from the left
    else:
        looks = [attempt(services.look, one["image"], view)[0] for one in photos]
        parts = [([photos[at] for at in group], LARGEST) for group in people_in(looks)]
    regions = SIDE_BY_SIDE.get(len(parts), [AUTO_REGION] * len(parts))
    return [Share(own, face, region) for (own, face), region in zip(parts, regions, strict=True)]


def _given(services: Services, text: str, number: int, held: Sequence[Any], view: View) -> tuple[dict[int, Share], str]:
    """Return which unit is given what, and what is said. held: photos and saved person of each unit in turn."""
    asked, photos = ASKED.fullmatch(text or ""), held[2 * number]
    if asked is None or not photos:
        return {}, ""
    numbers = [int(one) for one in asked[2].split(",") if one]
    if asked[1] == "face":
        return {number: Share(photos, str(numbers[0]), "")}, ""
    parts = shares(services, photos, numbers, view)
    free = [at for at in range(len(held) // 2) if at != number and not held[2 * at] and not held[2 * at + 1]]
    places = [number, *free]
    if len(places) < 2:
        return {}, notice(NO_ROOM, "warning")
    given = dict(zip(places, parts, strict=False))
    message = ", ".join(f"unit {at}: {share.region}" for at, share in given.items())
    left = f" {len(parts) - len(given)} more found no free unit." if len(parts) > len(given) else ""
    return given, notice(f"One person each. {message[:1].upper()}{message[1:]}.{left}", "warning" if left else "good")


def _updates(units: Sequence[OneUnit], given: Mapping[int, Share], view: View, source: int, message: str) -> list[Any]:
    """Return an update for each output: what is shown of a unit's photos, its switch and its region."""
    updates: list[Any] = []
    for number, unit in enumerate(units):
        share = given.get(number)
        if share is None:
            updates += [gr.update()] * (len(unit.seen.shown) + 2)
        else:
            shown = unit.seen.again(share.photos, view._replace(face=share.face), 0 if len(share.photos) == 1 else None)
            shown[unit.seen.shown.index(unit.who.face)] |= {"value": share.face}
            updates += [*shown, True, share.region or gr.update()]
        if number == source and message:
            updates[-3] = message  # the last of what is shown is the message
    return updates
