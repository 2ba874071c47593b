"""The photos of a unit become a saved person: what is said of it, and every list that has that name from then on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from lib_faceid.ui.parts import QUICK, notice, script
from lib_faceid.ui.services import Services, attempt
from lib_faceid.ui.spreading import OneUnit
from lib_faceid.units.unit import Unit

__all__ = ["wire_saving"]

# The WebUI's cards, by their own button, once somebody was saved.
REFRESH_CARDS = """(said) => {
    if (said?.includes("faceid-good")) {
        for (const tab of ["txt2img", "img2img"]) {
            document.getElementById(`${tab}_people_extra_refresh_internal`)?.dispatchEvent(new Event("click"));
        }
    }
    return [];
}"""


def wire_saving(units: Sequence[OneUnit], services: Services) -> None:
    """Let each unit's button save who is in its photos."""
    purposes, people = [unit.who.purpose for unit in units], [unit.who.person for unit in units]

    def listed(purpose: Any) -> Any:
        found, _ = attempt(services.saved, purpose)
        return gr.update() if found is None else gr.update(choices=["", *found])

    for number, unit in enumerate(units):

        def saved(name: str, combine: str, photos: Any, face: str, *rest: Any, number: int = number) -> list[Any]:
            clip_crop, image_crop, *purposes = rest
            settings = {"face": face, "combine": combine, "clip_crop": clip_crop, "image_crop": image_crop}
            asked = {"purpose": purposes[number], "images": photos, **settings}
            one, problem = attempt(Unit.from_dict, asked)
            done, problem = (None, problem) if one is None else attempt(services.save, name, one)
            told, doubt = done or ("", problem)
            said = notice(told, "good") + notice(doubt, "warning")
            return [said, *(listed(purpose) if done else gr.update() for purpose in purposes)]

        who = unit.who
        photos, _, face, clip_crop, image_crop, *_ = unit.seen.looked_at
        inputs = [who.name, who.combine, photos, face, clip_crop, image_crop, *purposes]
        event = who.save.click(saved, inputs, [who.saved, *people], queue=False)
        event.then(None, [who.saved], None, **script(REFRESH_CARDS), **QUICK)
