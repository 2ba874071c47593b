"""What could not be drawn: one file with the row, the sentence, and the command that draws just these."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from lib_faceid.batch.index import Task
from lib_faceid.whole_files import write_whole

__all__ = ["FAILURES", "failed_keys", "read_failures", "write_failures"]

FAILURES = "failures.jsonl"
NAMES = {"row", "people", "seed", "sentence", "command", "key"}


def write_failures(folder: Path, failures: Iterable[tuple[Task, str]], command: list[str]) -> int:
    """Write the file whole, and return how many there are; without any, it is taken away."""
    lines: list[str] = []
    for task, sentence in failures:
        picture = task.picture
        line: dict[str, Any] = {
            "row": picture.row,
            "people": picture.cast.label,
            "seed": picture.seed,
            "prompt": picture.prompt,
            "sentence": sentence,
            "command": shlex.join([*command, "--rows", str(picture.row)]),
            "key": task.key,
        }
        lines.append(json.dumps(line, ensure_ascii=False))
    file = folder / FAILURES
    if lines:
        write_whole(file, ("\n".join(lines) + "\n").encode(errors="replace"))
    else:
        file.unlink(missing_ok=True)
    return len(lines)


def failed_keys(folder: Path) -> set[str]:
    """Return the keys of the pictures that could not be drawn last time."""
    return {str(one["key"]) for one in read_failures(folder)}


def read_failures(folder: Path) -> list[dict[str, Any]]:
    """Return what could not be drawn last time."""
    found: list[dict[str, Any]] = []
    try:
        lines = (folder / FAILURES).read_text("utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            values: Any = json.loads(line)
        except ValueError:  # edited by hand
            continue
        if isinstance(values, dict) and values.keys() >= NAMES:
            found.append(cast("dict[str, Any]", values))
    return found
