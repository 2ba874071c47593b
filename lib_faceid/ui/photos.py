"""A unit's photos: what they are, what will be used of them, and what a click on the page makes of them.

In the page a unit's photos are a plain list of {"image": base64, "weight": number}, which a job can keep and send on.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from lib_faceid.errors import PhotoError
from lib_faceid.pictures.photo import MAX_BASE64_BYTES, MAX_PIXELS
from lib_faceid.ui.face_strip import faces_html, people_html
from lib_faceid.ui.parts import data_url
from lib_faceid.ui.preview import Preview, View, people_in, strangers, thumbnail
from lib_faceid.ui.services import Services, attempt
from lib_faceid.ui.traces import Received
from lib_faceid.ui.words import WORDS
from lib_faceid.units.photos import MAX_PHOTOS
from lib_faceid.units.region import figures
from lib_faceid.units.unit import Purpose

__all__ = ["LARGEST", "ONE_BOX", "Photos", "Shown", "add", "encoded", "remove", "reweigh", "show"]

Photos = list[dict[str, Any]]

LARGEST = "largest"
ANOTHER_PERSON = "another person?"
ONE_BOX = "A marked face is for one photo: take the others out, or choose a face by its number."
LOSSLESS_PIXELS = 4_000_000  # beyond it a PNG may not fit into what is accepted as base64


@dataclass(frozen=True, eq=False)
class Shown:
    """The photos as the page shows them."""

    gallery: list[tuple[Image.Image, str]]
    cards: str
    """HTML: for each photo the exact crop, the verdict and the hints."""
    faces: list[str]
    """What the face choice offers."""


def encoded(source: Any) -> str:
    """Return a photo as base64: a file just as it is, pixels as PNG, and large ones as nearly perfect JPEG.

    source: an upload, a path, or a PIL image. Raises PhotoError for a file that is too large, or no picture.
    """
    if isinstance(source, Image.Image):
        return base64.b64encode(_file_of(source)).decode()
    one = source if isinstance(source, Received) else _read(Path(source))
    if len(one.content) > MAX_BASE64_BYTES:
        raise PhotoError(f"{one.name} is larger than {MAX_BASE64_BYTES >> 20} MiB. Make it smaller.")
    text = base64.b64encode(one.content).decode()
    try:
        thumbnail(text)
    except PhotoError as error:  # it does not know the file's name
        raise PhotoError(f"{one.name}: {error}") from error
    return text


def _file_of(image: Image.Image) -> bytes:
    """Return pixels as a file; larger ones than can be read or are accepted are halved: a face of 500 px is plenty."""
    file = io.BytesIO()
    if image.width * image.height <= LOSSLESS_PIXELS:
        image.save(file, "PNG", compress_level=1)
        return file.getvalue()
    image = image.convert("RGB")
    while True:
        if image.width * image.height <= MAX_PIXELS:
            image.save(file, "JPEG", quality=97, subsampling=0)
            if file.tell() <= MAX_BASE64_BYTES:
                return file.getvalue()
        image, file = image.reduce(2), io.BytesIO()


def _read(path: Path) -> Received:
    with path.open("rb") as file:
        return Received(path.name, file.read(MAX_BASE64_BYTES + 1))


def add(photos: Photos, sources: Sequence[Any], purpose: Purpose = "person") -> tuple[Photos, str]:
    """Return the photos with those that can be read, and sentences about the others. A photo counts once."""
    photos, messages, words = list(photos), list[str](), WORDS[purpose]
    for source in sources:
        text, message = attempt(encoded, source)
        if message:
            messages.append(message)
        elif len(photos) >= MAX_PHOTOS:
            messages.append(words.enough.format(MAX_PHOTOS))
            break
        elif any(one["image"] == text for one in photos):
            messages.append(words.here_already)
        else:
            photos.append({"image": text, "weight": 1.0})
    return photos, " ".join(dict.fromkeys(messages))


def remove(photos: Photos, index: int | None) -> Photos:
    """Return the photos without that one."""
    return [one for at, one in enumerate(photos) if at != index]


def reweigh(photos: Photos, index: int | None, weight: float) -> Photos:
    """Return the photos with another weight for that one."""
    return [{**one, "weight": weight} if at == index else one for at, one in enumerate(photos)]


def show(services: Services, photos: Photos, view: View) -> Shown:
    """Return how photos look in the page: what is used of them, as the unit's fields say."""
    face = view.face if view.purpose == "person" else LARGEST
    if photos and view.purpose == "image":  # which adapter that is takes a look at all files: once for all images
        view = view._replace(image_crop=attempt(services.image_crop_of, view)[0] or "square")
    looks = [attempt(services.look, one["image"], view) for one in photos]
    others = strangers([look for look, _ in looks])
    wrong = [ONE_BOX] if figures(face) and len(photos) > 1 else []
    gallery: list[tuple[Image.Image, str]] = []
    cards: list[str] = []
    for number, (photo, (look, message)) in enumerate(zip(photos, looks, strict=True), 1):
        hints = [*wrong, *(look.hints if look else [message]), *filter(None, [others.get(number - 1)])]
        gallery.append((_image(look, photo), _caption(number, look, photo)))
        cards.append(_card(number, look, photo, hints, view.purpose, is_other=number - 1 in others))
    most = max((look.num_faces for look, _ in looks if look), default=0)
    group = f'<div class="faceid-cards" role="group" tabindex="0" aria-label="{WORDS[view.purpose].group}">'
    seen = [look for look, _ in looks]
    strip = faces_html(seen[0]) if len(looks) == 1 and view.purpose == "person" else ""
    question = people_html(len(people_in(seen))) if view.purpose == "person" else ""
    html = f"{question}{group}{''.join(cards)}{strip}</div>" if cards else ""
    return Shown(gallery, html, [LARGEST, *(str(number) for number in range(1, most + 1))])


def _image(look: Preview | None, photo: dict[str, Any]) -> Image.Image:
    if look:
        return look.image
    image, _ = attempt(thumbnail, photo["image"])
    return image or Image.new("RGB", (96, 96), (128, 128, 128))


def _caption(number: int, look: Preview | None, photo: dict[str, Any]) -> str:
    weight = "" if photo["weight"] == 1 else f" · weight {photo['weight']:g}"
    return f"{number} · {look.verdict if look else 'not checked'}{weight}"


def _card(
    number: int,
    look: Preview | None,
    photo: dict[str, Any],
    hints: Sequence[str],
    purpose: Purpose,
    *,
    is_other: bool = False,
) -> str:
    """Return one photo's card. Colour is never alone: the verdict stands there as a word."""
    verdict = look.verdict if look else "not checked"
    tone = {"good": "good", "usable": "warning"}.get(verdict.split(" ", maxsplit=1)[0], "error")
    tone = "good" if purpose == "image" and look and look.crop else tone
    if is_other and tone == "good":
        verdict, tone = ANOTHER_PERSON, "warning"
    what, used = (text.format(number) for text in (WORDS[purpose].what, WORDS[purpose].used))
    picture = '<span class="faceid-nobody" aria-hidden="true">?</span>'
    if look and look.crop:
        picture = (
            f'<button type="button" class="faceid-large" data-faceid-large="{number - 1}" '
            f'aria-label="Larger view of {what.lower()}">'
            f'<img src="{data_url(look.crop)}" width="112" height="112" alt="{used}"></button>'
        )
    weight = "" if photo["weight"] == 1 else f" · weight {photo['weight']:g}"
    facts = f"<span>{escape((look.facts if look else '') + weight)}</span>"
    entries = "".join(f"<li>{escape(hint)}</li>" for hint in hints)
    return (
        f'<figure class="faceid-card">{picture}<figcaption><strong>{what}</strong> '
        f'<span class="faceid-verdict faceid-{tone}">{escape(verdict)}</span>{facts}'
        f"{f'<ul>{entries}</ul>' if entries else ''}</figcaption></figure>"
    )
