"""`--control FILE:IMAGE[:strength[:start:end]]` on a command line: a ControlNet, and what it is shown."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lib_faceid.errors import UnitError
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.control_text import FORM, control_from_text

__all__ = ["add_control_options", "controls_of"]

HELP = (
    "a ControlNet or T2I-Adapter and a picture that it follows, made ready for it; may be given again. IMAGE: a file, "
    "or edges=PHOTO, keypoints=PHOTO or head=PHOTO to draw one from a photo; keypoints or head alone take the faces of "
    "your people. strength 0..2 (1), start and end 0..1 of the steps"
)


def add_control_options(parser: argparse.ArgumentParser) -> None:
    """Add the option. It is put into `controls`, for `controls_of`."""
    group = parser.add_argument_group("a pose, a depth map or edges to follow", "See docs/CONTROLNET.md.")
    group.add_argument("--control", dest="controls", action="append", default=[], metavar=FORM, help=HELP)


def controls_of(typed: Sequence[str]) -> list[ControlUnit]:
    """Return the control units that were typed. Raises UnitError, naming the one."""
    found: list[ControlUnit] = []
    for number, text in enumerate(typed):
        try:
            found.append(control_from_text(text))
        except UnitError as error:  # noqa: PERF203 - a handful
            raise UnitError(f"Control {number}: {error}") from error
    return found
