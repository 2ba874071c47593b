"""Aim in our own page: the pictures of the search are drawn here, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from lib_faceid.app.aiming import Aiming
from lib_faceid.app.own_page_asked import Asked
from lib_faceid.app.session import Session
from lib_faceid.jobs.aiming import goal_for
from lib_faceid.ui.aim import AimParts, found_updates, wire_taking
from lib_faceid.ui.parts import notice
from lib_faceid.ui.services import problem

__all__ = ["wire_aim"]


def wire_aim(
    session: Session,
    parts: AimParts,
    inputs: Sequence[Any],
    units: Sequence[Any],
    asked: Callable[[Sequence[Any]], Asked],
) -> None:
    """Let the button search, and what was found be taken into its unit's component. units: of all fields of all."""

    def aimed(target: float, name: str, number: float, *args: Any) -> Iterator[list[Any]]:
        yield [notice("Drawing up to eight pictures of one seed…"), None, gr.update(visible=False)]
        try:
            page = asked(args)
            goal = goal_for(page.units, int(number or 0), name, float(target))
            path = session.resources.checkpoint_of(page.checkpoint)
            aiming = Aiming(session, path, page.units, page.requests[0], int(number or 0), controls=page.controls)
            result = aiming.run(goal)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said in the page
            yield [notice(problem(error), "error"), None, gr.update(visible=False)]
            return
        yield found_updates(result, int(number or 0))

    parts.start.click(aimed, [*parts.asked, *inputs], parts.outputs, show_progress="hidden")
    wire_taking(parts, units)
