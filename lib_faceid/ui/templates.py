"""The fold "Prompt template": a form of blocks that fills the prompt, and a team's own templates."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from lib_faceid.diagnosis.prompt_blocks import BLOCKS
from lib_faceid.diagnosis.templates import Template, read_templates, save_template
from lib_faceid.ui.diagnosis import SET_JOB
from lib_faceid.ui.parts import QUICK, notice, script
from lib_faceid.ui.services import Services, attempt

__all__ = ["build_templates"]

LABELS = {
    "subject": "Subject",
    "expression": "Expression and gaze",
    "camera": "Camera",
    "light": "Light",
    "background": "Background",
    "style": "Style",
}


def build_templates(tab: str, services: Services) -> None:
    """Make the fold where gradio stands right now, and wire it."""
    prefix = f"{tab}_faceid_template"
    ours, _ = read_templates()
    with gr.Accordion("Prompt template", open=False, elem_id=prefix):
        chosen = gr.Dropdown(["", *ours], value="", label="Template", elem_id=f"{prefix}_name")
        blocks = [gr.Textbox("", label=LABELS[block], elem_id=f"{prefix}_{block}") for block in BLOCKS]
        negative = gr.Textbox("", label="Negative prompt", elem_id=f"{prefix}_negative")
        with gr.Row(elem_classes=["faceid-buttons"]):
            fill = gr.Button("Fill the prompt", size="sm", variant="primary", elem_id=f"{prefix}_fill")
            read = gr.Button("Read templates again", size="sm", elem_id=f"{prefix}_read")
        with gr.Row(elem_classes=["faceid-buttons"]):
            name = gr.Textbox("", label="Save for the team as", elem_id=f"{prefix}_save_as")
            save = gr.Button("Save template", size="sm", elem_id=f"{prefix}_save")
        message = gr.HTML(elem_id=f"{prefix}_message")
        typed = gr.Textbox("", label="Typed", elem_id=f"{prefix}_typed", elem_classes=["faceid-hidden"])
    form = [*blocks, negative]
    chosen.change(lambda one: _blocks_of(services, one), [chosen], form, **QUICK)
    read.click(lambda: _read(services), None, [chosen, message], **QUICK)
    save.click(lambda *values: _save(services, *values), [name, *form], [chosen, message], **QUICK)
    fill.click(_filled, form, [typed], **QUICK).then(None, [typed], [typed], **script(SET_JOB % {"tab": tab}), **QUICK)


def _blocks_of(services: Services, name: str) -> list[Any]:
    """Return the form's values for a template; the form as it is where there is none of that name."""
    found = read_templates(services.templates_folder)[0].get(name or "")
    if found is None:
        return [gr.update()] * (len(BLOCKS) + 1)
    return [*(found.blocks.get(block, "") for block in BLOCKS), found.negative]


def _filled(*values: str) -> str:
    """Return what is typed into the request, as JSON: an empty negative prompt of the form leaves the page's."""
    template = _template("form", values)
    request = {"prompt": template.prompt} | ({"negative": template.negative} if template.negative else {})
    return json.dumps(request)


def _template(name: str, values: tuple[str, ...]) -> Template:
    *blocks, negative = (value or "" for value in values)
    return Template(name, dict(zip(BLOCKS, blocks, strict=True)), negative)


def _read(services: Services) -> list[Any]:
    found, problems = read_templates(services.templates_folder)
    return [gr.update(choices=["", *found]), notice(" ".join(problems), "warning")]


def _save(services: Services, name: str, *values: str) -> list[Any]:
    if services.templates_folder is None:
        return [gr.update(), notice("No templates can be saved here.", "warning")]
    path, problem = attempt(save_template, services.templates_folder, _template(name or "", values))
    if path is None:
        return [gr.update(), notice(problem, "error")]
    choices, message = _read(services)
    return [choices, message or notice(f"Saved as {path.name}.", "good")]
