"""What could not be drawn: one file with the row, the sentence, and the command that draws just these."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lib_faceid.batch.index import Task
from lib_faceid.whole_files import write_whole

__all__ = ["FAILURES", "failed_keys", "write_failures"]

FAILURES = "failures.jsonl"


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
    found: set[str] = set()
    try:
        lines = (folder / FAILURES).read_text("utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            found.add(json.loads(line)["key"])
        except (ValueError, KeyError, TypeError):  # noqa: PERF203 - edited by hand
            continue
    return found
