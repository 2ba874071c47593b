"""Where the person acts: the words, a box in figures, or a mask that is drawn or uploaded."""

from __future__ import annotations

import base64
import io
from typing import Any

import gradio as gr
from PIL import Image, ImageChops

from lib_faceid.ui.parts import IS_GRADIO_4, QUICK, component, labels, slider
from lib_faceid.units.region import EVERYWHERE, MASK, region_choices

__all__ = ["build_region", "mask_of"]

BLANK_PX = (512, 512)
MAX_MASK_PX = 1024


def build_region(prefix: str) -> dict[str, Any]:
    """Return the components by field, made where gradio stands right now, and wired."""
    made: dict[str, Any] = {
        "region": gr.Dropdown(region_choices(), value=EVERYWHERE, allow_custom_value=True, **labels("region", prefix)),
        "mask": gr.State(None),
    }
    made["mask"].elem_id = f"{prefix}_mask"  # a state has no element, but a name by which it is told from others
    with gr.Group(visible=False, elem_id=f"{prefix}_mask_drawing") as drawing:
        canvas = _canvas(prefix)
        blank = gr.Button("Blank canvas to draw on", size="sm", elem_id=f"{prefix}_mask_blank")
    made["feather"] = slider("feather", prefix)
    made["region"].change(_drawing_for, [made["region"]], [drawing, canvas], **QUICK)
    blank.click(lambda: Image.new("RGB", BLANK_PX, "black"), None, [canvas], **QUICK)
    for event in (canvas.change, *([] if IS_GRADIO_4 else [canvas.edit])):
        event(mask_of, [canvas], [made["mask"]], **QUICK)
    return made


def _drawing_for(region: Any) -> list[Any]:
    """Return the updates of the part for the mask and of its canvas, which stays one that can be drawn on."""
    is_mask = str(region).strip().lower() == MASK
    return [gr.update(visible=is_mask), gr.update(interactive=True) if is_mask else gr.update()]


def mask_of(drawn: Any) -> str | None:
    """Return what a canvas holds as a grey picture in a data URL: the strokes, or without any the picture itself."""
    picture = _strokes(drawn) if isinstance(drawn, dict) else drawn
    if picture is None:
        return None
    grey = picture.convert("L")
    grey.thumbnail((MAX_MASK_PX, MAX_MASK_PX))
    file = io.BytesIO()
    grey.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _strokes(drawn: dict[str, Any]) -> Image.Image | None:
    """Return the strokes where there are any, white on black, or else the picture below them."""
    if "layers" in drawn:  # gradio 4
        layers = [layer.getchannel("A") for layer in drawn["layers"] or () if layer.mode == "RGBA"]
        strokes, below = _lightest(layers), drawn.get("background")
    else:
        strokes, below = drawn.get("mask"), drawn.get("image")
    return strokes if strokes is not None and strokes.convert("L").getbbox() else below


def _lightest(layers: list[Image.Image]) -> Image.Image | None:
    if not layers:
        return None
    first, *others = layers
    for other in others:
        first = ImageChops.lighter(first, other)
    return first


def _canvas(prefix: str) -> Any:
    settings: dict[str, Any] = {
        "label": "Mask: paint where the person acts, or drop a black and white picture",
        "type": "pil",
        "elem_id": f"{prefix}_mask_canvas",
    }
    if IS_GRADIO_4:
        brush = component("Brush")(default_size=40, colors=["#ffffff"], color_mode="fixed")
        # One that can be drawn on draws itself anew sixty times a second, also unseen: not before it is wanted.
        return component("ImageEditor")(brush=brush, sources=["upload", "clipboard"], interactive=False, **settings)
    return gr.Image(source="upload", tool="sketch", brush_radius=40, brush_color="#ffffff", **settings)
