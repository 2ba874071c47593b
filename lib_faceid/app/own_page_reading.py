"""A picture's settings back into our own page: from its metadata as text, or from its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from lib_faceid.app.parameters import SAMPLER, parameters_from
from lib_faceid.diagnosis.picture import parameters_in
from lib_faceid.errors import FileError
from lib_faceid.ui.parts import QUICK, notice
from lib_faceid.ui.paste import InfotextField
from lib_faceid.ui.services import attempt
from lib_faceid.units.control import control_key

__all__ = ["build_reading", "parameters_of", "wire_reading"]


CONTROLLED = "It followed a picture by a ControlNet, which is not in its settings: give that picture again."


def build_reading() -> list[Any]:
    """Return the components, made where gradio stands right now: text, button, file, what is said."""
    with gr.Accordion("Settings of a picture", open=False, elem_id="faceid_reading"):
        text = gr.Textbox(
            "", label="Metadata", info="What stands below a picture, or a PNG's metadata.", lines=3, max_lines=8,
            elem_id="faceid_metadata",
        )  # fmt: skip
        with gr.Row(elem_classes=["faceid-buttons"]):
            button = gr.Button("Use these settings", size="sm", elem_id="paste")
            file = gr.UploadButton("Open a picture…", file_types=[".png"], size="sm", elem_id="faceid_open")
        message = gr.HTML(elem_id="faceid_reading_message")
    return [text, button, file, message]


def wire_reading(
    parts: Sequence[Any],
    asked: Sequence[Any],
    units: Sequence[InfotextField],
    checkpoints: Callable[[], Iterable[str]],
    more: Sequence[tuple[Any, Any]] = (),
) -> None:
    """Let a picture's settings fill in the components of the request, and those of the units as the WebUI does.

    more: other buttons that do the same, each with the text that it reads.
    """
    text, button, file, message = parts
    fields = [*_own_fields(asked, checkpoints), *units]

    def read(metadata: str) -> list[Any]:
        params = parameters_from(metadata)
        values = [value(params) for _, value in fields]
        return [
            *(gr.update() if value is None else gr.update(value=value) for value in values),
            _note(params, checkpoints()),
        ]

    def opened(source: Any) -> list[Any]:
        found, problem = attempt(parameters_of, source)
        return [found or "", notice(problem, "warning")]

    outputs = [*(component for component, _ in fields), message]
    for pressed, source in ((button, text), *more):
        pressed.click(read, [source], outputs, **QUICK)
    file.upload(opened, [file], [text, message], **QUICK).then(read, [text], outputs, **QUICK)


def parameters_of(source: Any) -> str:
    """Return the settings in a picture's file: a path, or an open file with a name. Raises FileError without any."""
    path = Path(source if isinstance(source, (str, Path)) else source.name)
    try:
        with Image.open(path) as image:
            return parameters_in(image, path.name)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise FileError(f"{path.name} is no picture that can be read ({error}).") from error


def _own_fields(components: Sequence[Any], checkpoints: Callable[[], Iterable[str]]) -> list[InfotextField]:
    """Return what fills in the components of the request, in the order in which the page makes them."""
    read: list[Callable[[Mapping[str, Any]], Any]] = [
        lambda params: params.get("Prompt"),
        lambda params: params.get("Negative prompt"),
        lambda params: params.get("Model") if params.get("Model") in set(checkpoints()) else None,
        lambda params: _number(params.get("Size", "").partition("x")[0]),
        lambda params: _number(params.get("Size", "").partition("x")[2]),
        lambda params: _number(params.get("Steps")),
        lambda params: _number(params.get("CFG scale")),
        lambda params: _number(params.get("Seed")),
        lambda params: 1 if params else None,
    ]
    return list(zip(components, read, strict=True))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if value.is_integer() else value


def _note(params: Mapping[str, str], checkpoints: Iterable[str]) -> str:
    """Return what cannot be the same as in the picture, in HTML."""
    if not params:
        return notice("There are no settings in this. Paste what stands below a picture.", "warning")
    model, sampler = params.get("Model"), params.get("Sampler", SAMPLER)
    notes = []
    if model and model not in set(checkpoints):
        notes.append(f"The checkpoint '{model}' is not here: put it into models/Stable-diffusion, or take another.")
    if any(name.startswith(control_key()) for name in params):
        notes.append(CONTROLLED)
    if sampler != SAMPLER:
        notes.append(f"This page samples with {SAMPLER}, and the picture was drawn with {sampler}.")
    return notice(" ".join(notes), "warning")
