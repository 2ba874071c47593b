"""The column of results on our own page: the buttons, the pictures, and what is said of them."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr
from PIL import Image

from lib_faceid.app.live import Moment
from lib_faceid.app.own_page_scores import scores_html
from lib_faceid.app.picture_files import KeptPictures
from lib_faceid.jobs.job import Job
from lib_faceid.ui.parts import KEEPS_METADATA, data_url, notice
from lib_faceid.ui.services import problem
from lib_faceid.units.infotext import infotext_key

__all__ = ["applied_html", "build_results", "gallery_update", "state_html"]

TAB = "txt2img"
COLUMNS = {1: 1, 2: 2, 3: 2, 4: 2, 5: 3, 6: 3}
MORE_COLUMNS = 4


def build_results() -> tuple[list[Any], Any]:
    """Return what shows what is drawn: button, stop, state, gallery, sort, texts; and what the next will lack."""
    with gr.Row(elem_classes=["faceid-buttons"]):
        generate = gr.Button("Generate", variant="primary", elem_id=f"{TAB}_generate")
        stop = gr.Button("Stop", interactive=False, elem_id=f"{TAB}_interrupt")
    lacks = gr.HTML(elem_id="faceid_hint")  # not in the state, which two events at once would overwrite in turn
    with gr.Column(elem_id="faceid_stage"):
        state = gr.HTML(elem_id="faceid_state")
        gallery = gr.Gallery(
            label="Pictures", show_label=False, columns=1, object_fit="contain", allow_preview=False,
            elem_id=f"{TAB}_gallery", **KEEPS_METADATA,
        )  # fmt: skip
    sort = gr.Button("Sort by likeness", size="sm", visible=False, elem_id="faceid_sort")
    texts = gr.HTML(elem_id=f"html_info_{TAB}")
    return [generate, stop, state, gallery, sort, texts], lacks


def state_html(moment: Moment) -> str:
    """Return how far a job is, in HTML: the picture so far and a bar, or what came of it."""
    finished = len(moment.generated)
    text = f"{moment.what}, step {moment.step} of {moment.steps}" if moment.step else moment.what
    kept = f"{finished} finished picture{'s are' if finished != 1 else ' is'} kept."
    if moment.is_stopped:
        return notice(f"Stopped: {text}. {kept}", "warning")
    if moment.error:
        return notice(problem(moment.error), "error")
    if moment.is_over:
        return ""
    picture = f'<img src="{data_url(moment.so_far)}" alt="The picture so far">' if moment.so_far else ""
    bar = f'<progress value="{moment.step}" max="{moment.steps}"></progress>'
    first = "" if finished else " faceid-first"
    return f'<div class="faceid-live{first}">{picture}<label class="faceid-bar">{escape(text)}{bar}</label></div>'


def gallery_update(moment: Moment, expected: int = 1) -> Any:
    """Return the pictures that are finished, each with its settings, which a copy on the disk then has too.

    expected: how many there will be at least: they keep their columns while more come.
    """
    images: list[Image.Image] = []
    for one in moment.generated:
        image = one.image.copy()
        image.info.update(one.metadata)
        images.append(image)
    return gr.update(value=images, columns=COLUMNS.get(max(len(images), expected), MORE_COLUMNS))


def applied_html(job: Job, moment: Moment, kept: KeptPictures) -> str:
    """Return where the pictures are kept, what was applied, and what was assumed, in HTML."""
    if not moment.generated:
        return ""
    generated = moment.generated[-1]
    steps = generated.request.steps
    applied = [*job.report(lambda one: one.plan(steps)), *job.report_controls(steps, generated.image.size)]
    notes = [f"{infotext_key(one.number)}: {note}" for one in job.prepared for note in one.notes]
    notes += [note for one in moment.generated for note in one.notes]
    searched = list(dict.fromkeys(one.search.sentence(one.seeds) for one in moment.generated if one.search))
    lines = "".join(f"<li>{escape(line)}</li>" for line in searched + applied + notes) or "<li>No unit is on.</li>"
    metadata = f'<pre class="faceid-parameters">{escape(generated.parameters)}</pre>'
    where = notice(kept.words, "warning" if kept.problem else "info")
    return f'{where}<ul class="faceid-applied">{lines}</ul>{metadata}{scores_html(TAB, moment.generated)}'
