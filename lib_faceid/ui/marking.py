"""A face marked by hand: two clicks on the photo become a box in the unit's field `face`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw

from lib_faceid.ui.boxes import CHOSEN_RGB, INK_RGB
from lib_faceid.ui.parts import QUICK, notice
from lib_faceid.ui.photos import ONE_BOX, Photos
from lib_faceid.ui.preview import thumbnail
from lib_faceid.ui.services import attempt
from lib_faceid.units.region import Box

__all__ = ["Marking", "build_marking", "clicked", "wire_marking"]

FIRST = "Click one corner of the face: at the hairline, beside the cheek."
SECOND = "Now the opposite corner: at the chin, beside the other cheek."
AGAIN = "That box has no size. Click two opposite corners of the face."
HEIGHT_PX = 420

Corner = tuple[float, float]
"""x, y as fractions of the photo."""


@dataclass(frozen=True, eq=False)
class Marking:
    """The components."""

    button: Any
    photo: Any
    corner: Any
    """State: the corner that was clicked first, or None."""


def build_marking(prefix: str, button: Any) -> Marking:
    """Return the components, made where gradio stands right now."""
    photo = gr.Image(
        type="pil", interactive=False, visible=False, height=HEIGHT_PX, show_download_button=False, label=FIRST,
        elem_id=f"{prefix}_marking", elem_classes=["faceid-marking"],
    )  # fmt: skip
    return Marking(button, photo, gr.State(None))


def wire_marking(parts: Marking, images: Any, selected: Any, face: Any, message: Any) -> None:
    """Let two clicks set `face`. images, selected, message: the unit's photos, which was picked, what is said."""
    outputs = [parts.photo, parts.corner, face, message]

    def opened(photos: Photos, index: int | None) -> list[Any]:
        if len(photos) != 1:
            return [gr.update(visible=False), None, gr.update(), notice(ONE_BOX if photos else "", "warning")]
        image, problem = attempt(thumbnail, photos[index or 0]["image"])
        shown = gr.update(value=image, label=FIRST, visible=image is not None)
        return [shown, None, gr.update(), notice(problem, "warning")]

    def marked(photos: Photos, first: Corner | None, event: gr.SelectData) -> list[Any]:
        if len(photos) != 1:  # taken out meanwhile
            return [gr.update(visible=False), None, gr.update(), ""]
        image = thumbnail(photos[0]["image"])
        x, y = event.index  # pyright: ignore[reportGeneralTypeIssues] - a pair, on a picture
        corner, box, label = clicked(first, (x / image.width, y / image.height))
        shown = gr.update(visible=False) if box else gr.update(value=_with_cross(image, corner), label=label)
        return [shown, corner, str(box) if box else gr.update(), ""]

    parts.button.click(opened, [images, selected], outputs, **QUICK)
    parts.photo.select(marked, [images, parts.corner], outputs, **QUICK)


def clicked(first: Corner | None, second: Corner) -> tuple[Corner | None, Box | None, str]:
    """Return the corner to remember, the box once there are two, and what to do next."""
    second = (min(max(second[0], 0.0), 1.0), min(max(second[1], 0.0), 1.0))
    if first is None:
        return second, None, SECOND
    (left, right), (top, bottom) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    box = Box(*(round(edge, 3) for edge in (left, top, right, bottom)))
    return (None, box, "") if box.left < box.right and box.top < box.bottom else (None, None, AGAIN)


def _with_cross(image: Image.Image, corner: Corner | None) -> Image.Image:
    """Return the photo with lines through the first corner."""
    if corner is not None:
        x, y = corner[0] * image.width, corner[1] * image.height
        draw = ImageDraw.Draw(image)
        for line in ((x, 0, x, image.height), (0, y, image.width, y)):
            draw.line(line, fill=INK_RGB, width=3)
            draw.line(line, fill=CHOSEN_RGB, width=1)
    return image
