"""Who is drawn: the left side of a unit. Photos come in, and what will be used of them is shown at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_faceid.ui.marking import Marking, build_marking, wire_marking
from lib_faceid.ui.parts import QUICK, SNAPSHOT, UPLOAD, choice, labels, notice
from lib_faceid.ui.paste import build_paste, still_missing
from lib_faceid.ui.photos import LARGEST, Photos, add, remove, reweigh, show
from lib_faceid.ui.services import Services, attempt
from lib_faceid.ui.traces import forget_shown, photo_gallery, upload_button
from lib_faceid.units.unit import FIELDS, Unit

__all__ = ["References", "build_references", "wire_references"]

NOBODY = ""
MAX_PHOTO_WEIGHT = 3


@dataclass(frozen=True, eq=False)
class References:
    """The components of one unit's left side; those of the unit's own fields first."""

    enabled: Any
    purpose: Any
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
    name: Any
    save: Any


def build_references(prefix: str, chosen: str = NOBODY) -> References:
    """Return the components, made where gradio stands right now. chosen: the saved person with whom the page opens."""
    enabled = gr.Checkbox(value=bool(chosen), label=FIELDS["enabled"].label, elem_id=f"{prefix}_enabled")
    purpose = choice("purpose", prefix)
    images, selected = gr.State([]), gr.State(None)
    pasted, missing = build_paste(prefix), gr.HTML(elem_id=f"{prefix}_missing")
    message = gr.HTML(elem_id=f"{prefix}_message")
    drop = gr.Image(
        type="pil", image_mode="RGBA", height=190, label="Drop a photo here, paste or click",
        elem_id=f"{prefix}_image", elem_classes=["faceid-drop"], **UPLOAD,
    )  # fmt: skip
    with gr.Row(elem_classes=["faceid-buttons"]):
        upload = upload_button("Add photos…", elem_id=f"{prefix}_upload")
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
    face = gr.Dropdown([LARGEST], value=LARGEST, allow_custom_value=True, **labels("face", prefix))
    combine = choice("combine", prefix)
    with gr.Row(elem_classes=["faceid-joined"]):
        people = list(dict.fromkeys([NOBODY, chosen]))
        person = gr.Dropdown(people, value=chosen, allow_custom_value=True, **labels("person", prefix))
        refresh = gr.Button("\U0001f504", elem_id=f"{prefix}_refresh_people", elem_classes=["tool"])
    with gr.Accordion("Save person", open=False, elem_id=f"{prefix}_save_person"):
        name = gr.Textbox(
            label="Name", info="The photos become one small file: numbers, no pictures.", max_lines=1,
            elem_id=f"{prefix}_name",
        )  # fmt: skip
        save = gr.Button("Save", size="sm", elem_id=f"{prefix}_save")
    return References(
        enabled, purpose, images, person, face, combine, message, drop, upload, webcam, gallery, selected, picked,
        photo_weight, remove_button, clear, marking, cards, pasted, missing, refresh, name, save,
    )  # fmt: skip


def wire_references(parts: References, services: Services, clip_crop: Any) -> None:
    """Let the components act on each other. clip_crop: the unit's component of that field."""
    photo = (parts.selected, parts.picked, parts.photo_weight)
    shown = [parts.images, parts.gallery, parts.cards, parts.face, *photo, parts.message]
    seen = _Seen(services, parts.gallery, [parts.images, parts.face, clip_crop], shown)
    _wire_coming(parts, services, seen)
    _wire_picking(parts, seen)
    for chooser in (parts.face, clip_crop):
        chooser.change(seen.again, [*seen.looked_at, parts.selected], seen.shown, **QUICK)
    wire_marking(parts.marking, parts.images, parts.selected, parts.face, parts.message)
    _wire_webcam(parts)
    _wire_people(parts, services, clip_crop)


@dataclass(frozen=True, eq=False)
class _Seen:
    """How photos are looked at, and what then changes in the page."""

    services: Services
    gallery: Any
    looked_at: list[Any]
    shown: list[Any]

    def again(self, photos: Photos, face: str, sees: str, index: int | None = None, message: str = "") -> list[Any]:
        """Return the values of `shown`; index: of the photo that was clicked."""
        now = show(self.services, photos, face, sees)
        forget_shown(self.gallery)
        chosen = index if index is not None and index < len(photos) else (0 if len(photos) == 1 else None)
        return [
            photos,
            gr.update(value=now.gallery, visible=bool(photos)),
            now.cards,
            gr.update(choices=now.faces),
            chosen,
            gr.update(visible=chosen is not None),
            gr.update() if chosen is None else _weight_of(photos, chosen),
            notice(message, "warning"),
        ]


def _wire_coming(parts: References, services: Services, seen: _Seen) -> None:
    def came(sources: Any, photos: Photos, face: str, sees: str, enabled: bool, pasted: str) -> list[Any]:
        if sources is None:
            return [gr.update()] * (len(seen.shown) + 4)
        more, message = add(photos, sources if isinstance(sources, list) else [sources])
        is_first = bool(more) and not photos
        missing = notice(still_missing(services, pasted, more), "warning")
        person = NOBODY if is_first else gr.update()  # a photo is drawn, and not who was chosen before it
        return [*seen.again(more, face, sees, message=message), enabled or is_first, None, missing, person]

    inputs = [*seen.looked_at, parts.enabled, parts.pasted]
    outputs = [*seen.shown, parts.enabled, parts.drop, parts.missing, parts.person]
    parts.drop.change(came, [parts.drop, *inputs], outputs, queue=False)  # also a snapshot, which is no upload
    parts.upload.upload(came, [parts.upload, *inputs], outputs, queue=False)


def _wire_picking(parts: References, seen: _Seen) -> None:
    def picked(photos: Photos, event: gr.SelectData) -> list[Any]:
        index = int(event.index)  # pyright: ignore[reportArgumentType] - a pair in a table only
        return [index, gr.update(visible=True), _weight_of(photos, index)]

    def reweighed(photos: Photos, face: str, sees: str, index: int | None, weight: float) -> list[Any]:
        return seen.again(reweigh(photos, index, weight), face, sees, index)

    def removed(photos: Photos, face: str, sees: str, index: int | None) -> list[Any]:
        return seen.again(remove(photos, index), face, sees)

    parts.gallery.select(picked, [parts.images], [parts.selected, parts.picked, parts.photo_weight], **QUICK)
    weighed = [parts.images, parts.selected, parts.photo_weight]
    parts.photo_weight.change(reweigh, weighed, [parts.images], **QUICK)  # the keyboard releases nothing
    parts.photo_weight.release(reweighed, [*seen.looked_at, parts.selected, parts.photo_weight], seen.shown, **QUICK)
    parts.remove.click(removed, [*seen.looked_at, parts.selected], seen.shown, **QUICK)
    parts.clear.click(lambda face, sees: seen.again([], face, sees), seen.looked_at[1:], seen.shown, **QUICK)


def _weight_of(photos: Photos, index: int) -> Any:
    """Return the update of the slider that shows the weight of one photo."""
    return gr.update(value=photos[index]["weight"], label=f"Weight of photo {index + 1}")


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


def _wire_people(parts: References, services: Services, clip_crop: Any) -> None:
    def names() -> list[Any]:
        people, message = attempt(services.people)
        return [gr.update(choices=[NOBODY, *(people or ())]), notice(message, "warning")]

    def saved(name: str, photos: Photos, face: str, combine: str, sees: str) -> list[Any]:
        fields = {"images": photos, "face": face, "combine": combine, "clip_crop": sees}
        unit, message = attempt(Unit.from_dict, fields)
        done, message = (None, message) if unit is None else attempt(services.save_person, name, unit)
        return [names()[0], notice(done, "good") if done else notice(message, "warning")]

    parts.refresh_people.click(names, None, [parts.person, parts.message], **QUICK)
    parts.save.click(
        saved,
        [parts.name, parts.images, parts.face, parts.combine, clip_crop],
        [parts.person, parts.message],
        queue=False,
    )
    parts.person.input(
        lambda person, was: [was or bool(person), ""],
        [parts.person, parts.enabled],
        [parts.enabled, parts.missing],
        **QUICK,
    )
