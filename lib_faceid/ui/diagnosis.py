"""The fold "What went wrong": the rows of the map for the last picture, with the buttons *Try this* and *Not it*.

What a button changes in a unit is set here; what it changes in the request (prompt, CFG, steps, seed) is typed into the
host's own components by their ids, which are the WebUI's on every page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from lib_faceid.diagnosis.facts import Facts
from lib_faceid.diagnosis.map import NOTHING_ELSE, Diagnosis, diagnose
from lib_faceid.ui.parts import QUICK, notice, script
from lib_faceid.ui.services import Services, attempt
from lib_faceid.units.aim_request import PLAIN_TEXT
from lib_faceid.units.unit import FIELDS

__all__ = ["SET_JOB", "build_diagnosis", "rows_html"]

SAID_BEFORE = "Of another run of this person it was not it."
OTHERWISE = (
    "The picture at weight 0 was drawn with other settings than this one. Draw a picture with those of the page, look "
    "at it, then compare."
)
LAST_PARAMETERS = """() => {
    const root = typeof gradioApp === "function" ? gradioApp() : document;
    const info = root.querySelector("#generation_info_%(tab)s textarea");
    try {
        const found = JSON.parse(info.value), texts = found.infotexts || [];
        const at = typeof selected_gallery_index === "function" ? selected_gallery_index() : -1;
        const first = found.index_of_first_image || 0;
        return [texts[at >= 0 && at < texts.length ? at : Math.min(first, texts.length - 1)] || ""];
    } catch (error) {
        const own = root.querySelector("#html_info_%(tab)s .faceid-parameters");
        return [own ? own.textContent : ""];
    }
}"""
# Types into the host's components: {"prompt": text, "cfg": number, ...}; and draws, where "generate" is true.
SET_JOB = """(text) => {
    const root = typeof gradioApp === "function" ? gradioApp() : document;
    const ids = {prompt: "prompt textarea", negative: "neg_prompt textarea", cfg: "cfg_scale input[type=number]",
        steps: "steps input[type=number]", seed: "seed input", best_of: "faceid_best_of input[type=number]",
        keep: "faceid_keep input[type=number]", request: "faceid_aim_request textarea"};
    const wanted = JSON.parse(text || "{}");
    const type = (name, value) => {
        const field = ids[name] && root.querySelector(`#%(tab)s_${ids[name]}`);
        if (!field) return;
        const kind = field.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
        Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(field, value);
        for (const event of ["input", "change", "blur"]) field.dispatchEvent(new Event(event, {bubbles: true}));
    };
    for (const [name, value] of Object.entries(wanted)) type(name, value);
    if (wanted.generate) setTimeout(() => {
        root.querySelector("#%(tab)s_generate")?.click();
        if (wanted.request) setTimeout(() => type("request", ""), 100);  // of this job alone
    }, 600);
    return text;
}"""


def build_diagnosis(tab: str, services: Services, units: Sequence[Any], *, by_host: bool = False) -> None:
    """Make the fold where gradio stands right now, and wire it. units: the components of all fields of all units.

    by_host: whether the host's own button can draw the picture at weight 0.
    """
    prefix = f"{tab}_faceid_diagnosis"
    with gr.Accordion("What went wrong", open=False, elem_id=prefix):
        look = gr.Button("Look at the last picture", size="sm", elem_id=f"{prefix}_look")
        shown = gr.HTML(elem_id=f"{prefix}_rows")
        with gr.Row(elem_classes=["faceid-buttons"]):
            try_it = gr.Button("Try this", size="sm", visible=False, elem_id=f"{prefix}_try")
            not_it = gr.Button("Not it", size="sm", visible=False, elem_id=f"{prefix}_not")
            compare = gr.Button("Compare with weight 0", size="sm", visible=False, elem_id=f"{prefix}_compare")
        again = gr.Button("Look again", elem_id=f"{prefix}_again", elem_classes=["faceid-hidden"])
        # Hidden by style, not by gradio: an invisible component takes no value from JavaScript.
        last = gr.Textbox("", label="Last settings", elem_id=f"{prefix}_last", elem_classes=["faceid-hidden"])
        typed = gr.Textbox("", label="Typed", elem_id=f"{prefix}_typed", elem_classes=["faceid-hidden"])
        state = gr.State({})
    outputs = [state, shown, try_it, not_it, compare]
    # The script's answer is what the function is given: a script alone starts nothing after it (gradio 3).
    by_last = script(LAST_PARAMETERS % {"tab": tab})
    look.click(lambda text: _looked(services, text, by_host=by_host), [last], outputs, **by_last, **QUICK)
    not_it.click(lambda found: _next(services, found), [state], outputs, **QUICK)
    try_it.click(lambda found: _tried(services, found, len(units)), [state], [typed, shown, *units], **QUICK).then(
        None, [typed], [typed], **script(SET_JOB % {"tab": tab}), **QUICK
    )
    again.click(lambda found: _again(services, found), [state], outputs, **QUICK)  # by the page's script
    if by_host:
        set_job = script(SET_JOB % {"tab": tab})
        compare.click(_plain_job, [state], [typed], **QUICK).then(None, [typed], [typed], **set_job, **QUICK)
    else:
        compare.click(partial(_compared, services), [state], outputs, show_progress="hidden")


def _looked(services: Services, parameters: str, *, by_host: bool = False, note: str = "") -> list[Any]:
    """Return what is shown of a picture's diagnosis. by_host: see `build_diagnosis`; note: a line below it."""
    if not parameters.strip():
        return _shown({}, notice("There is no picture yet. Draw one first.", "warning"))
    facts, problem = attempt(services.facts_of, parameters)
    if facts is None:
        return _shown({}, notice(problem, "error"))
    found, run, problem = _diagnosed(services, parameters, facts)
    rows = [one.as_dict() for one in found.findings]
    is_alone = facts.look is not None and facts.plain_look is None
    state = {
        "rows": rows, "at": 0, "seed": facts.seed, "unseen": [*found.unseen, problem, note], "run": run,
        "parameters": parameters, "compares": is_alone and (by_host or services.draw_plain is not None),
    }  # fmt: skip
    return _state(state, found)


def _again(services: Services, state: Mapping[str, Any]) -> list[Any]:
    """Return the diagnosis of the same picture, after the host drew one at weight 0."""
    found = _looked(services, state.get("parameters", ""), by_host=True)
    return _looked(services, state["parameters"], by_host=True, note=OTHERWISE) if found[0].get("compares") else found


def _compared(services: Services, state: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Draw the picture at weight 0, and give what is shown meanwhile and then."""
    yield _shown(state, notice("Drawing the same picture at weight 0…"))
    parameters, draw = state.get("parameters", ""), services.draw_plain
    problem = attempt(draw, parameters)[1] if draw else ""
    yield _looked(services, parameters, note=problem)


def _plain_job(state: Mapping[str, Any]) -> str:
    """Return as JSON what is typed into the request so that the host's own button draws it at weight 0."""
    seed = {} if state.get("seed") is None else {"seed": state["seed"]}
    return json.dumps({**seed, "request": PLAIN_TEXT, "generate": True})


def _diagnosed(services: Services, parameters: str, facts: Facts) -> tuple[Diagnosis, str, str]:
    """Return the diagnosis, the run with which it is kept in the journal, if any, and why it could not be kept."""
    journal, problem = attempt(services.journal)
    if journal is not None:
        from lib_faceid.diagnosis.kept import diagnose_picture  # sqlite: only where runs are written down

        kept, problem = attempt(diagnose_picture, journal, parameters, facts)
        if kept is not None:
            return kept[0], kept[1].id if kept[1] else "", ""
    return diagnose(facts), "", problem


def _keep(services: Services, state: Mapping[str, Any], what: str) -> str:
    """Write into the journal that a row is "not_it", or is tried; return why that could not be done."""
    rows, at = state.get("rows", []), state.get("at", 0)
    journal, problem = attempt(services.journal) if state.get("run") and at < len(rows) else (None, "")
    if journal is None:
        return problem
    from lib_faceid.diagnosis.kept import say_not_it, try_change

    row = rows[at]["id"]
    if what == "not_it":
        return attempt(say_not_it, journal, state["run"], row)[1]
    return attempt(try_change, journal, state["run"], {**rows[at]["change"], "seed": state.get("seed")}, row)[1]


def _state(state: Mapping[str, Any], found: Diagnosis | None = None) -> list[Any]:
    rows, at = state.get("rows", []), state.get("at", 0)
    if not rows:
        words = found.words if found else NOTHING_ELSE
        return _shown(state, notice(words, "good") + _unseen(state))
    if at >= len(rows):
        return _shown(state, notice(NOTHING_ELSE) + _unseen(state))
    return _shown(state, rows_html(rows, at) + _unseen(state), rows[at])


def _shown(state: Mapping[str, Any], html: str, row: Mapping[str, Any] | None = None) -> list[Any]:
    """Return state, HTML and the three buttons; the first only where a button can make the change."""
    can_try = row is not None and row["change"]["value"] is not None
    is_seen = (can_try, row is not None, bool(state.get("compares")))
    return [dict(state), html, *(gr.update(visible=one) for one in is_seen)]


def _next(services: Services, state: Mapping[str, Any]) -> list[Any]:
    """Return what is shown when the user says that the row is not it: the next one. The journal keeps what was said."""
    problem = _keep(services, state, "not_it")
    return _state({**state, "at": state.get("at", 0) + 1, "unseen": [*state.get("unseen", ()), problem]})


def _tried(services: Services, state: Mapping[str, Any], count: int) -> list[Any]:
    """Return what is typed into the request as JSON, what is shown, and an update for each component of the units.

    One field is changed, and the seed kept: nothing else is tried, unless that is the change.
    """
    rows, at = state.get("rows", []), state.get("at", 0)
    updates: list[Any] = [gr.update()] * count
    if at >= len(rows):
        return ["{}", gr.update(), *updates]
    problem = _keep(services, state, "tried")
    change, request = rows[at]["change"], {"generate": True, "best_of": 1, "keep": 1}
    if state.get("seed") is not None:
        request["seed"] = state["seed"]
    if change["target"] == "job":
        request[change["field"]] = change["value"]
    elif change["target"] == "unit" and (place := _place(change)) is not None and place < count:
        updates[place] = gr.update(value=change["value"])
    shown = gr.update(value=rows_html(rows, at) + notice(problem, "warning")) if problem else gr.update()
    return [json.dumps(request), shown, *updates]


def _place(change: Mapping[str, Any]) -> int | None:
    """Return which of the units' components a change means; None for a unit that the prompt calls."""
    number = change["unit"]
    return number * len(FIELDS) + list(FIELDS).index(change["field"]) if isinstance(number, int) else None


def rows_html(rows: Sequence[Mapping[str, Any]], at: int) -> str:
    """Return the row that is looked at in full, and what else there is in a line each."""
    one = rows[at]
    lines = (
        ("Seen", one["seen"]), ("Likely cause", one["cause"]), ("Found", one["evidence"]),
        ("Try", one["change"]["words"]), ("Rule for later", one["rule"]),
        *((("Said before", SAID_BEFORE),) if one.get("was_refused") else ()),
    )  # fmt: skip
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in lines)
    rest = "".join(f"<li>{escape(row['seen'])}: {escape(row['cause'])}</li>" for row in rows[at + 1 :])
    more = f"<p>Less likely:</p><ul>{rest}</ul>" if rest else ""
    return f'<div class="faceid-diagnosis"><dl>{entries}</dl>{more}</div>'


def _unseen(state: Mapping[str, Any]) -> str:
    run = state.get("run", "")
    lines = [*state.get("unseen", ()), f"Kept in the journal with {run}." if run else ""]
    return "".join(f"<p>{escape(line)}</p>" for line in lines if line)
