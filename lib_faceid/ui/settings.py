"""How the person is drawn: the right side of a unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from lib_faceid.methods.method import Variant
from lib_faceid.methods.registry import methods_for, variants
from lib_faceid.ui.dropped import drop_zone
from lib_faceid.ui.layer_weights import build_layer_weights
from lib_faceid.ui.parts import QUICK, choice, labels, notice, slider
from lib_faceid.ui.photos import encoded
from lib_faceid.ui.region import build_region
from lib_faceid.ui.services import Services, attempt
from lib_faceid.units.presets import PRESET_FIELDS, delete_preset, read_presets, save_preset
from lib_faceid.units.unit import AUTO, FIELDS, PICTURES, Purpose

__all__ = ["build_settings", "used_by", "variant_choices"]

CUSTOM = ""


def build_settings(prefix: str, services: Services) -> dict[str, Any]:
    """Return the components by field, made where gradio stands right now; and others that the purpose decides."""
    preset = gr.Dropdown(
        [CUSTOM, *read_presets(services.presets_file)], value=CUSTOM, label="Preset",
        info="Sets weight, structure, LoRA, start and end at once.", elem_id=f"{prefix}_preset",
    )  # fmt: skip
    with gr.Row(elem_classes=["faceid-joined"]):
        adapter = gr.Dropdown([AUTO], value=AUTO, allow_custom_value=True, **labels("adapter", prefix))
        refresh = gr.Button("\U0001f504", elem_id=f"{prefix}_refresh", elem_classes=["tool"])
    auto = gr.HTML(elem_id=f"{prefix}_auto")
    made: dict[str, Any] = {"preset": preset, "adapter": adapter, "refresh": refresh, "auto": auto}
    for name in PRESET_FIELDS:
        made[name] = slider(name, prefix)
    with gr.Accordion("Region", open=False, elem_id=f"{prefix}_region_panel"):
        made |= build_region(prefix)
    with gr.Accordion("Advanced", open=False, elem_id=f"{prefix}_advanced"):
        made["variant"] = gr.Dropdown(variant_choices("person"), value=AUTO, **labels("variant", prefix))
        made["fade"] = slider("fade", prefix)
        made["clip_crop"], made["image_crop"] = choice("clip_crop", prefix), choice("image_crop", prefix, visible=False)
        made["detail"], made["hires"] = slider("detail", prefix, visible=False), choice("hires", prefix)
        made |= build_layer_weights(prefix)
        made["batch"], made["noise"] = choice("batch", prefix), slider("noise", prefix)
        made["negative_images"] = _negative_image(prefix)
        made["adetailer"], made["adetailer_weight"] = choice("adetailer", prefix), slider("adetailer_weight", prefix)
        made |= _net(prefix)
        with gr.Column(elem_id=f"{prefix}_preset_panel") as made["preset_panel"]:
            _presets(prefix, services, preset, made)
    return made


def _net(prefix: str) -> dict[str, Any]:
    """Return what a variant's ControlNet is set by, and the panel around it."""
    with gr.Column(visible=False, elem_id=f"{prefix}_net_panel") as panel:
        sliders = {name: slider(name, prefix) for name in ("net_weight", "net_start", "net_end")}
        keypoints = choice("keypoints", prefix)
        pose = _one_photo("pose", prefix, lambda text: text or None)
    return {**sliders, "keypoints": keypoints, "pose": pose, "net_panel": panel}


def _negative_image(prefix: str) -> Any:
    """Return the state that holds the photo of somebody to lead away from."""
    return _one_photo("negative_images", prefix, lambda text: [{"image": text}] if text else [])


def _one_photo(name: str, prefix: str, value: Callable[[str], Any]) -> Any:
    """Return the state of a field that one dropped photo fills. value: gives what it holds of it."""
    held = gr.State(value(""))
    elem_id = f"{prefix}_{name.removesuffix('_images')}"
    settings = {"label": FIELDS[name].label, "elem_id": f"{elem_id}_image", "height": 120}
    picture, message = drop_zone(**settings), gr.HTML(elem_id=f"{elem_id}_message")

    def came(photo: Any) -> list[Any]:
        text, problem = attempt(encoded, photo) if photo else (None, "")
        return [value(text or ""), notice(problem, "warning")]

    picture.change(came, [picture], [held, message], **QUICK)
    held.elem_id = f"{prefix}_{name}"
    return held


def variant_choices(purpose: Purpose) -> list[str]:
    """Return what the variant's list offers."""
    return [AUTO, *(one.id for method in methods_for(purpose) for one in method.variants)]


def used_by(variant: Variant | None, purpose: Purpose = "person") -> dict[str, bool]:
    """Return field -> whether the variant uses it, for the fields that not all do; pictures go with the others.

    An unknown variant may use all that those of its purpose do.
    """
    every = frozenset[str]().union(*(one.settings for one in variants())) - set(PICTURES)
    of_purpose = (one.settings for method in methods_for(purpose) for one in method.variants)
    used = variant.settings if variant else frozenset[str]().union(*of_purpose)
    return {name: name in used for name in sorted(every)}


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
    message = gr.HTML(elem_id=f"{prefix}_preset_message")

    def saved(name: str, *values: float) -> list[Any]:
        done, problem = attempt(save_preset, file, name, dict(zip(PRESET_FIELDS, values, strict=True)))
        return [_offered(done), notice(f"Saved as '{done}'.", "good") if done else notice(problem, "warning")]

    def deleted(name: str) -> list[Any]:
        _, problem = attempt(delete_preset, file, name)
        return [_offered(CUSTOM), notice(problem, "warning") or notice(f"'{name}' is deleted.", "good")]

    def _offered(now: str | None) -> Any:
        offered = gr.update(choices=[CUSTOM, *read_presets(file)])
        return offered if now is None else {**offered, "value": now}

    save.click(saved, [name, *numbers], [preset, message], **QUICK)
    delete.click(deleted, [preset], [preset, message], **QUICK)
