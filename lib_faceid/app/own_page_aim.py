"""Aim in our own page: the setting that makes the picture as alike as is wanted, its curve, and a button to take it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from lib_faceid.app.aiming import Aiming, goal_for
from lib_faceid.app.session import Session
from lib_faceid.likeness.aim import AIMED_FIELDS, TOLERANCE, Aim
from lib_faceid.ui.parts import QUICK, notice
from lib_faceid.ui.services import problem
from lib_faceid.units.job_options import JobOptions
from lib_faceid.units.unit import FIELDS

__all__ = ["build_aim", "curve_html", "wire_aim"]

WIDTH_PX, HEIGHT_PX, EDGE_PX = 320, 140, 24
Asked = Callable[[Sequence[Any]], "tuple[str, Sequence[Any], list[Any], JobOptions]"]


def build_aim() -> list[Any]:
    """Return the components, made where gradio stands right now: target, setting, unit, button, state, found, take."""
    with gr.Accordion("Aim for a likeness", open=False, elem_id="faceid_aim"):
        target = gr.Slider(
            0.1, 0.9, 0.5, step=0.01, label="Likeness", elem_id="faceid_aim_target",
            info="Draws up to eight pictures of one seed, and changes nothing.",
        )  # fmt: skip
        name = gr.Dropdown(list(AIMED_FIELDS), value="weight", label="By", elem_id="faceid_aim_by")
        unit = gr.Number(0, precision=0, label="Unit", elem_id="faceid_aim_unit")
        button = gr.Button("Aim", size="sm", elem_id="faceid_aim_start")
        state = gr.HTML(elem_id="faceid_aim_state")
        found = gr.State(None)
        take = gr.Button("Use this value", size="sm", visible=False, elem_id="faceid_aim_take")
    return [target, name, unit, button, state, found, take]


def wire_aim(session: Session, parts: Sequence[Any], inputs: Sequence[Any], units: Sequence[Any], asked: Asked) -> None:
    """Let the button search, and what was found be taken into its unit's component. units: of all fields of all."""
    target, name, unit, button, state, found, take = parts
    fields = [*FIELDS]
    sliders = {
        (at // len(fields), fields[at % len(fields)]): component
        for at, component in enumerate(units)
        if fields[at % len(fields)] in AIMED_FIELDS
    }

    def aimed(wanted: float, field: str, number: float, *args: Any) -> Iterator[list[Any]]:
        yield [notice("Drawing up to eight pictures of one seed…"), None, gr.update(visible=False)]
        try:
            checkpoint, people, (request, *_), _ = asked(args)
            goal = goal_for(people, int(number or 0), field, float(wanted))
            path = session.resources.checkpoint_of(checkpoint)
            result = Aiming(session, path, people, request, int(number or 0)).run(goal)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said in the page
            yield [notice(problem(error), "error"), None, gr.update(visible=False)]
            return
        best = result.proposed
        value = None if best is None else [int(number or 0), field, best.value]
        use = "" if best is None else f"Use {FIELDS[field].label.lower()} {best.value:g}"
        yield [curve_html(result), value, gr.update(visible=best is not None, value=use)]

    def taken(value: tuple[int, str, float] | None) -> list[Any]:
        chosen = None if value is None else (value[0], value[1])
        return [value[2] if value is not None and place == chosen else gr.update() for place in sliders]

    button.click(aimed, [target, name, unit, *inputs], [state, found, take], show_progress="hidden")
    take.click(taken, [found], [*sliders.values()], **QUICK)


def curve_html(found: Aim) -> str:
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
        f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="img" aria-label="{escape(words)}" class="faceid-curve">'
        f'<line x1="{EDGE_PX}" x2="{right}" y1="{level:.0f}" y2="{level:.0f}"/>'
        f'<polyline points="{line}"/><polyline points="{change}" class="faceid-change"/>{dots}'
        f'<text x="{EDGE_PX}" y="{low}">{goal.lowest:g}</text>'
        f'<text x="{right}" y="{low}" text-anchor="end">{escape(goal.name)} {goal.highest:g}</text></svg>'
    )
    return f"{svg}{notice(found.sentence(), 'good' if found.proposed else 'warning')}<p>{escape(words)}</p>"
