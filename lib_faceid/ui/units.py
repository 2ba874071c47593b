"""The units in a page. A unit's components stand in the order of its fields: the order of a job's arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_faceid.ui.aim import build_aim, wire_host_aim
from lib_faceid.ui.diagnosis import build_diagnosis
from lib_faceid.ui.job_options import build_job_options, options_infotext_fields
from lib_faceid.ui.parts import changes_of, leaves
from lib_faceid.ui.paste import InfotextField, infotext_fields, wire_paste
from lib_faceid.ui.purpose import wire_purpose
from lib_faceid.ui.references import build_references, wire_references
from lib_faceid.ui.saved_card import saved_html
from lib_faceid.ui.saving import wire_saving
from lib_faceid.ui.services import Services
from lib_faceid.ui.settings import build_settings
from lib_faceid.ui.setup import build_setup
from lib_faceid.ui.spreading import OneUnit, wire_asked
from lib_faceid.ui.templates import build_templates
from lib_faceid.ui.truth import build_truth, truth_html, wire_truth
from lib_faceid.ui.which import build_which
from lib_faceid.units.unit import FIELDS, Unit

__all__ = ["MAX_UNITS", "Services", "Units", "build_units"]

MAX_UNITS = 10
HOST_AIM = "Draws up to eight pictures of one seed and shows the one that is proposed. It changes nothing here."


@dataclass(frozen=True, eq=False)
class Units:
    """The units in the page, and what a host has to know of them."""

    components: list[Any]
    """Of all fields of all units, one after the other."""
    infotext_fields: list[InfotextField]
    who: list[Any]
    """What changes when somebody else is asked for: of each unit the switch, the person, and what its photos show."""
    options: list[Any]
    """Of the job as a whole."""
    aim: list[Any]
    """What is aimed for, where the host's own button draws the pictures of the search."""
    parts: list[OneUnit]
    """Who is drawn by each, how that is shown, and where."""

    @property
    def arguments(self) -> list[Any]:
        """What a job is given."""
        return [*self.components, *self.options, *self.aim]


def build_units(
    tab: str, services: Services, count: int = 3, *, is_open: bool = False, person: str = "", aims: bool = False
) -> Units:
    """Return all units, made in an accordion of tabs where gradio stands right now.

    tab: "txt2img" or "img2img", for the elements' ids; count: units, 1 to 10; person: who is chosen in the first one;
    aims: whether a likeness can be aimed for here, by the host's own button.
    """
    units = Units([], [], [], [], [], [])
    with gr.Accordion("IP-Adapter FaceID", open=is_open, elem_id=f"{tab}_faceid") as accordion:
        with gr.Tabs(elem_id=f"{tab}_faceid_units"):
            for number in range(min(max(count, 1), MAX_UNITS)):
                with gr.Tab(f"Unit {number}", elem_id=f"{tab}_faceid_{number}"):
                    _add_unit(units, tab, number, services, "" if number else person)
        wire_asked(units.parts, services)
        wire_saving(units.parts, services)
        units.options.extend(build_job_options(tab))
        units.infotext_fields.extend(options_infotext_fields(units.options))
        if aims:
            parts = build_aim(f"{tab}_faceid_aim", info=HOST_AIM)
            units.aim.append(wire_host_aim(tab, parts, units.components))
        build_diagnosis(tab, services, units.components, by_host=aims)
        build_templates(tab, services)
        build_which(f"{tab}_faceid_which", services)
        build_setup(f"{tab}_faceid_setup", services)
    for component in leaves(accordion):
        component.do_not_save_to_config = True  # or the WebUI would keep one default for the labels of all units
    return units


def _add_unit(units: Units, tab: str, number: int, services: Services, person: str) -> None:
    prefix = f"{tab}_faceid_{number}"
    with gr.Row(elem_classes=["faceid-unit"]):
        with gr.Column(min_width=300, elem_classes=["faceid-who"]):
            card = saved_html(services, person, "person") if person else ""
            who = build_references(prefix, person, card)
        with gr.Column(min_width=300, elem_classes=["faceid-how"]):
            how = build_settings(prefix, services)
    units.parts.append(OneUnit(who, wire_references(who, services, how), how["region"]))
    shown = {**vars(who), **how, "mark": who.marking.button}
    wire_purpose(shown, services)
    components = [how[name] if name in how else getattr(who, name) for name in FIELDS]
    truth = truth_html(services, Unit(enabled=True, person=person)) if person else ""
    cards = changes_of(who.cards)
    fields = dict(zip(FIELDS, components, strict=True))
    wire_truth(build_truth(prefix, truth), cards, how["refresh"], fields, services)
    wire_paste(who.pasted, services, who.images, who.person, who.missing)
    units.components.extend(components)
    units.who.extend([who.enabled, who.person, cards])
    units.infotext_fields.extend(infotext_fields(components, who.pasted, services, number))
