"""How the person is drawn: the right side of a unit."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lib_faceid.methods.method import Variant
from lib_faceid.methods.registry import by_id, variants
from lib_faceid.ui.layer_weights import build_layer_weights
from lib_faceid.ui.parts import QUICK, UPLOAD, choice, labels, notice, slider
from lib_faceid.ui.photos import encoded
from lib_faceid.ui.region import build_region
from lib_faceid.ui.services import Services, attempt
from lib_faceid.units.presets import PRESET_FIELDS, delete_preset, read_presets, save_preset
from lib_faceid.units.unit import AUTO, FIELDS

__all__ = ["build_settings", "used_by"]

CUSTOM = ""


def build_settings(prefix: str, services: Services) -> dict[str, Any]:
    """Return the components by field, made where gradio stands right now, and wired."""
    preset = gr.Dropdown(
        [CUSTOM, *read_presets(services.presets_file)], value=CUSTOM, label="Preset",
        info="Sets weight, structure, LoRA, start and end at once.", elem_id=f"{prefix}_preset",
    )  # fmt: skip
    with gr.Row(elem_classes=["faceid-joined"]):
        adapter = gr.Dropdown([AUTO], value=AUTO, allow_custom_value=True, **labels("adapter", prefix))
        refresh = gr.Button("\U0001f504", elem_id=f"{prefix}_refresh", elem_classes=["tool"])
    auto = gr.HTML(elem_id=f"{prefix}_auto")
    made: dict[str, Any] = {"adapter": adapter}
    for name in PRESET_FIELDS:
        made[name] = slider(name, prefix)
    with gr.Accordion("Region", open=False, elem_id=f"{prefix}_region_panel"):
        made |= build_region(prefix)
    with gr.Accordion("Advanced", open=False, elem_id=f"{prefix}_advanced"):
        made["variant"] = gr.Dropdown([AUTO, *(one.id for one in variants())], value=AUTO, **labels("variant", prefix))
        made["fade"] = slider("fade", prefix)
        made["clip_crop"], made["image_crop"] = choice("clip_crop", prefix), choice("image_crop", prefix)
        made["hires"] = choice("hires", prefix)
        made |= build_layer_weights(prefix)
        made["batch"], made["noise"] = choice("batch", prefix), slider("noise", prefix)
        made["unlike"] = _unlike(prefix)
        made["adetailer"], made["adetailer_weight"] = choice("adetailer", prefix), slider("adetailer_weight", prefix)
        _presets(prefix, services, preset, made)
    _wire_adapter(services, made, refresh, auto)
    return made


def _unlike(prefix: str) -> Any:
    """Return the state that holds the photo of somebody to lead away from."""
    held = gr.State([])
    told = {"label": FIELDS["unlike"].label, "elem_id": f"{prefix}_unlike_image", "height": 120}
    picture = gr.Image(type="pil", **told, **UPLOAD)
    picture.change(lambda photo: [{"image": encoded(photo)}] if photo else [], [picture], [held], **QUICK)
    held.elem_id = f"{prefix}_unlike"
    return held


def used_by(variant: Variant | None) -> dict[str, bool]:
    """Return field -> whether the variant uses it, for the fields that not all do. An unknown one may use all."""
    every = frozenset[str]().union(*(one.settings for one in variants()))
    return {name: variant is None or name in variant.settings for name in sorted(every)}


def _wire_adapter(services: Services, made: dict[str, Any], refresh: Any, auto: Any) -> None:
    shown = list(used_by(None))

    def fitted(adapter: str, variant: str) -> list[Any]:
        """Show what the adapter uses, and what Auto means."""
        known, problem = (by_id(variant), "") if variant != AUTO else attempt(services.variant_of, adapter)
        used = used_by(known)
        means, problem = attempt(services.auto_means) if adapter == AUTO else ("", problem)
        told = notice(means or "") or notice(problem, "warning")
        return [*(gr.update(visible=used[name]) for name in shown), told]

    def listed(adapter: str, variant: str) -> list[Any]:
        files, problem = attempt(services.adapter_files)
        *updates, told = fitted(adapter, variant)
        names = dict.fromkeys([AUTO, *(path.name for path in files or ())])
        return [gr.update(choices=list(names)), *updates, told or notice(problem, "warning")]

    chosen, outputs = [made["adapter"], made["variant"]], [*(made[name] for name in shown), auto]
    refresh.click(listed, chosen, [made["adapter"], *outputs], **QUICK)
    for component in chosen:
        component.change(fitted, chosen, outputs, **QUICK)


def _presets(prefix: str, services: Services, preset: Any, made: dict[str, Any]) -> None:
    file, numbers = services.presets_file, [made[name] for name in PRESET_FIELDS]

    def applied(name: str) -> list[Any]:
        values = read_presets(file).get(name)
        return [values[field] if values else gr.update() for field in PRESET_FIELDS]

    preset.input(applied, [preset], numbers, **QUICK)
    if file is None:
        return
    name = gr.Textbox(label="Name of the preset", max_lines=1, elem_id=f"{prefix}_preset_name")
    with gr.Row(elem_classes=["faceid-buttons"]):
        save = gr.Button("Save as preset", size="sm", elem_id=f"{prefix}_preset_save")
        delete = gr.Button("Delete preset", size="sm", elem_id=f"{prefix}_preset_delete")
    told = gr.HTML(elem_id=f"{prefix}_preset_message")

    def saved(name: str, *values: float) -> list[Any]:
        done, problem = attempt(save_preset, file, name, dict(zip(PRESET_FIELDS, values, strict=True)))
        return [_offered(done), notice(f"Saved as '{done}'.", "good") if done else notice(problem, "warning")]

    def deleted(name: str) -> list[Any]:
        _, problem = attempt(delete_preset, file, name)
        return [_offered(CUSTOM), notice(problem, "warning") or notice(f"'{name}' is deleted.", "good")]

    def _offered(now: str | None) -> Any:
        offered = gr.update(choices=[CUSTOM, *read_presets(file)])
        return offered if now is None else {**offered, "value": now}

    save.click(saved, [name, *numbers], [preset, told], **QUICK)
    delete.click(deleted, [preset], [preset, told], **QUICK)
