"""A place for a picture that takes any file: what gradio cannot read is handed on as it is, and answered in words.

By itself gradio fails the whole event for such a file: every part of the page that it fills then says "Error".
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import gradio as gr

from lib_faceid.pictures.photo import MAX_BASE64_BYTES
from lib_faceid.ui.parts import UPLOAD
from lib_faceid.ui.traces import Received

__all__ = ["drop_zone"]

UNNAMED = "The file"


def drop_zone(**settings: Any) -> Any:
    """Return a drop zone that gives a PIL image or, of a file that is none, what was Received."""
    zone: Any = gr.Image(type="pil", **settings, **UPLOAD)
    read = zone.preprocess

    def tolerant(payload: Any) -> Any:
        try:
            return read(payload)
        except Exception:  # noqa: BLE001 - Pillow raises nearly every type; our own reader says what is wrong
            return _received(payload)

    zone.preprocess = tolerant  # on the one component: a class of our own would be another one to the browser
    return zone


def _received(payload: Any) -> Received:
    """Return a file as gradio had it: in gradio 3 a data URL, in gradio 4 the path of the upload."""
    if isinstance(payload, str):
        return Received(UNNAMED, base64.b64decode(payload.partition(",")[2] + "=="))
    with Path(payload.path).open("rb") as file:
        return Received(payload.orig_name or UNNAMED, file.read(MAX_BASE64_BYTES + 1))
