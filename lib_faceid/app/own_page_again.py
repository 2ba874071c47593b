"""On from the pictures that were drawn, on our own page: the seeds that follow, or one of them as a reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from PIL import Image

from lib_faceid.app.session import GeneratedImage
from lib_faceid.ui.parts import QUICK, notice

__all__ = ["COUNT", "build_again", "next_seeds", "wire_reference"]

SEED, COUNT = 7, 8  # places in the page's values
SEEDS = 2**32
ADDED = "Picture {} is a photo of unit {} now. If it shows a real person, it needs their consent as a photo does."


def build_again() -> list[Any]:
    """Return the components, made where gradio stands right now: vary, reference, the chosen one, what is said."""
    with gr.Row(elem_classes=["faceid-buttons"]):
        vary = gr.Button("Vary the seed", size="sm", interactive=False, elem_id="faceid_vary")
        reference = gr.Button("Use as reference", size="sm", interactive=False, elem_id="faceid_reference")
    chosen = gr.State(0)
    message = gr.HTML(elem_id="faceid_again_message")
    return [vary, reference, chosen, message]


def next_seeds(args: Sequence[Any], generated: Sequence[GeneratedImage], count: int) -> list[Any]:
    """Return the values of a job with as many pictures of the seeds after those that it has tried."""
    tried = [seed for one in generated for seed in (one.request.seed, *one.seeds)]
    values = list(args)
    values[SEED], values[COUNT] = (max(tried) + 1) % SEEDS, count
    return values


def wire_reference(
    again: Sequence[Any], gallery: Any, pictures: Callable[[], Sequence[Image.Image]], drop: Any
) -> None:
    """Let the picture that was clicked, at first the first one, be dropped into the first unit, as a photo is."""
    _, reference, chosen, message = again

    def picked(event: gr.SelectData) -> int:
        return int(event.index)  # pyright: ignore[reportArgumentType] - a pair in a table only

    def used(number: int) -> list[Any]:
        held = pictures()
        if not held:
            return [gr.update(), ""]
        at = number if number < len(held) else 0
        return [held[at].copy(), notice(ADDED.format(at + 1, 0))]

    gallery.select(picked, None, [chosen], **QUICK)
    reference.click(used, [chosen], [drop, message], **QUICK)
