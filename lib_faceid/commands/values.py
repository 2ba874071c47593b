"""What is typed behind an option, as a value: numbers with their range, sizes, text. What cannot be is a sentence."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

from lib_faceid.arguments import NUMBER
from lib_faceid.hosts.diffusers.request import LARGEST_SEED, MAX_CFG, MAX_STEPS, check_size

__all__ = ["MAX_COUNT", "cfg", "count", "name_or_file", "number", "seed", "size", "steps", "text", "whole"]

MAX_COUNT = 10_000
WHOLE = re.compile(r"[-+]?[0-9]{1,30}")
Wrong = argparse.ArgumentTypeError


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """Return what reads a whole number of that range."""

    def read(typed: str) -> int:
        value = int(typed) if WHOLE.fullmatch(typed) else lowest - 1
        if not lowest <= value <= highest:
            raise Wrong(f"{_shown(typed)} is not a whole number from {lowest} to {highest}")
        return value

    return read


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """Return what reads a number of that range."""

    def read(typed: str) -> float:
        value = float(typed) if NUMBER.fullmatch(typed) else math.nan
        if not lowest <= value <= highest:
            raise Wrong(f"{_shown(typed)} is not a number from {lowest:g} to {highest:g}")
        return value

    return read


seed = whole(-1, LARGEST_SEED)
steps = whole(1, MAX_STEPS)
count = whole(1, MAX_COUNT)
cfg = number(0, MAX_CFG)


def size(typed: str) -> tuple[int, int]:
    """Return width and height."""
    match = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", typed.strip().lower())
    if not match:
        raise Wrong(f"{_shown(typed)} is no size; 512x768 is one")
    width_px, height_px = int(match[1]), int(match[2])
    if problem := check_size(width_px, height_px):
        raise Wrong(f"{_shown(typed)} is no size; 512x768 is one ({problem})")
    return width_px, height_px


def text(typed: str) -> str:
    """Return a text, read as UTF-8 also where the terminal says that it knows ASCII only.

    Bytes of another alphabet come as halves of letters, which nothing can keep or draw.
    """
    try:
        found = os.fsencode(typed).decode()
    except UnicodeError:
        found = typed
    try:
        found.encode()
    except UnicodeError:
        raise Wrong(
            f"{_shown(typed)} holds bytes that are no UTF-8 text. Type it in a terminal that is set to UTF-8"
        ) from None
    return found


def name_or_file(typed: str) -> str:
    """Return a file's name as it is, whatever its bytes, and any other name as text."""
    return typed if _is_there(typed) else text(typed)


def _is_there(typed: str) -> bool:
    try:
        return Path(typed).exists()
    except (OSError, ValueError):
        return False


def _shown(typed: str) -> str:
    return repr(typed if len(typed) <= 40 else f"{typed[:39]}…")
