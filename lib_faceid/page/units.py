"""The units in a page. A unit's components stand in the order of its fields: the order of a job's arguments."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lib_faceid.page.parts import leaves
from lib_faceid.page.references import build_references, wire_references
from lib_faceid.page.services import Services
from lib_faceid.page.settings import build_settings
from lib_faceid.page.setup import build_setup
from lib_faceid.unit import FIELDS

__all__ = ["MAX_UNITS", "Services", "unit_components"]

MAX_UNITS = 10


def unit_components(tab: str, services: Services, count: int = 3) -> list[Any]:
    """Return the components of all units, one after the other, in an accordion of tabs.

    tab: "txt2img" or "img2img", for the elements' ids; count: units, 1 to 10.
    """
    components: list[Any] = []
    with gr.Accordion("IP-Adapter FaceID", open=False, elem_id=f"{tab}_faceid") as accordion:
        with gr.Tabs(elem_id=f"{tab}_faceid_units"):
            for number in range(min(max(count, 1), MAX_UNITS)):
                with gr.Tab(f"Unit {number}", elem_id=f"{tab}_faceid_{number}"):
                    components += _unit(f"{tab}_faceid_{number}", services)
        build_setup(f"{tab}_faceid_setup", services)
    for component in leaves(accordion):
        component.do_not_save_to_config = True  # or the WebUI would keep one default for the labels of all units
    return components


def _unit(prefix: str, services: Services) -> list[Any]:
    with gr.Row(elem_classes=["faceid-unit"]):
        with gr.Column(min_width=300, elem_classes=["faceid-who"]):
            who = build_references(prefix)
        with gr.Column(min_width=300, elem_classes=["faceid-how"]):
            how = build_settings(prefix, services)
    wire_references(who, services, how["clip_crop"])
    return [how[name] if name in how else getattr(who, name) for name in FIELDS]
