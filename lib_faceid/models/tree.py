"""What lies in nested dicts and lists, by its path; bounded, as a file of a kilobyte can hold 2^40 of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lib_faceid.errors import FileError

__all__ = ["is_numbers", "leaves", "printable"]

MAX_DEPTH = 64
MAX_VISITED = 200_000
MAX_PATH = 600  # letters


def leaves(content: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Give every value that is no dict, list or tuple, with its dotted path; `name` is the file's, for messages.

    A list of numbers alone counts as a value. Raises FileError for what is nested too deeply, holds itself, or
    unfolds to too much.
    """
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    visited = 0
    while waiting:
        path, value, depth = waiting.pop()
        visited += 1 + (len(value) if isinstance(value, list | tuple) else 0)
        if depth > MAX_DEPTH or visited + len(waiting) > MAX_VISITED or len(path) > MAX_PATH:
            raise FileError(
                f"{name} holds dicts or lists within each other without end ({visited:,} values, {depth} levels deep "
                f"were looked at). That is no model; use another file."
            )
        items = _items(value)
        if items is None:
            yield path, value
        else:
            if len(items) > MAX_VISITED:
                raise FileError(f"{name} holds a list of {len(items):,} things. That is no model; use another file.")
            waiting += [(f"{path}.{key}" if path else key, one, depth + 1) for key, one in reversed(items)]


def _items(value: Any) -> list[tuple[str, Any]] | None:
    if isinstance(value, dict):
        return [(str(key), one) for key, one in value.items()]
    if isinstance(value, list | tuple) and not is_numbers(value):
        return [(str(index), one) for index, one in enumerate(value)]
    return None


def is_numbers(value: Any) -> bool:
    """Whether it is a list of numbers alone, and not an empty one."""
    return isinstance(value, list | tuple) and bool(value) and all(type(one) in (int, float) for one in value)


def printable(name: str, most: int = 80) -> str:
    """Return the end of a name from a file as it can stand in a sentence: a file may call a tensor anything."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name[-most:])
    return text if len(name) <= most else f"…{text[1:]}"
