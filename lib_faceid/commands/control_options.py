"""`--control FILE:IMAGE[:strength[:start:end]]` on a command line: a ControlNet, and what it is shown."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lib_faceid.commands.values import NUMBER
from lib_faceid.errors import UnitError
from lib_faceid.units.control import FACES, HINTS, ControlUnit

__all__ = ["add_control_options", "controls_of"]

FORM = "FILE:IMAGE[:strength[:start:end]]"
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
            found.append(_control(text))
        except UnitError as error:  # noqa: PERF203 - a handful
            raise UnitError(f"Control {number}: {error}") from error
    return found


def _control(text: str) -> ControlUnit:
    name, image, *numbers = _parts(text)
    file = Path(name) if Path(name).exists() else name
    if len(numbers) not in (0, 1, 3):
        raise UnitError(f"{text!r} has {len(numbers)} numbers; strength, or strength:start:end, was expected.")
    settings = dict(zip(("strength", "start", "end"), map(float, numbers), strict=False))
    hint, equals, photo = image.partition("=")
    if equals and hint in HINTS:
        if not photo:
            raise UnitError(f"{image!r} names no photo; {hint}=PHOTO was expected.")
        return ControlUnit(file, Path(photo), hint, **settings)
    if image in FACES:
        return ControlUnit(file, None, image, **settings)
    return ControlUnit(file, Path(image), **settings)


def _parts(text: str) -> list[str]:
    """Return file, image and numbers. The drive of a path of Windows is no part: it stays with its path."""
    parts: list[str] = []
    for part in text.split(":"):
        before = parts[-1][-2:] if parts else ""
        is_drive = before[-1:].isalpha() and before[:-1] in ("", "=") and part[:1] in ("\\", "/")
        parts[-1:] = [f"{parts[-1]}:{part}"] if is_drive else [*parts[-1:], part]
    numbers = 0
    while len(parts) - numbers > 2 and NUMBER.fullmatch(parts[-1 - numbers]):
        numbers += 1
    if len(parts) - numbers != 2 or not all(parts):
        raise UnitError(
            f"{text!r} was given, and {FORM} was expected, such as pose.safetensors:pose.png:0.8. A file whose name "
            "holds a colon cannot be named here: rename it."
        )
    return parts
