"""What a manifest's cells say: each text or value read as the alternatives that it stands for, or a sentence.

A list is a product: `||` separates alternatives in CSV, JSONL and YAML have lists. Seeds are `7`, `1-4` or `1-4, 9`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from lib_faceid.arguments import shown
from lib_faceid.batch.mistakes import CellError
from lib_faceid.errors import UnitError
from lib_faceid.hosts.diffusers.request import LARGEST_SEED, MAX_CFG, MAX_STEPS, check_size
from lib_faceid.units.job_options import OPTIONS
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import FIELDS, Field

__all__ = ["FIELD", "OPTION_COLUMNS", "OR", "READERS", "REQUEST_COLUMNS", "alternatives", "filled", "names_in"]

OPTION_COLUMNS = tuple(name for name in OPTIONS if name != "keep")  # a picture of a manifest is one picture
REQUEST_COLUMNS = ("negative", "size", "steps", "cfg", "checkpoint", "control")
OR = "||"
MOST_SEEDS = 1_000_000
SEEDS = re.compile(r"\s*(\d{1,20})\s*(?:-\s*(\d{1,20})\s*)?")
FIELD = re.compile(r"\{\{|\}\}|\{([^{}\s|][^{}|]*)\}")
"""A field of a prompt, `{outfit}`; `{{` is a bracket."""


def alternatives(column: str, raw: Any) -> tuple[Any, ...]:
    """Return what a cell stands for, one value or several. Raises CellError."""
    if column in ("seed", "seeds"):
        return _seeds(column, raw)
    parts: list[Any] = [raw]
    if isinstance(raw, list):
        parts = cast("list[Any]", raw)
    elif isinstance(raw, str) and OR in raw:
        parts = raw.split(OR)
    if not parts:
        raise CellError(column, "the list is empty; one value or several were expected.")
    read = READERS.get(column, _text)
    try:
        return tuple(read(one.strip() if isinstance(one, str) else one) for one in parts)
    except UnitError as error:
        raise CellError(column, str(error)) from error


def names_in(prompt: str) -> tuple[str, ...]:
    """Return the fields of a prompt, in order."""
    return tuple(dict.fromkeys(name for name in FIELD.findall(prompt) if name))


def filled(prompt: str, values: Mapping[str, str]) -> str:
    """Return a prompt with its fields filled in. Raises KeyError for one that has no value."""
    return FIELD.sub(lambda found: values[found[1]] if found[1] else found[0][0], prompt)


def _seeds(column: str, raw: Any) -> tuple[int, ...]:
    if isinstance(raw, str) and raw.isdecimal() and len(raw) < 19:  # most are
        return (int(raw),)
    found: list[int] = []
    parts: list[Any] = cast("list[Any]", raw) if isinstance(raw, list) else [raw]
    for part in [
        piece for one in parts for piece in (one.replace(OR, ",").split(",") if isinstance(one, str) else [one])
    ]:
        match = SEEDS.fullmatch(part) if isinstance(part, str) else None
        first: Any = int(match[1]) if match else part
        last: Any = int(match[2] or match[1]) if match else part
        if not _is_seed(first) or not _is_seed(last) or first > last:
            raise CellError(
                column,
                f"{shown(part)} is no seed; whole numbers from 0 on were expected, such as 7, 1-4 or 1-4, 9. A batch "
                "draws the same pictures again, so that none is random.",
            )
        if last - first >= MOST_SEEDS or len(found) > MOST_SEEDS:
            raise CellError(column, f"these are more than {MOST_SEEDS:,} seeds in one row. Write several rows.")
        found += range(first, last + 1)
    if not found:
        raise CellError(column, "the list of seeds is empty.")
    return tuple(dict.fromkeys(found))


def _is_seed(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_SEED


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnitError(f"{shown(value)} was found; a text was expected.")
    return value if isinstance(value, str) else f"{value}"


def _size(value: Any) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})\s*x\s*([0-9]{1,9})", value.lower()) if isinstance(value, str) else None
    if not match:
        raise UnitError(f"{shown(value)} is no size; 512x768 is one.")
    width_px, height_px = int(match[1]), int(match[2])
    if problem := check_size(width_px, height_px):
        raise UnitError(f"{width_px}x{height_px} is no size: {problem}.")
    return width_px, height_px


def _steps(value: Any) -> int:
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_STEPS:
        raise UnitError(f"{shown(value)} is no number of steps; a whole number from 1 to {MAX_STEPS} was expected.")
    return number


def _cfg(value: Any) -> float:
    try:
        number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= MAX_CFG:
        raise UnitError(f"{shown(value)} was found; a number from 0 to {MAX_CFG} was expected.")
    return number


def _of(field: Field) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        found = typed(field, value) if isinstance(value, str) else value
        field.check(found)
        return found

    return read


READERS: Mapping[str, Callable[[Any], Any]] = {
    **{name: _of(field) for name, field in FIELDS.items()},
    **{name: _of(field) for name, field in OPTIONS.items()},
    "size": _size,
    "steps": _steps,
    "cfg": _cfg,
}
"""What reads one value of a column; a text is read as itself."""
