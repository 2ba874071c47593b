"""The panel "Check setup": what is here, what is missing, and a download once its licence is accepted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from lib_faceid.bases.base_model import BASE_LABELS
from lib_faceid.inventory.check import Row, SetupReport
from lib_faceid.models.catalogue import Entry, entry
from lib_faceid.ui.parts import QUICK, notice, script
from lib_faceid.ui.services import Services, attempt

__all__ = ["build_setup", "download_steps", "licence_text", "missing", "table"]

COPY = """(text) => {
    const area = document.querySelector("#%s textarea");
    const byHand = () => { area?.select(); document.execCommand("copy"); };
    navigator.clipboard ? navigator.clipboard.writeText(text).catch(byHand) : byHand();
    return text;
}"""
NOTHING = ""
SAY_SECONDS = 0.4


def build_setup(prefix: str, services: Services) -> None:
    """Make the panel where gradio stands right now, and wire it."""
    with gr.Accordion("Check setup", open=False, elem_id=prefix):
        report = gr.HTML(elem_id=f"{prefix}_table")
        with gr.Row(elem_classes=["faceid-buttons"]):
            check = gr.Button("Check now", size="sm", elem_id=f"{prefix}_check")
            copy = gr.Button("Copy diagnostics", size="sm", elem_id=f"{prefix}_copy")
        text = gr.Textbox(
            label="Diagnostics: versions, files and hashes; nothing about any person", visible=False, lines=6,
            max_lines=12, show_copy_button=True, interactive=False, elem_id=f"{prefix}_diagnostics",
        )  # fmt: skip
        with gr.Column(visible=False, elem_id=f"{prefix}_get") as get:
            model = gr.Dropdown(
                [NOTHING], value=NOTHING, label="Get a missing model", elem_id=f"{prefix}_model",
                info="Nothing is ever downloaded by itself.",
            )  # fmt: skip
            licence = gr.HTML(elem_id=f"{prefix}_licence")
            accepted = gr.Checkbox(False, label="I accept this licence", visible=False, elem_id=f"{prefix}_accept")
            with gr.Row(elem_classes=["faceid-buttons"]):
                start = gr.Button("Download", size="sm", visible=False, elem_id=f"{prefix}_download")
                stop = gr.Button("Stop", size="sm", visible=False, elem_id=f"{prefix}_stop")
        progress = gr.HTML(elem_id=f"{prefix}_progress")
    offer = [licence, accepted, start]
    _wire_check(services, check, [report, model, get, *offer])
    _wire_download(services, model, accepted, start, stop, [*offer, progress, stop])
    copy.click(lambda: _diagnosed(services), None, [text], queue=False).then(
        None, [text], [text], **script(COPY % f"{prefix}_diagnostics")
    )


def _diagnosed(services: Services) -> Any:
    text, problem = attempt(services.diagnostics)
    return gr.update(value=text or problem, visible=True)


def _wire_check(services: Services, check: Any, outputs: list[Any]) -> None:
    def checked() -> list[Any]:
        report, problem = attempt(services.setup)
        if report is None:
            return [notice(problem, "error"), *[gr.update()] * (len(outputs) - 1)]
        ids = [one.id for one in missing(report)]
        nothing = [gr.update(value=""), gr.update(visible=False), gr.update(visible=False)]
        return [
            table(report), gr.update(choices=[NOTHING, *ids], value=NOTHING), gr.update(visible=bool(ids)), *nothing
        ]  # fmt: skip

    check.click(checked, None, outputs, queue=False)


def _wire_download(services: Services, model: Any, accepted: Any, start: Any, stop: Any, outputs: list[Any]) -> None:
    stopped: dict[str, threading.Event] = {}

    def offered(name: str) -> list[Any]:
        is_known = bool(name)
        return [
            licence_text(entry(name)) if is_known else "",
            gr.update(value=False, visible=is_known),
            gr.update(visible=is_known),
            "",
            gr.update(visible=False),
        ]

    def downloaded(name: str, is_accepted: bool) -> Iterator[list[Any]]:
        stays: list[Any] = [gr.update()] * 3
        if not (name and is_accepted):
            yield [*stays, notice("Read the licence and accept it first.", "warning"), gr.update(visible=False)]
            return
        stopped[name] = threading.Event()
        for html, is_done in download_steps(services, name, stopped[name]):
            yield [*stays, html, gr.update(visible=not is_done)]

    model.change(offered, [model], outputs, **QUICK)
    start.click(downloaded, [model, accepted], outputs, show_progress="hidden")
    stop.click(lambda name: stopped[name].set() if name in stopped else None, [model], None, **QUICK)


def download_steps(services: Services, name: str, stop: threading.Event) -> Iterator[tuple[str, bool]]:
    """Give HTML that shows how far a download is, again and again, with whether it is over."""
    progress: queue.Queue[tuple[int, int | None]] = queue.Queue()
    result: list[str] = []

    def run() -> None:
        services.accept_licence(name)
        result.append(services.download(name, lambda done, total: progress.put((done, total)), stop.is_set))

    problem: list[str] = []
    thread = threading.Thread(target=lambda: problem.append(attempt(run)[1]), daemon=True)
    thread.start()
    yield notice(f"{name}: connecting…"), False
    while thread.is_alive():
        thread.join(SAY_SECONDS)
        while progress.qsize() > 1:
            progress.get()
        if progress.qsize() and thread.is_alive():
            yield _bar(name, *progress.get()), False
    done = notice(result[0], "good") if result else notice(problem[0], "error")
    yield done, True


def _bar(name: str, done: int, total: int | None) -> str:
    size = f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total else f"{done / 1e6:,.0f} MB"
    value = f' value="{done}" max="{total}"' if total else ""
    return f'<label class="faceid-bar">{escape(name)}: {size}<progress{value}></progress></label>'


def missing(report: SetupReport) -> list[Entry]:
    """Return the models that can be had, each once."""
    lacking = {row.entry.id: row.entry for row in report.rows if row.status != "found" and row.entry}
    return list(lacking.values())


def licence_text(one: Entry) -> str:
    """Return what a user should know before saying yes, as HTML."""
    link = f'<a href="{escape(one.licence.url)}" target="_blank" rel="noopener">{escape(one.licence.name)}</a>'
    lines = [
        f"<strong>{escape(one.label)}</strong>: {escape(one.purpose)}",
        f"{one.size} from <code>{escape(one.url)}</code>",
        f"SHA-256 <code>{one.sha256 or 'as the server says, none is published'}</code>",
        f"Licence: {link}. {escape(one.licence.sentence)}",
    ]
    return f'<div class="faceid-licence">{"<br>".join(lines)}</div>'


def table(report: SetupReport) -> str:
    """Return the report as an HTML table, with what Auto means and what is wrong above it."""
    what = {"person": "people", "image": "images"}
    autos = [
        f"Auto for {what[one.purpose]}, {BASE_LABELS[one.family]}: "
        f"{one.adapter.name if one.adapter else 'nothing yet'}. {one.note}".strip()
        for one in report.auto
    ]
    notices = [
        _readiness(report) if report.is_ready
        else notice("People cannot be drawn yet: something is missing; see below.", "warning"),
        notice("Ready: an image can be a prompt.", "good") if report.is_ready_for_images
        else notice("Images cannot be prompts yet: that needs an adapter for images and its encoder.", "info"),
        *(notice(one, "error") for one in report.problems),
        *(notice(one, "warning") for one in report.warnings),
    ]  # fmt: skip
    rows = "".join(_group(heading, rows) for heading, rows in report.groups.items())
    head = "<tr><th scope='col'>Model</th><th scope='col'>State</th><th scope='col'>Where</th></tr>"
    lines = "".join(f"<p>{escape(one)}</p>" for one in autos)
    body = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f"{''.join(notices)}{lines}<div class='faceid-table'>{body}</div>"


def _readiness(report: SetupReport) -> str:
    """Return that a person can be drawn, or that nobody will be alike: the face row's note is all about that."""
    if any(row.note for row in report.rows if row.kind == "face_models" and row.status == "found"):
        return notice("A person can be drawn, but not alike: see what stands beside the face models.", "warning")
    return notice("Ready: a person can be drawn.", "good")


def _group(heading: str, rows: Sequence[Row]) -> str:
    head = f'<tr><th colspan="3" scope="rowgroup" class="faceid-group">{heading}</th></tr>'
    return head + "".join(map(_row, rows))


def _row(row: Row) -> str:
    tone = {"found": "good", "missing": "warning"}.get(row.status, "error")
    paths = "".join(f"<code>{escape(str(path))}</code>" for path in row.paths)
    lora = f"<small>LoRA: {escape(row.lora)}</small>" if row.lora else ""
    where = paths or (f"<small>goes to</small><code>{escape(str(row.place))}</code>" if row.place else "")
    size = row.entry.size if row.entry and row.size_bytes is None else ""
    note = f"<small>{escape(row.note)}</small>" if row.note else ""
    return (
        f'<tr><th scope="row">{escape(row.label)}{lora}</th>'
        f'<td><span class="faceid-verdict faceid-{tone}">{row.status}</span><small>{escape(size)}</small></td>'
        f"<td>{where}{note}</td></tr>"
    )
