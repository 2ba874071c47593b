"""The panel "Which one?": what each adapter is good for, whether it is here, and what was measured with it here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import gradio as gr

from lib_faceid.inventory.measured import Measurement
from lib_faceid.inventory.which import FIGURES, Choice, Choices, which_one
from lib_faceid.ui.parts import notice
from lib_faceid.ui.services import Services, attempt

__all__ = ["build_which", "which_html"]

COMMAND = "python -m lib_faceid evaluate --people people --prompts prompts.txt --adapters all --checkpoint FILE"
NOT_MEASURED = (
    "Nothing was measured here yet. This draws your people with all of them, side by side, and fills in the table:"
)


def build_which(prefix: str, services: Services) -> None:
    """Make the panel where gradio stands right now, and wire it."""
    with gr.Accordion("Which one?", open=False, elem_id=prefix):
        shown = gr.HTML(elem_id=f"{prefix}_table")
        fill = gr.Button("Look again", size="sm", elem_id=f"{prefix}_fill")
    fill.click(lambda: _filled(services), None, [shown], queue=False)


def _filled(services: Services) -> str:
    report, problem = attempt(services.setup)
    if report is None:
        return notice(problem, "error")
    kept, _ = attempt(services.measured)
    here = {path.name for row in report.rows for path in row.paths}
    here |= {path.stem for row in report.rows for path in row.paths}
    measurement = next((one for one in kept or [] if here & set(one.figures)), None)
    return which_html(which_one(report, measurement), measurement)


def which_html(found: Sequence[Choices], measurement: Measurement | None) -> str:
    """Return the table: a heading for each method with what it is good for, a row for each adapter."""
    if not found:
        return notice("There is no adapter for the loaded checkpoint's family.", "warning")
    names = [name for name in FIGURES if any(name in one.figures for group in found for one in group.choices)]
    heads = "".join(f'<th scope="col" title="{escape(FIGURES[one][1])}">{FIGURES[one][0]}</th>' for one in names)
    body = "".join(_group(one, names) for one in found)
    head = f'<tr><th scope="col">Adapter</th><th scope="col">Here</th>{heads}</tr>'
    table = f'<div class="faceid-table"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'
    return table + _about(measurement, names)


def _group(group: Choices, names: Sequence[str]) -> str:
    method = group.method
    source = f"<small>{escape(method.source)}</small>" if method.source else ""
    head = f"{escape(method.label)}<small>{escape(method.summary)}</small>{source}"
    rows = "".join(_row(one, names) for one in group.choices)
    return f'<tr><th colspan="{2 + len(names)}" scope="rowgroup" class="faceid-group">{head}</th></tr>{rows}'


def _row(one: Choice, names: Sequence[str]) -> str:
    state, tone = (one.lacks, "warning") if one.lacks else ("Auto takes it" if one.is_auto else "ready", "good")
    file = f"<code>{escape(one.file)}</code>" if one.file else ""
    figures = "".join(f"<td>{_figure(one, name)}</td>" for name in names)
    verdict = f'<span class="faceid-verdict faceid-{tone}">{escape(state)}</span>'
    return f'<tr><th scope="row">{escape(one.label)}{file}</th><td>{verdict}</td>{figures}</tr>'


def _figure(one: Choice, name: str) -> str:
    heading, _, digits = FIGURES[name]
    value = one.figures.get(name)
    return "" if value is None else f"{value:{digits}}<small class='faceid-narrow'>{heading}</small>"


def _about(measurement: Measurement | None, names: Sequence[str]) -> str:
    if measurement is None:
        return f"<p>{NOT_MEASURED}</p><p><code>{escape(COMMAND)}</code></p>"
    meanings = "; ".join(f"{FIGURES[name][0]}: {FIGURES[name][1]}" for name in names)
    return f"<p>{escape(f'Measured with {measurement.checkpoint}: {measurement.about}.')}</p><p>{escape(meanings)}.</p>"
