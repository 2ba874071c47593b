"""A saved person or image as a card: a picture and a line. No face is on it, unless a thumbnail was asked for."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.errors import FileError
from lib_faceid.models.checkpoint import read_metadata
from lib_faceid.people.approval import approval_of
from lib_faceid.references.files import purpose_in
from lib_faceid.references.record import read_record
from lib_faceid.units.unit import Purpose

__all__ = ["Card", "card_of"]

# Twice as high as the text needs: hosts write a name and a line over the lower part, and cut off what does not fit.
_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 240">
<rect width="160" height="240" fill="hsl({hue},28%,30%)"/>
<g fill="hsl({hue},28%,42%)">{shape}</g>
<text x="80" y="98" text-anchor="middle" font-family="sans-serif" font-size="40" fill="#fff">{initials}</text>
</svg>"""
_HEAD = '<circle cx="80" cy="84" r="44"/><path d="M0 240v-22a80 76 0 0 1 160 0v22z"/>'
_FRAME = '<path d="M28 36h104v104h-104z"/>'


@dataclass(frozen=True)
class Card:
    """What there is to see of a saved person."""

    picture: str
    """A data URL: the thumbnail, or initials on a plain ground."""
    words: str
    """How many photos, which recogniser, since when; or what is wrong with the file."""
    purpose: Purpose = "person"


def card_of(path: Path) -> Card:
    """Return the card of a person's file. A damaged one has a card that says so: it must not hide the others."""
    try:
        record, metadata = read_record(path), read_metadata(path)
    except FileError as error:
        return Card(_initials(path.stem), str(error))
    purpose = purpose_in(metadata)
    photos, is_image = len(record.photos), purpose == "image"
    what = "image" if is_image else "photo"
    words = [
        *([f"{photos} {what}{'' if photos == 1 else 's'}"] if photos else [what] if is_image else []),
        metadata.get("recogniser", "").rsplit("-", 1)[0],
        f"saved {datetime.fromtimestamp(path.stat().st_mtime).astimezone():%Y-%m-%d}",
    ]
    approval = approval_of(path)
    if approval is not None:
        words.append(f"approved by {approval.by}" if approval.is_valid else "changed since it was approved")
    thumbnail = record.thumbnail_rgb
    return Card(
        _initials(path.stem, is_image=is_image) if thumbnail is None else _png(thumbnail),
        " · ".join(word for word in words if word),
        purpose,
    )


def _initials(name: str, *, is_image: bool = False) -> str:
    words: list[str] = re.findall(r"[^\W_]+", name) or [name]
    letters = words[0][0] + (words[-1][0] if len(words) > 1 else "")
    hue = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 360  # the same for a name, today and tomorrow
    shape = _FRAME if is_image else _HEAD
    return _url("image/svg+xml", _SVG.format(hue=hue, shape=shape, initials=escape(letters.upper())).encode())


def _png(image_rgb: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image_rgb).save(buffer, "PNG")
    return _url("image/png", buffer.getvalue())


def _url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
