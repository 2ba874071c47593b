"""Small parts that the whole page is made of, alike in gradio 3.41 and 4.40."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from html import escape
from typing import Any, Literal

import gradio as gr
from PIL import Image

from lib_faceid.units.unit import FIELDS, Range

__all__ = [
    "IS_GRADIO_4",
    "KEEPS_METADATA",
    "QUICK",
    "SNAPSHOT",
    "UPLOAD",
    "changes_of",
    "choice",
    "component",
    "data_url",
    "labels",
    "leaves",
    "notice",
    "script",
    "slider",
]

IS_GRADIO_4 = int(gr.__version__.split(".", maxsplit=1)[0]) >= 4

UPLOAD: dict[str, Any] = {"sources": ["upload", "clipboard", "webcam"]} if IS_GRADIO_4 else {"source": "upload"}
SNAPSHOT: dict[str, Any] | None = None if IS_GRADIO_4 else {"source": "webcam"}
"""What turns an upload into a camera; None where the upload offers one by itself."""

KEEPS_METADATA: dict[str, Any] = {"format": "png"} if IS_GRADIO_4 else {}
"""For a gallery whose pictures carry their settings: gradio 4 makes WebP of them else, which has none."""

QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
"""For an event that is answered at once: a running job does not hold it up."""

Tone = Literal["info", "good", "warning", "error"]


def script(code: str) -> dict[str, Any]:
    """Return the argument of an event that runs JavaScript in the browser."""
    return {"js" if IS_GRADIO_4 else "_js": code}


def changes_of(html: Any) -> Any:
    """Return a hidden text, made where gradio stands, whose `change` tells that an HTML component shows something else.

    It is empty where nothing is shown. `javascript/faceid_changes.js` writes it: gradio 4's HTML says that it has
    changed whenever the page is drawn anew, and every answer draws it anew, so that an event on it would never end.
    """
    shown = "shown" if html.value else ""
    return gr.Textbox(
        shown, label="What has changed", elem_id=f"{html.elem_id}_changed", elem_classes=["faceid-hidden"]
    )


def component(kind: str) -> type:
    """Return a class of gradio's by its name, for a host's settings page."""
    return getattr(gr, kind)


def labels(name: str, prefix: str) -> dict[str, Any]:
    """Return what the component of a field is given: its label, one line of help, and its id in the page."""
    return {"label": FIELDS[name].label, "info": FIELDS[name].help, "elem_id": f"{prefix}_{name}"}


def slider(name: str, prefix: str, *, visible: bool = True) -> Any:
    """Return the slider of a number in the unit."""
    allowed = FIELDS[name].kind
    if not isinstance(allowed, Range):
        raise TypeError(f"{name} is no number")
    return gr.Slider(
        minimum=allowed.lowest,
        maximum=allowed.highest,
        step=allowed.step,
        value=FIELDS[name].default,
        visible=visible,
        **labels(name, prefix),
    )


def choice(name: str, prefix: str, **more: Any) -> Any:
    """Return the list of a field that takes one of some words."""
    kind = FIELDS[name].kind
    choices = list(kind) if isinstance(kind, tuple) else []
    return gr.Dropdown(choices, value=FIELDS[name].default, **labels(name, prefix), **more)


def notice(text: str, tone: Tone = "info") -> str:
    """Return HTML that shows a sentence, and tells it to a screen reader; nothing for no text."""
    role = "alert" if tone == "error" else "status"
    return f'<div class="faceid-notice faceid-{tone}" role="{role}">{escape(text)}</div>' if text else ""


def data_url(image: Image.Image) -> str:
    """Return a small picture as the address of an <img>."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=92)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def leaves(block: Any) -> Iterator[Any]:
    """Give every component in a block, at any depth."""
    for child in getattr(block, "children", ()):
        yield from leaves(child) if hasattr(child, "children") else [child]
