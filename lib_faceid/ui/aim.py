"""The fold "Aim for a likeness" of every page: what is aimed for, the curve that was found, and a button to take it.

Our own page draws the pictures of the search by itself. In the WebUI they are one job of the user's own settings: the
button presses *Generate* with what is aimed for as the last of the script's values, and the job's answer has the curve.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from lib_faceid.likeness.aim import TOLERANCE, Aim
from lib_faceid.ui.parts import QUICK, notice, script
from lib_faceid.ui.services import attempt
from lib_faceid.units.aim_request import AIMED_FIELDS
from lib_faceid.units.unit import FIELDS

__all__ = ["AimParts", "aim_html", "build_aim", "found_updates", "wire_host_aim", "wire_taking"]

WIDTH_PX, HEIGHT_PX, EDGE_PX = 320, 140, 24
# Presses Generate with what is aimed for in the script's last value, and empties that again.
START = """async (aim, by, unit) => {
    const root = typeof gradioApp === "function" ? gradioApp() : document;
    const field = root.querySelector("#%(tab)s_faceid_aim_request textarea");
    const wait = (ms) => new Promise((done) => setTimeout(done, ms));
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(
        field, JSON.stringify({aim, by, unit: unit ?? 0}));
    field.dispatchEvent(new Event("input", {bubbles: true}));
    await wait(600);
    root.querySelector("#%(tab)s_generate").click();
    await wait(100);
    return "";
}"""
LAST_AIM = """() => {
    const root = typeof gradioApp === "function" ? gradioApp() : document;
    try {
        const info = JSON.parse(root.querySelector("#generation_info_%(tab)s textarea").value);
        return [JSON.stringify(info.extra_generation_params["FaceID aim"] ?? null)];
    } catch (error) {
        return ["null"];
    }
}"""


@dataclass(frozen=True, eq=False)
class AimParts:
    """The components of the fold."""

    target: Any
    by: Any
    unit: Any
    start: Any
    shown: Any
    found: Any
    """State: unit, setting and value that may be taken; None for nothing."""
    take: Any

    @property
    def asked(self) -> list[Any]:
        """What is aimed for."""
        return [self.target, self.by, self.unit]

    @property
    def outputs(self) -> list[Any]:
        """What is found: see `found_updates`."""
        return [self.shown, self.found, self.take]


def build_aim(prefix: str, *, info: str = "Draws up to eight pictures of one seed, and changes nothing.") -> AimParts:
    """Return the components, made where gradio stands right now. prefix: of their ids."""
    with gr.Accordion("Aim for a likeness", open=False, elem_id=prefix):
        target = gr.Slider(
            0.1, 0.9, 0.5, step=0.01, label="Likeness", elem_id=f"{prefix}_target", info=info,
        )  # fmt: skip
        by = gr.Dropdown(list(AIMED_FIELDS), value="weight", label="By", elem_id=f"{prefix}_by")
        unit = gr.Number(0, precision=0, label="Unit", elem_id=f"{prefix}_unit")
        start = gr.Button("Aim", size="sm", elem_id=f"{prefix}_start")
        shown = gr.HTML(elem_id=f"{prefix}_state")
        found = gr.State(None)
        take = gr.Button("Use this value", size="sm", visible=False, elem_id=f"{prefix}_take")
    return AimParts(target, by, unit, start, shown, found, take)


def wire_taking(parts: AimParts, units: Sequence[Any]) -> None:
    """Let what was found be taken into its unit's component. units: of all fields of all units."""
    fields = [*FIELDS]
    sliders = {
        (at // len(fields), fields[at % len(fields)]): component
        for at, component in enumerate(units)
        if fields[at % len(fields)] in AIMED_FIELDS
    }

    def taken(value: tuple[int, str, float] | None) -> list[Any]:
        chosen = None if value is None else (value[0], value[1])
        return [value[2] if value is not None and place == chosen else gr.update() for place in sliders]

    parts.take.click(taken, [parts.found], [*sliders.values()], **QUICK)


def wire_host_aim(tab: str, parts: AimParts, units: Sequence[Any]) -> Any:
    """Let the host's own Generate draw the pictures of the search; return what its job is sent as the last value.

    The page's script presses the hidden button when a job has found something.
    """
    hidden: dict[str, Any] = {"elem_classes": ["faceid-hidden"]}
    request = gr.Textbox("", label="What is aimed for", elem_id=f"{tab}_faceid_aim_request", **hidden)
    answer = gr.Textbox("", label="What was found", elem_id=f"{tab}_faceid_aim_answer", **hidden)
    show = gr.Button("Show the curve", elem_id=f"{tab}_faceid_aim_show", **hidden)
    parts.start.click(None, parts.asked, [request], **script(START % {"tab": tab}), **QUICK)
    show.click(_shown, [answer], parts.outputs, **script(LAST_AIM % {"tab": tab}), **QUICK)
    wire_taking(parts, units)
    return request


def _shown(text: str) -> list[Any]:
    """Return what is shown of the answer of a host's job."""
    values = json.loads(text or "null")
    if not isinstance(values, dict):
        return ["", None, gr.update(visible=False)]
    found, problem = attempt(Aim.from_dict, values)
    if found is None:
        return [notice(problem, "error"), None, gr.update(visible=False)]
    return found_updates(found, int(values.get("unit", 0)))


def found_updates(found: Aim, unit: int) -> list[Any]:
    """Return what the fold shows of an aim, what may be taken, and the button for that."""
    best, name = found.proposed, found.goal.name
    use = "" if best is None else f"Use {FIELDS[name].label.lower()} {best.value:g}"
    value = None if best is None else [unit, name, best.value]
    return [aim_html(found), value, gr.update(visible=best is not None, value=use)]


def aim_html(found: Aim) -> str:
    """Return the curve as a drawing, and the sentence below it."""
    goal = found.goal
    span = goal.highest - goal.lowest

    def x(value: float) -> float:
        return EDGE_PX + (WIDTH_PX - 2 * EDGE_PX) * (value - goal.lowest) / span

    def y(likeness: float) -> float:
        return HEIGHT_PX - EDGE_PX - (HEIGHT_PX - 2 * EDGE_PX) * max(likeness, 0)

    seen = [one for one in found.curve if one.likeness is not None]
    line = " ".join(f"{x(one.value):.0f},{y(one.counts):.0f}" for one in seen)
    change = " ".join(f"{x(one.value):.0f},{y(one.change):.0f}" for one in found.curve if one.change is not None)
    dots = "".join(
        f'<circle cx="{x(one.value):.0f}" cy="{y(one.counts):.0f}" r="{5 if one is found.proposed else 3}">'
        f"<title>{escape(goal.name)} {one.value:g}: {one.counts:.2f}</title></circle>"
        for one in seen
    )
    level = y(goal.target)
    words = (
        f"Likeness against {goal.name}; the target is {goal.target:g}, met within {TOLERANCE:g}. Dashed: how far the "
        "picture went from the one without the person."
    )
    right, low = WIDTH_PX - EDGE_PX, HEIGHT_PX - 6
    svg = (
        f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="img" aria-label="{escape(words)}" class="faceid-aim-curve">'
        f'<line x1="{EDGE_PX}" x2="{right}" y1="{level:.0f}" y2="{level:.0f}"/>'
        f'<polyline points="{line}"/><polyline points="{change}" class="faceid-change"/>{dots}'
        f'<text x="{EDGE_PX}" y="{low}">{goal.lowest:g}</text>'
        f'<text x="{right}" y="{low}" text-anchor="end">{escape(goal.name)} {goal.highest:g}</text></svg>'
    )
    return f"{svg}{notice(found.sentence(), 'good' if found.proposed else 'warning')}<p>{escape(words)}</p>"
