"""The units in the WebUI's page. A unit's components stand in the order of its fields: the order of the arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from lib_faceid.unit import AUTO, Unit, setting_range
from lib_faceid.variants import VARIANTS

__all__ = ["unit_components"]

UNIT_COUNT = 3
_FIELDS: dict[str, Any] = {one.name: one for one in dataclasses.fields(Unit)}


def unit_components(tab: str, adapter_files: Callable[[], Sequence[Path]]) -> list[Any]:
    """Return the components of all units, in an accordion of tabs.

    tab: "txt2img" or "img2img", for the elements' ids; adapter_files: asked anew whenever the list is refreshed.
    """
    components: list[Any] = []
    with gr.Accordion("IP-Adapter FaceID", open=False, elem_id=f"{tab}_faceid"), gr.Tabs():
        for number in range(UNIT_COUNT):
            with gr.Tab(f"Unit {number}"):
                components += _unit(f"{tab}_faceid_{number}", adapter_files)
    return components


def _unit(prefix: str, adapter_files: Callable[[], Sequence[Path]]) -> list[Any]:
    with gr.Row():
        with gr.Column(scale=1):
            image = gr.Image(type="pil", image_mode="RGBA", height=280, **_labels("image", prefix))
        with gr.Column(scale=2):
            enabled = gr.Checkbox(value=False, **_labels("enabled", prefix))
            with gr.Row():
                names = _names(adapter_files)
                adapter = gr.Dropdown(choices=names, value=AUTO, **_labels("adapter", prefix))
                refresh = gr.Button("\U0001f504", elem_id=f"{prefix}_refresh", elem_classes=["tool"])
                variants = [AUTO, *(one.id for one in VARIANTS)]
                variant = gr.Dropdown(choices=variants, value=AUTO, **_labels("variant", prefix))
            sliders = [_slider(name, prefix) for name in ("weight", "structure", "lora")]
            with gr.Row():
                sliders += [_slider(name, prefix) for name in ("start", "end")]
    image.upload(fn=lambda: True, outputs=[enabled], queue=False, show_progress="hidden")
    refresh.click(fn=lambda: gr.update(choices=_names(adapter_files)), outputs=[adapter], queue=False)
    components: list[Any] = [enabled, image, adapter, variant, *sliders]
    for component in components:
        component.do_not_save_to_config = True  # or the WebUI would keep one default for the labels of all units
    return components


def _slider(name: str, prefix: str) -> Any:
    allowed = setting_range(name)
    return gr.Slider(
        minimum=allowed.lowest,
        maximum=allowed.highest,
        step=allowed.step,
        value=_FIELDS[name].default,
        **_labels(name, prefix),
    )


def _labels(name: str, prefix: str) -> dict[str, Any]:
    """Return what every component of a field is given: its label, one line of help, and its id in the page."""
    metadata = _FIELDS[name].metadata
    labels = {"label": metadata["label"], "elem_id": f"{prefix}_{name}"}
    return labels if name == "image" else {**labels, "info": metadata["help"]}


def _names(adapter_files: Callable[[], Sequence[Path]]) -> list[str]:
    return [AUTO, *(path.name for path in adapter_files())]
