"""A control unit as a text, `FILE:IMAGE[:strength[:start:end]]`: on a command line, and in a manifest of a batch."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.arguments import NUMBER
from lib_faceid.errors import UnitError
from lib_faceid.units.control import FACES, HINTS, ControlUnit

__all__ = ["FORM", "control_from_text"]

FORM = "FILE:IMAGE[:strength[:start:end]]"


def control_from_text(text: str, folder: Path = Path()) -> ControlUnit:
    """Return the control unit that a text says. folder: what relative paths begin at. Raises UnitError."""
    name, image, *numbers = _parts(text)
    file = folder / name if _is_there(folder / name) else name
    if len(numbers) not in (0, 1, 3):
        raise UnitError(f"{text!r} has {len(numbers)} numbers; strength, or strength:start:end, was expected.")
    settings = dict(zip(("strength", "start", "end"), map(float, numbers), strict=False))
    hint, equals, photo = image.partition("=")
    if equals and hint in HINTS:
        if not photo:
            raise UnitError(f"{image!r} names no photo; {hint}=PHOTO was expected.")
        return ControlUnit(file, folder / photo, hint, **settings)
    if image in FACES:
        return ControlUnit(file, None, image, **settings)
    return ControlUnit(file, folder / image, **settings)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no disk takes
        return False


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
