"""Who is drawn: the left side of a unit. Photos come in, and what will be used of them is shown at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_faceid.ui.dropped import drop_zone
from lib_faceid.ui.marking import Marking, build_marking, wire_marking
from lib_faceid.ui.parts import QUICK, SNAPSHOT, UPLOAD, labels, notice
from lib_faceid.ui.paste import build_paste, still_missing
from lib_faceid.ui.photos import LARGEST, Photos, add, remove, reweigh, show
from lib_faceid.ui.preview import View
from lib_faceid.ui.purpose import COMBINE, build_purpose
from lib_faceid.ui.saved_card import saved_html
from lib_faceid.ui.services import Services, attempt
from lib_faceid.ui.traces import forget_shown, photo_gallery, upload_button
from lib_faceid.ui.words import WORDS
from lib_faceid.units.unit import AUTO, FIELDS, Purpose

__all__ = ["References", "Seen", "build_references", "wire_references"]

NO_PHOTO = ""
MAX_PHOTO_WEIGHT = 3


@dataclass(frozen=True, eq=False)
class References:
    """The components of one unit's left side; those of the unit's own fields first."""

    enabled: Any
    purpose: Any
    part: Any
    """What of an image is wanted."""
    images: Any
    person: Any
    face: Any
    combine: Any
    message: Any
    drop: Any
    upload: Any
    webcam: Any
    gallery: Any
    selected: Any
    """State: the index of the photo that was clicked, or None."""
    picked: Any
    """What is shown of it: a group with its weight, and buttons."""
    photo_weight: Any
    remove: Any
    clear: Any
    marking: Marking
    cards: Any
    pasted: Any
    """Hidden: the line about this unit in the metadata that were pasted last."""
    missing: Any
    """What is said of it."""
    refresh_people: Any
    save_panel: Any
    name: Any
    save: Any
    saved: Any
    """What is said of it."""
    asked: Any
    """Hidden: what was clicked in the strip of faces."""
    card: Any
    """What is known of the saved person."""


def build_references(prefix: str, chosen: str = NO_PHOTO, known: str = "") -> References:
    """Return the components, made where gradio stands right now.

    chosen: the saved person with whom the page opens; known: HTML on what is known of that person.
    """
    words = WORDS["person"]  # what a unit begins with
    enabled = gr.Checkbox(value=bool(chosen), label=FIELDS["enabled"].label, elem_id=f"{prefix}_enabled")
    purpose, part = build_purpose(prefix)
    images, selected = gr.State([]), gr.State(None)
    pasted, missing = build_paste(prefix), gr.HTML(elem_id=f"{prefix}_missing")
    message = gr.HTML(elem_id=f"{prefix}_message")
    drop = drop_zone(
        image_mode="RGBA", height=190, label=words.drop, elem_id=f"{prefix}_image", elem_classes=["faceid-drop"]
    )
    with gr.Row(elem_classes=["faceid-buttons"]):
        upload = upload_button(words.add, elem_id=f"{prefix}_upload")
        webcam = gr.Button("Webcam", size="sm", visible=SNAPSHOT is not None, elem_id=f"{prefix}_webcam")
    gallery = photo_gallery(
        label=FIELDS["images"].label, columns=3, show_label=False, object_fit="contain", visible=False,
        elem_id=f"{prefix}_gallery", elem_classes=["faceid-gallery"],
    )  # fmt: skip
    with gr.Row(visible=False, elem_id=f"{prefix}_picked", elem_classes=["faceid-picked"]) as picked:
        photo_weight = gr.Slider(
            0, MAX_PHOTO_WEIGHT, 1, step=0.1, label="Weight of the photo", elem_id=f"{prefix}_photo_weight"
        )
        with gr.Column(min_width=110, scale=0):
            remove_button = gr.Button("Remove", size="sm", elem_id=f"{prefix}_remove")
            clear = gr.Button("Remove all", size="sm", elem_id=f"{prefix}_clear")
            mark = gr.Button("Mark face…", size="sm", elem_id=f"{prefix}_mark")
    marking = build_marking(prefix, mark)
    cards = gr.HTML(elem_id=f"{prefix}_cards")
    asked = gr.Textbox("", label="Asked", elem_id=f"{prefix}_asked", elem_classes=["faceid-hidden"])
    face = gr.Dropdown([LARGEST], value=LARGEST, allow_custom_value=True, visible=False, **labels("face", prefix))
    combine = gr.Dropdown(
        COMBINE["person"], value=FIELDS["combine"].default, visible=False, **labels("combine", prefix)
    )
    with gr.Row(elem_classes=["faceid-joined"]):
        people = list(dict.fromkeys([NO_PHOTO, chosen]))
        person = gr.Dropdown(people, value=chosen, allow_custom_value=True, **labels("person", prefix))
        refresh = gr.Button("\U0001f504", elem_id=f"{prefix}_refresh_people", elem_classes=["tool"])
    card = gr.HTML(known, elem_id=f"{prefix}_saved")
    with gr.Accordion(words.save, open=False, elem_id=f"{prefix}_save_person") as save_panel:
        name = gr.Textbox(label="Name", info=words.save_info, max_lines=1, elem_id=f"{prefix}_name")
        save = gr.Button("Save", size="sm", elem_id=f"{prefix}_save")
        saved = gr.HTML(elem_id=f"{prefix}_saved_message")
    return References(
        enabled, purpose, part, images, person, face, combine, message, drop, upload, webcam, gallery, selected, picked,
        photo_weight, remove_button, clear, marking, cards, pasted, missing, refresh, save_panel, name, save,
        saved, asked, card,
    )  # fmt: skip


def wire_references(parts: References, services: Services, how: Mapping[str, Any]) -> Seen:
    """Let the components act on each other, and return what shows photos. how: the unit's other components by field."""
    photo = (parts.selected, parts.picked, parts.photo_weight)
    shown = [parts.images, parts.gallery, parts.cards, parts.face, parts.combine, *photo, parts.message]
    view = [parts.purpose, parts.face, how["clip_crop"], how["image_crop"], how["adapter"], how["variant"]]
    seen = Seen(services, parts.gallery, [parts.images, *view], shown)
    _wire_coming(parts, services, seen)
    _wire_picking(parts, seen)
    for chooser in (parts.purpose, parts.face, how["clip_crop"], how["image_crop"]):
        chooser.change(
            lambda index, photos, *view: seen.again(photos, View(*view), index),
            [parts.selected, *seen.looked_at], seen.shown, **QUICK,
        )  # fmt: skip
    for chooser in (how["adapter"], how["variant"]):
        chooser.change(seen.again_if_image, [parts.selected, *seen.looked_at], seen.shown, **QUICK)
    wire_marking(parts.marking, parts.images, parts.selected, parts.face, parts.message)
    _wire_webcam(parts)
    _wire_chosen(parts, services)
    return seen


@dataclass(frozen=True, eq=False)
class Seen:
    """How photos are looked at, and what then changes in the page."""

    services: Services
    gallery: Any
    looked_at: list[Any]
    """The photos, and the fields of a View."""
    shown: list[Any]

    def again(
        self, photos: Photos, view: View, index: int | None = None, message: str = "", *, is_emptied: bool = False
    ) -> list[Any]:
        """Return the values of `shown`; index: of the photo that was clicked; is_emptied: the last one was taken out.

        Only then the number of a face goes, too: metadata that were pasted name one before their photo is there.
        """
        now = show(self.services, photos, view)
        forget_shown(self.gallery)
        chosen = index if index is not None and index < len(photos) else (0 if len(photos) == 1 else None)
        is_choice = view.purpose == "person" and (len(now.faces) > 2 or (view.face != LARGEST and not is_emptied))
        face = gr.update(choices=now.faces, visible=is_choice)
        return [
            photos,
            gr.update(value=now.gallery, visible=bool(photos)),
            now.cards,
            face | {"value": LARGEST} if is_emptied else face,
            gr.update(visible=len(photos) > 1),
            chosen,
            gr.update(visible=chosen is not None),
            gr.update() if chosen is None else _weight_of(photos, chosen, view.purpose),
            notice(message, "warning"),
        ]

    def again_if_image(self, index: int | None, photos: Photos, *fields: Any) -> list[Any]:
        """Return the same where the adapter decides what is seen: of images, with the crop that it was trained with."""
        view = View(*fields)
        is_same = view.purpose == "person" or view.image_crop != AUTO or not photos
        return [gr.update()] * len(self.shown) if is_same else self.again(photos, view, index)


def _wire_coming(parts: References, services: Services, seen: Seen) -> None:
    def came(sources: Any, enabled: bool, pasted: str, photos: Photos, *view: Any) -> list[Any]:
        if sources is None:
            return [gr.update()] * (len(seen.shown) + 4)
        seen_as = View(*view)
        more, message = add(photos, sources if isinstance(sources, list) else [sources], seen_as.purpose)
        is_first = bool(more) and not photos
        missing = notice(still_missing(services, pasted, more), "warning")
        person = NO_PHOTO if is_first else gr.update()  # a photo is drawn, and not who was chosen before it
        return [*seen.again(more, seen_as, message=message), enabled or is_first, None, missing, person]

    inputs = [parts.enabled, parts.pasted, *seen.looked_at]
    outputs = [*seen.shown, parts.enabled, parts.drop, parts.missing, parts.person]
    parts.drop.change(came, [parts.drop, *inputs], outputs, queue=False)  # also a snapshot, which is no upload
    parts.upload.upload(came, [parts.upload, *inputs], outputs, queue=False)


def _wire_picking(parts: References, seen: Seen) -> None:
    def picked(photos: Photos, purpose: Purpose, event: gr.SelectData) -> list[Any]:
        index = int(event.index)  # pyright: ignore[reportArgumentType] - a pair in a table only
        return [index, gr.update(visible=True), _weight_of(photos, index, purpose)]

    def reweighed(weight: float, index: int | None, photos: Photos, *view: Any) -> list[Any]:
        return seen.again(reweigh(photos, index, weight), View(*view), index)

    def removed(index: int | None, enabled: bool, person: str, photos: Photos, *view: Any) -> list[Any]:
        left = remove(photos, index)
        return [*seen.again(left, View(*view), is_emptied=not left), enabled and bool(left or person)]

    def cleared(enabled: bool, person: str, *view: Any) -> list[Any]:
        return removed(None, enabled, person, [], *view)

    parts.gallery.select(
        picked, [parts.images, parts.purpose], [parts.selected, parts.picked, parts.photo_weight], **QUICK
    )
    weighed = [parts.images, parts.selected, parts.photo_weight]
    parts.photo_weight.change(reweigh, weighed, [parts.images], **QUICK)  # the keyboard releases nothing
    parts.photo_weight.release(reweighed, [parts.photo_weight, parts.selected, *seen.looked_at], seen.shown, **QUICK)
    who, outputs = [parts.enabled, parts.person], [*seen.shown, parts.enabled]  # with nobody left, the unit is off
    parts.remove.click(removed, [parts.selected, *who, *seen.looked_at], outputs, **QUICK)
    parts.clear.click(cleared, [*who, *seen.looked_at[1:]], outputs, **QUICK)


def _weight_of(photos: Photos, index: int, purpose: Purpose) -> Any:
    """Return the update of the slider that shows the weight of one photo."""
    return gr.update(value=photos[index]["weight"], label=WORDS[purpose].weight_of.format(index + 1))


def _wire_webcam(parts: References) -> None:
    """Let the drop zone become the camera and back. The browser asks for the camera only then."""
    if SNAPSHOT is None:
        return
    is_on, snapshot = gr.State(False), SNAPSHOT

    def toggled(was_on: bool) -> list[Any]:
        source = UPLOAD if was_on else snapshot
        # The bare form of an update: gradio 3's own knows no source.
        return [not was_on, {**source, "value": None, "__type__": "update"}, "Webcam" if was_on else "Webcam off"]

    parts.webcam.click(toggled, [is_on], [is_on, parts.drop, parts.webcam], **QUICK)


def _wire_chosen(parts: References, services: Services) -> None:
    def names(purpose: Purpose) -> list[Any]:
        found, message = attempt(services.saved, purpose)
        return [gr.update(choices=[NO_PHOTO, *(found or ())]), notice(message, "warning")]

    parts.refresh_people.click(names, [parts.purpose], [parts.person, parts.message], **QUICK)
    parts.person.change(
        lambda name, purpose: saved_html(services, name, purpose), [parts.person, parts.purpose], [parts.card], **QUICK
    )
    parts.person.input(
        lambda person, was: [was or bool(person), ""],
        [parts.person, parts.enabled],
        [parts.enabled, parts.missing],
        **QUICK,
    )
