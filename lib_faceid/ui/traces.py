"""What gradio would leave of photos in its temporary folder, taken away again.

gradio 3 gives each upload a folder with a random name: what lies there is ours alone. gradio 4 names folders by what is
in them, so that a file may be somebody else's too, and stays.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet

import gradio as gr

from lib_faceid.pictures.photo import MAX_BASE64_BYTES
from lib_faceid.ui.parts import IS_GRADIO_4

__all__ = ["Received", "forget_shown", "photo_gallery", "upload_button"]

_galleries: WeakSet[Any] = WeakSet()


@dataclass(frozen=True)
class Received:
    """An uploaded file, which is nowhere else any more."""

    name: str
    content: bytes
    """At most one byte more than is accepted."""


def upload_button(label: str, **settings: Any) -> Any:
    """Return the button that uploads several photos. gradio 3 would copy them; they are taken off the disk instead."""
    button: Any = gr.UploadButton(label, file_count="multiple", file_types=["image"], size="sm", **settings)
    if not IS_GRADIO_4:
        folder = Path(getattr(button, "DEFAULT_TEMP_DIR"))  # noqa: B009 - gradio 4 has none
        # On the one button: a class of our own would be another component to the browser.
        button.preprocess = lambda x: [_received(file, folder) for file in _listed(x)] or None
    return button


def photo_gallery(**settings: Any) -> Any:
    """Return a gallery of photos, whose thumbnails `forget_shown` knows."""
    gallery = gr.Gallery(**settings)
    _galleries.add(gallery)
    return gallery


def forget_shown(gallery: Any) -> None:
    """Delete the thumbnails that a gallery has shown so far, but for those that another unit's shows too."""
    others = set[str]().union(*(one.temp_files for one in list(_galleries) if one is not gallery))
    for path in gallery.temp_files - others:
        Path(path).unlink(missing_ok=True)
    gallery.temp_files.clear()


def _listed(uploads: Any) -> list[Mapping[str, Any]]:
    return [uploads] if isinstance(uploads, Mapping) else list(uploads or ())


def _received(file: Mapping[str, Any], folder: Path) -> Received:
    """Return an upload, after taking it off the disk; never anything beyond gradio's folder, whatever a client says."""
    path = Path(str(file["name"]))
    if not file.get("is_file"):
        return Received(path.name, base64.b64decode(str(file.get("data", "")).partition(",")[2]))
    if path.resolve().parent.parent != folder.resolve():
        raise ValueError(f"{path.name} was not uploaded here.")
    with path.open("rb") as opened:
        content = opened.read(MAX_BASE64_BYTES + 1)
    path.unlink()
    path.parent.rmdir()
    return Received(path.name, content)
