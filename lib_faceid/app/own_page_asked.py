"""What is asked for on our own page, read off the values of its components."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lib_faceid.app.hints import hint
from lib_faceid.errors import FaceIDError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.ui.parts import notice
from lib_faceid.ui.services import problem
from lib_faceid.units.job_options import JobOptions, options_of
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.tags import find_tags
from lib_faceid.units.unit import Unit

__all__ = ["asked_for", "hint_html"]


def asked_for(args: Sequence[Any]) -> tuple[str, Sequence[Unit], list[Request], JobOptions]:
    """Return the checkpoint's name, the units, the pictures and the options of the page's values. Raises UnitError."""
    prompt, negative, checkpoint, width, height, steps, cfg, seed, count = args[:9]
    seed = secrets.randbelow(2**32) if seed is None or seed < 0 else int(seed)
    request = Request(prompt, negative, (int(width), int(height)), int(steps), float(cfg), seed)
    requests = [replace(request, seed=seed + number) for number in range(int(count))]
    return checkpoint, units_from_args(args[9:]), requests, options_of(args[9:])


def hint_html(args: Sequence[Any]) -> str:
    """Return in HTML what the next picture will lack, or why it cannot be drawn."""
    try:
        checkpoint, units, requests, _ = asked_for(args)
    except FaceIDError as error:
        return notice(problem(error), "warning")
    has_tags = bool(find_tags(requests[0].prompt)[1]) if requests else False
    return notice(hint(checkpoint, units, has_tags=has_tags), "warning")
