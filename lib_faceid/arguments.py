"""What a caller of the library hands over, checked at once: an error names the argument, what it is and what it may be.

Each function gives back the value in the one form that the rest of the code knows. All raise UnitError.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from lib_faceid.errors import UnitError

__all__ = ["NUMBER", "as_many", "as_number", "as_path", "is_number", "one_of", "require", "shown"]

T = TypeVar("T")
NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?", re.IGNORECASE)  # no nan, no 1_0, no 7,5
"""A number as it is typed."""


def as_path(value: Any, name: str) -> Path:
    """Return the path that a text or a path-like object stands for; nothing is looked for on the disk."""
    if not isinstance(value, (str, os.PathLike)):
        raise UnitError(f"{name} is {shown(value)}; a path (str or Path) was expected.")
    text = os.fsdecode(value)
    if not text.strip() or "\0" in text:
        raise UnitError(f"{name} is {shown(text)}, which is no path; that of a file or folder was expected.")
    return Path(text)


def as_number(value: Any, name: str, lowest: float = -math.inf, highest: float = math.inf) -> float:
    """Return a finite number from lowest to highest as a float. Any real number will do, numpy's too; no text."""
    if not is_number(value) or not _is_finite(value) or not lowest <= value <= highest:
        limits = {(True, True): f" from {lowest:g} to {highest:g}", (True, False): f" from {lowest:g} on"}
        allowed = limits.get((math.isfinite(lowest), math.isfinite(highest)), "")
        raise UnitError(f"{name} is {shown(value)}; a number{allowed} was expected.")
    return float(value)


def is_number(value: Any) -> bool:
    """Say whether it is a real number, numpy's among them. True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Real)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def one_of(value: Any, name: str, choices: Sequence[str]) -> str:
    """Return a word that is among the choices."""
    if not isinstance(value, str) or value not in choices:
        raise UnitError(f"{name} is {shown(value)}; one of {', '.join(choices)} was expected.")
    return value


def require(value: Any, name: str, kind: type[T], expected: str) -> T:
    """Return a value of that kind. expected: what it may be, in words, and where to get one."""
    if not isinstance(value, kind):
        raise UnitError(f"{name} is {shown(value)}; {expected} was expected.")
    return value


def as_many(value: Any, name: str, kind: type[T], expected: str) -> tuple[T, ...]:
    """Return one value of a kind, or all of an iterable, as a tuple."""
    if isinstance(value, kind):
        return (value,)
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise UnitError(f"{name} is {shown(value)}; {expected}, or several, was expected.")
    return tuple(require(one, f"{name}[{number}]", kind, expected) for number, one in enumerate(value))


def shown(value: Any) -> str:
    """Return a value as it stands in a message: itself where that is short, else its type."""
    if isinstance(value, int) and abs(value) >= 10**60:  # Python itself refuses to write thousands of digits
        return "a whole number of more than 60 digits"
    if value is None or isinstance(value, (str, bool, int, float, Path)):
        text = repr(value)
        if len(text) <= 60:
            return text
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
