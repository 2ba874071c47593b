"""What a unit's reference is for: the first choice in a unit, and what of the page it shows, names and offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from lib_faceid.methods.registry import by_id
from lib_faceid.ui.parts import QUICK, labels, notice
from lib_faceid.ui.services import Services, attempt
from lib_faceid.ui.settings import used_by, variant_choices
from lib_faceid.ui.words import NAMED, WORDS, field_words
from lib_faceid.units.infotext import unit_from_infotext
from lib_faceid.units.unit import AUTO, FIELDS, PURPOSES, Purpose
from lib_faceid.units.weight_types import LINEAR

__all__ = ["COMBINE", "PARTS", "build_purpose", "wire_purpose"]

PARTS = {"everything": LINEAR, "style": "style transfer", "composition": "composition"}
"""What of an image is wanted -> the weight type that gives it."""
COMBINE: Mapping[Purpose, list[str]] = {
    "person": ["average", "median", "tokens", "concatenate"],
    "image": list(FIELDS["combine"].kind) if isinstance(FIELDS["combine"].kind, tuple) else [],
}
OF_PEOPLE = ("mark", "preset", "preset_panel", "adetailer", "adetailer_weight")
"""What is there for people alone, whatever the variant."""


def build_purpose(prefix: str) -> tuple[Any, Any]:
    """Return the component of the field, and that of what is wanted of an image."""
    purpose = gr.Radio([*PURPOSES], value=FIELDS["purpose"].default, **labels("purpose", prefix))
    part = gr.Radio(
        list(PARTS), value="everything", visible=False, label="What of the image", elem_id=f"{prefix}_image_part",
        info="All of it, its colours and surfaces, or how it is laid out. Sets the weight type.",
    )  # fmt: skip
    return purpose, part


def wire_purpose(made: Mapping[str, Any], services: Services) -> None:
    """Let purpose, adapter and variant decide what is shown.

    made: what changes, by name: `purpose`, `part`, those of OF_PEOPLE, of NAMED and of `used_by`, `drop`, `upload`,
    `net_panel`, `save_panel`, `name`, `adapter`, `variant`, `weight_type`, `refresh` and `auto`; and `pasted`, the line
    of a paste.
    """
    purpose, adapter, variant = made["purpose"], made["adapter"], made["variant"]
    chosen = [purpose, adapter, variant]
    fields = list(used_by(None))
    fitting = [*(made[name] for name in fields), made["net_panel"], made["auto"]]

    def fitted(purpose: Purpose, adapter: str, variant: str) -> list[Any]:
        """Show what the adapter uses, and what Auto means."""
        known, problem = (by_id(variant), "") if variant != AUTO else attempt(services.variant_of, adapter, purpose)
        used = used_by(known, purpose)
        means, problem = attempt(services.auto_means, purpose) if adapter == AUTO else ("", problem)
        shown = [*(used[name] for name in fields), used["net_weight"]]
        return [*(gr.update(visible=one) for one in shown), notice(means or "") or notice(problem, "warning")]

    def listed(purpose: Purpose, adapter: str, variant: str) -> list[Any]:
        files, problem = attempt(services.adapters_for, purpose)
        *updates, message = fitted(purpose, adapter, variant)
        names = dict.fromkeys([AUTO, *(path.name for path in files or ())])
        return [gr.update(choices=list(names)), *updates, message or notice(problem, "warning")]

    # The first look at the files may take seconds: what the unit is for is asked when it is over, not when it began.
    looked = made["refresh"].click(lambda: attempt(services.setup) and None, None, None, **QUICK)
    looked.then(listed, chosen, [adapter, *fitting], **QUICK)
    for component in (adapter, variant):
        component.change(fitted, chosen, fitting, **QUICK)
    _wire_switch(made, services, listed, [adapter, *fitting])
    _wire_part(made["part"], made["weight_type"])


def _wire_switch(made: Mapping[str, Any], services: Services, listed: Any, fitting: list[Any]) -> None:
    """Change what is shown with the purpose, whoever sets it, and take back what only the other purpose has.

    A user who switches leaves the other purpose's choices behind; a paste sets purpose and choices at once. The event
    `input` cannot tell the two apart: in gradio 4 a radio sends it in both cases.
    """

    def switched(purpose: Purpose, pasted: str, *chosen: str) -> list[Any]:
        is_person = purpose == "person"
        is_as_pasted = _is_as_pasted(pasted, purpose, *chosen[:2])
        kept = chosen if is_as_pasted else _without_what_only_the_other_has(services, purpose, *chosen)
        taken_back = [{} if now == was else {"value": now} for now, was in zip(kept, chosen, strict=True)]
        names, _ = attempt(services.saved, purpose)
        people = {"choices": ["", *(names or ())], **taken_back[2]}
        offered = {"person": people, "combine": {"choices": COMBINE[purpose]}}
        words = WORDS[purpose]
        adapters, *shown = listed(purpose, *kept[:2])
        return [
            *(gr.update(visible=is_person) for _ in OF_PEOPLE),
            *(_named(name, purpose, offered.get(name, {})) for name in NAMED),
            gr.update(visible=not is_person),
            gr.update(label=words.drop),
            gr.update(label=words.add),
            gr.update(label=words.save),
            gr.update(info=words.save_info),
            gr.update(choices=list(dict.fromkeys((*variant_choices(purpose), kept[1]))), **taken_back[1]),
            {**adapters, **taken_back[0]},
            *shown,
        ]

    outputs = [*OF_PEOPLE, *NAMED, "part", "drop", "upload", "save_panel", "name", "variant"]
    made["purpose"].change(
        switched,
        [made[name] for name in ("purpose", "pasted", "adapter", "variant", "person")],
        [*(made[name] for name in outputs), *fitting],
        **QUICK,
    )


def _is_as_pasted(pasted: str, purpose: Purpose, adapter: str, variant: str) -> bool:
    """Say whether a unit is what the metadata that were pasted last say of it, however odd."""
    fields = unit_from_infotext(pasted)[0] if pasted else {}
    return bool(fields) and (fields["purpose"], fields["adapter"], fields["variant"]) == (purpose, adapter, variant)


def _without_what_only_the_other_has(
    services: Services, purpose: Purpose, adapter: str, variant: str, saved: str
) -> tuple[str, str, str]:
    """Return the three as chosen, or what stands for none where only the other purpose has it.

    An adapter or a saved reference that neither has stays: it is missing on this machine, which the unit says.
    """
    other: Purpose = next(one for one in PURPOSES if one != purpose)
    both = (purpose, other)
    files, other_files = (
        {name for path in attempt(services.adapters_for, one)[0] or () for name in (path.name, path.stem)}
        for one in both
    )
    names, other_names = (set(attempt(services.saved, one)[0] or ()) for one in both)
    return (
        AUTO if adapter in other_files - files else adapter,
        variant if variant in variant_choices(purpose) else AUTO,
        "" if saved in other_names - names else saved,
    )


def _named(name: str, purpose: Purpose, offered: Mapping[str, Any]) -> Any:
    label, info = field_words(name, purpose)
    return gr.update(label=label, info=info, **offered)


def _wire_part(part: Any, weight_type: Any) -> None:
    """Let what is wanted of an image and the weight type follow each other."""
    parts = {weight_type: part for part, weight_type in PARTS.items()}
    part.input(lambda chosen: PARTS[chosen], [part], [weight_type], **QUICK)
    weight_type.change(lambda chosen: gr.update(value=parts.get(chosen)), [weight_type], [part], **QUICK)
