"""What is asked for on our own page, read off the values of its components."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from lib_faceid.app.hints import hint
from lib_faceid.app.own_page_control import NUM_VALUES, controls_from_page
from lib_faceid.errors import FaceIDError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.ui.parts import notice
from lib_faceid.ui.services import problem
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.job_options import JobOptions, options_of
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.tags import find_tags
from lib_faceid.units.unit import Unit

__all__ = ["Asked", "asked_for", "hint_html"]

NUM_OF_REQUEST = 9
FIRST_OF_UNITS = NUM_OF_REQUEST + NUM_VALUES


class Asked(NamedTuple):
    """What the page asks for."""

    checkpoint: str
    """Its name."""
    units: Sequence[Unit]
    requests: list[Request]
    """One for each picture."""
    options: JobOptions
    controls: Sequence[ControlUnit] = ()


def asked_for(args: Sequence[Any]) -> Asked:
    """Return what the page's values ask for: of the request, of the control rows, of the units. Raises UnitError."""
    prompt, negative, checkpoint, width, height, steps, cfg, seed, count = args[:NUM_OF_REQUEST]
    controls, units = args[NUM_OF_REQUEST:FIRST_OF_UNITS], args[FIRST_OF_UNITS:]
    seed = secrets.randbelow(2**32) if seed is None or seed < 0 else int(seed)
    request = Request(prompt, negative, (int(width), int(height)), int(steps), float(cfg), seed)
    requests = [replace(request, seed=seed + number) for number in range(int(count))]
    return Asked(checkpoint, units_from_args(units), requests, options_of(units), controls_from_page(controls))


def hint_html(args: Sequence[Any]) -> str:
    """Return in HTML what the next picture will lack, or why it cannot be drawn."""
    try:
        asked = asked_for(args)
    except FaceIDError as error:
        return notice(problem(error), "warning")
    has_tags = bool(find_tags(asked.requests[0].prompt)[1]) if asked.requests else False
    return notice(hint(asked.checkpoint, asked.units, is_prompt_alone=not has_tags and not asked.controls), "warning")
