"""A manifest's rows as they stand in its file: CSV, JSONL or YAML, one after the other, however many there are.

Rows are counted as an editor or a spreadsheet shows them: in CSV the head is row 1, in JSONL the line counts, in YAML
the item.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from lib_faceid.errors import FileError, MissingPackageError

__all__ = ["FORMATS", "Row", "read_rows"]

DELIMITERS = ",;\t"
DEFAULTS = "defaults"
MOST_YAML_BYTES = 64 * 1024 * 1024


class Row(NamedTuple):
    """One row."""

    number: int
    values: Mapping[str, Any]
    problem: str = ""
    """Why it could not be read."""


def read_rows(manifest: Path) -> Iterator[Row]:
    """Give every row. Raises FileError where the file cannot be read at all, MissingPackageError for YAML."""
    read = FORMATS.get(manifest.suffix.lower())
    if read is None:
        raise FileError(f"{manifest.name} is no manifest; a file that ends in {', '.join(FORMATS)} was expected.")
    try:
        with manifest.open("r", encoding="utf-8-sig", newline="") as file:
            yield from read(file)
    except UnicodeDecodeError as error:
        raise FileError(f"{manifest.name} is no UTF-8 text ({error.reason}). Save it as UTF-8.") from error
    except OSError as error:
        raise FileError(f"{manifest} cannot be read ({error.strerror or error}).") from error


def _csv(file: IO[str]) -> Iterator[Row]:
    first = file.readline(1 << 20)
    file.seek(0)
    delimiter = max(DELIMITERS, key=first.count)
    lines = csv.reader(file, delimiter=delimiter, strict=True)
    head, number = None, 0
    while True:
        number += 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(number, {}, f"this is no CSV ({error}). The rows behind it were not read.")
            return
        if head is None:
            head = [cell.strip() for cell in cells]
            if problem := _bad_head(head):
                yield Row(number, {}, problem)
                return
        elif len(cells) > len(head) and any(cells[len(head) :]):
            yield Row(
                number,
                {},
                f"{len(cells)} cells, and the head has {len(head)}. Put text with a {delimiter!r} in quotes.",
            )
        else:
            values = {name: cell for name, cell in zip(head, cells, strict=False) if cell and not cell.isspace()}
            if values:
                yield Row(number, values)


def _bad_head(head: list[str]) -> str:
    if twice := next((name for name in head if name and head.count(name) > 1), ""):
        return f"the head has {twice!r} twice. Keep one of them."
    return "" if any(head) else "the head is empty; the names of columns were expected, such as people,prompt,seeds."


def _jsonl(file: IO[str]) -> Iterator[Row]:
    usual: Mapping[str, Any] = {}
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Row(number, {}, f"this is no JSON ({_short(error)}).")
            continue
        if not _is_row(found):
            yield Row(number, {}, 'an object with columns by name was expected, as in {"people": "Anna"}.')
        elif number == 1 and set(found) == {DEFAULTS} and _is_row(found[DEFAULTS]):
            usual = found[DEFAULTS]
            if problem := _halved(usual):
                yield Row(number, {}, problem)
        else:
            yield Row(number, {**usual, **found} if usual else found, _halved(found) if "\\u" in line else "")


def _yaml(file: IO[str]) -> Iterator[Row]:
    try:
        import yaml
    except ImportError as error:
        raise MissingPackageError(
            "A manifest in YAML needs PyYAML, which is not installed. Run: pip install PyYAML, or write JSONL or CSV."
        ) from error
    text = file.read(MOST_YAML_BYTES + 1)
    if len(text) > MOST_YAML_BYTES:
        raise FileError(
            f"The manifest has over {MOST_YAML_BYTES >> 20} MiB, which YAML reads at once. Write it as JSONL."
        )
    try:
        found: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        yield Row(mark.line + 1 if mark else 1, {}, f"this is no YAML ({_short(error)}).")
        return
    usual: Mapping[str, Any] = {}
    if isinstance(found, dict) and "rows" in found:
        parts = cast("dict[str, Any]", found)
        usual, found = parts.get(DEFAULTS) or {}, parts["rows"]
        if set(parts) - {DEFAULTS, "rows"} or not _is_row(usual):
            yield Row(1, {}, "beside rows only defaults may stand, with columns by name.")
            return
    rows, is_escaped = cast("list[Any]", found) if isinstance(found, list) else [found], "\\" in text
    for number, values in enumerate(rows, 1):
        if _is_row(values):
            yield Row(number, {**usual, **values}, _halved({**usual, **values}) if is_escaped else "")
        else:
            yield Row(number, {}, "columns by name were expected, as in - people: Anna.")


def _is_row(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(name, str) for name in cast("dict[Any, Any]", found))


def _halved(values: Mapping[str, Any]) -> str:
    """Say which column holds half of a letter, as only an escape can write it: no file, key or encoder takes it."""
    name = next((name for name, value in values.items() if _is_halved({name: value})), None)
    if name is None:
        return ""
    return f"column {name!a} holds half of a letter (such as \\ud83d alone). Write the whole one."


def _is_halved(found: Any) -> bool:
    try:
        json.dumps(found, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):  # what reads the cell says so
        return False
    return False


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


FORMATS: Mapping[str, Callable[[IO[str]], Iterator[Row]]] = {
    ".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".yaml": _yaml, ".yml": _yaml,
}  # fmt: skip
"""What reads a file, by its ending."""
