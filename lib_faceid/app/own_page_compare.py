"""Two pictures beside each other on our own page: a slider over both, and what differs in their settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from lib_faceid.app.session import GeneratedImage
from lib_faceid.journal.compare import compare_metadata
from lib_faceid.ui.journal_html import differences_html
from lib_faceid.ui.parts import QUICK, data_url, notice

__all__ = ["build_compare", "compared_html", "wire_compare"]

HELD = "Picture {} is held. Choose another one, of this job or a later one, then Compare."
NOTHING_HELD = "Hold a picture first: choose one, then Hold."
NOTHING_DRAWN = "There is no picture yet."
NO_DIFFERENCE = "Nothing in their settings differs."
NAMES = "held", "chosen"
SIDES = "Left of the line the held picture, right of it the chosen one"


@dataclass(frozen=True, eq=False)
class _Held:
    """A picture that was put aside: no more of it than is shown."""

    image: Image.Image
    parameters: str


def build_compare() -> list[Any]:
    """Return the components, made where gradio stands right now: hold, compare, the held picture, what is shown."""
    with gr.Row(elem_classes=["faceid-buttons"]):
        hold = gr.Button("Hold", size="sm", elem_id="faceid_hold")
        compare = gr.Button("Compare", size="sm", elem_id="faceid_compare")
    held = gr.State(None)
    shown = gr.HTML(elem_id="faceid_compared")
    return [hold, compare, held, shown]


def wire_compare(parts: Sequence[Any], chosen: Any, pictures: Callable[[], Sequence[GeneratedImage]]) -> None:
    """Let the picture that was clicked be held, and a later one be compared with it. chosen: its place."""
    hold, compare, held, shown = parts

    def put_aside(number: int) -> list[Any]:
        one = _at(pictures(), number)
        if one is None:
            return [None, notice(NOTHING_DRAWN)]
        return [_Held(one.image.copy(), one.parameters), notice(HELD.format(number + 1))]

    def beside(first: _Held | None, number: int) -> str:
        one = _at(pictures(), number)
        if first is None or one is None:
            return notice(NOTHING_HELD if one else NOTHING_DRAWN)
        return compared_html(first.image, one.image, first.parameters, one.parameters)

    hold.click(put_aside, [chosen], [held, shown], **QUICK)
    compare.click(beside, [held, chosen], [shown], **QUICK)


def compared_html(first: Image.Image, second: Image.Image, *parameters: str) -> str:
    """Return two pictures under a slider, and a table of what differs between their metadata, the first one's first."""
    found = compare_metadata(*parameters)
    table = differences_html(NAMES, found) if found else notice(NO_DIFFERENCE)
    images = "".join(
        f'<img src="{data_url(one)}" alt="The {name} picture">'
        for one, name in zip((first, second), NAMES, strict=True)
    )
    move = "this.parentElement.style.setProperty('--at', this.value + '%')"
    slider = f'<input type="range" value="50" aria-label="{SIDES}" oninput="{move}">'
    return f'<div class="faceid-compared"><div class="faceid-both">{images}</div>{slider}{table}</div>'


def _at(generated: Sequence[GeneratedImage], number: int) -> GeneratedImage | None:
    return generated[number] if number < len(generated) else next(iter(generated), None)
