"""What is set for a job as a whole, in a page: components in the order of the options, behind those of all units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from lib_faceid.ui.paste import InfotextField
from lib_faceid.units.job_options import INFOTEXT_KEY, OPTIONS
from lib_faceid.units.unit import Range

__all__ = ["build_job_options", "options_infotext_fields"]


def build_job_options(tab: str) -> list[Any]:
    """Return the components, made where gradio stands right now."""
    with gr.Accordion("Best of several seeds", open=False, elem_id=f"{tab}_faceid_search"):
        return [_component(name, f"{tab}_faceid_{name}") for name in OPTIONS]


def _component(name: str, elem_id: str) -> Any:
    field = OPTIONS[name]
    settings: dict[str, Any] = {"label": field.label, "info": field.help, "elem_id": elem_id}
    if isinstance(field.kind, Range):
        lowest, highest, step = field.kind.lowest, field.kind.highest, field.kind.step
        return gr.Slider(lowest, highest, field.default or lowest, step=step, **settings)
    return gr.Checkbox(field.default, **settings)


def options_infotext_fields(components: list[Any]) -> list[InfotextField]:
    """Return what a host's paste fills in: a picture that was searched for is drawn again by its own seed alone."""

    def best_of(params: Mapping[str, Any]) -> int | None:
        return 1 if INFOTEXT_KEY in params else None

    found = dict(zip(OPTIONS, components, strict=True))
    return [(found["best_of"], best_of), (found["keep"], best_of)]
