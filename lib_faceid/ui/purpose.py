"""What a unit's reference is for: the first choice in a unit, and what of the page it shows, names and offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_faceid.methods.registry import by_id
from lib_faceid.ui.parts import QUICK, labels, notice
from lib_faceid.ui.services import Services, attempt
from lib_faceid.ui.settings import used_by, variant_choices
from lib_faceid.units.unit import AUTO, FIELDS, PURPOSES, Purpose
from lib_faceid.units.weight_types import LINEAR

__all__ = ["COMBINE", "PARTS", "Switched", "build_purpose", "wire_purpose"]

PARTS = {"everything": LINEAR, "style": "style transfer", "composition": "composition"}
"""What of an image is wanted -> the weight type that gives it."""
COMBINE: Mapping[Purpose, list[str]] = {
    "person": ["average", "median", "tokens", "concatenate"],
    "image": list(FIELDS["combine"].kind) if isinstance(FIELDS["combine"].kind, tuple) else [],
}
OF_PEOPLE = ("face", "mark", "preset", "adetailer", "adetailer_weight")
"""What is there for people alone, whatever the variant."""
IMAGE_WORDS: Mapping[str, tuple[str, str]] = {
    "person": ("Saved image", "An image from the library, instead of photos. Several, for one each: Sunset | Sea."),
    "weight": ("Image weight", "How strongly the image acts."),
    "combine": ("Combine", "How several become one. Concatenate keeps the tokens of each; subtract: first less rest."),
    "region": ("Region", "Where the image acts: left, top right, centre, 'box 0.1 0.2 0.6 0.9', mask."),
    "noise": ("Noise", "Adds noise to the negative image embeds: more contrast."),
    "batch": ("Several images", "Together they are one prompt. One each: the first image of a batch gets the first."),
}  # fmt: skip
NAMED = ("person", "weight", "combine", "region", "noise", "batch")
SAVE: Mapping[Purpose, tuple[str, str]] = {
    "person": ("Save person", "The photos become one small file: numbers, no pictures."),
    "image": ("Save image", "The images become one small file: what the encoders make of them, no pictures."),
}
DROP: Mapping[Purpose, str] = {
    "person": "Drop a photo here, paste or click",
    "image": "Drop an image here, paste or click",
}


@dataclass(frozen=True, eq=False)
class Switched:
    """What changes with the purpose, by name: components of fields, and others."""

    parts: Mapping[str, Any]
    """`purpose`, `part`, those of OF_PEOPLE, of NAMED and of `used_by`, `drop`, `save_panel`, `name`, `adapter`,
    `variant`, `weight_type`, `refresh` and `auto`."""


def build_purpose(prefix: str) -> tuple[Any, Any]:
    """Return the component of the field, and that of what is wanted of an image."""
    purpose = gr.Radio([*PURPOSES], value=FIELDS["purpose"].default, **labels("purpose", prefix))
    part = gr.Radio(
        list(PARTS), value="everything", visible=False, label="What of the image", elem_id=f"{prefix}_image_part",
        info="All of it, its colours and surfaces, or how it is laid out. Sets the weight type.",
    )  # fmt: skip
    return purpose, part


def wire_purpose(page: Switched, services: Services) -> None:
    """Let purpose, adapter and variant decide what is shown."""
    made = page.parts
    purpose, adapter, variant, saved = made["purpose"], made["adapter"], made["variant"], made["person"]
    chosen = [purpose, adapter, variant]
    fields = list(used_by(None))
    fitting = [*(made[name] for name in fields), made["auto"]]

    def fitted(purpose: Purpose, adapter: str, variant: str) -> list[Any]:
        """Show what the adapter uses, and what Auto means."""
        known, problem = (by_id(variant), "") if variant != AUTO else attempt(services.variant_of, adapter, purpose)
        used = used_by(known, purpose)
        means, problem = attempt(services.auto_means, purpose) if adapter == AUTO else ("", problem)
        return [*(gr.update(visible=used[name]) for name in fields), notice(means or "") or notice(problem, "warning")]

    def listed(purpose: Purpose, adapter: str, variant: str) -> list[Any]:
        files, problem = attempt(services.adapters_for, purpose)
        *updates, message = fitted(purpose, adapter, variant)
        names = dict.fromkeys([AUTO, *(path.name for path in files or ())])
        return [gr.update(choices=list(names)), *updates, message or notice(problem, "warning")]

    made["refresh"].click(listed, chosen, [adapter, *fitting], **QUICK)
    for component in (adapter, variant):
        component.change(fitted, chosen, fitting, **QUICK)
    _wire_switch(made, services, listed, [adapter, *fitting])
    _wire_chosen_by_hand(purpose, adapter, variant, saved)
    _wire_part(made["part"], made["weight_type"])


def _wire_switch(made: Mapping[str, Any], services: Services, listed: Any, fitting: list[Any]) -> None:
    """Change what is shown with the purpose, also where a paste sets it."""

    def switched(purpose: Purpose, adapter: str, variant: str) -> list[Any]:
        is_person = purpose == "person"
        names, _ = attempt(services.saved, purpose)
        words = {name: _words(name, purpose) for name in NAMED}
        words["person"] |= {"choices": ["", *(names or ())]}
        words["combine"] |= {"choices": COMBINE[purpose]}
        label, info = SAVE[purpose]
        return [
            *(gr.update(visible=is_person) for _ in OF_PEOPLE),
            *(gr.update(**words[name]) for name in NAMED),
            gr.update(visible=not is_person),
            gr.update(label=DROP[purpose]),
            gr.update(label=label),
            gr.update(info=info),
            gr.update(choices=variant_choices(purpose)),
            *listed(purpose, adapter, variant),
        ]

    outputs = [*OF_PEOPLE, *NAMED, "part", "drop", "save_panel", "name", "variant"]
    made["purpose"].change(
        switched,
        [made["purpose"], made["adapter"], made["variant"]],
        [*(made[name] for name in outputs), *fitting],
        **QUICK,
    )


def _words(name: str, purpose: Purpose) -> dict[str, Any]:
    label, info = IMAGE_WORDS[name] if purpose == "image" else (FIELDS[name].label, FIELDS[name].help)
    return {"label": label, "info": info}


def _wire_chosen_by_hand(purpose: Any, adapter: Any, variant: Any, saved: Any) -> None:
    """Take back what the other purpose's unit had, where a user and not a paste switches."""
    purpose.input(lambda: [AUTO, AUTO, ""], None, [adapter, variant, saved], **QUICK)


def _wire_part(part: Any, weight_type: Any) -> None:
    """Let what is wanted of an image and the weight type follow each other."""
    parts = {weight_type: part for part, weight_type in PARTS.items()}
    part.input(lambda wanted: PARTS[wanted], [part], [weight_type], **QUICK)
    weight_type.change(lambda chosen: gr.update(value=parts.get(chosen)), [weight_type], [part], **QUICK)
