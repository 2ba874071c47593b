"""The state of this machine in words: a table for people, and diagnostics for bug reports."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from lib_faceid.bases.base_model import BASE_LABELS
from lib_faceid.inventory.check import Auto, Row, SetupReport
from lib_faceid.models.checkpoint import sha256_of

__all__ = ["anonymous", "as_text", "diagnostics"]


def as_text(report: SetupReport) -> str:
    """Return a table of what is there, and of what is missing with where to get it."""
    width = max((len(row.label) for row in report.rows), default=0)
    lines: list[str] = []
    for heading, rows in report.groups.items():
        lines += [heading, *(line for row in rows for line in _row_lines(row, width))]
    lines += ["", *(_auto_line(auto) for auto in report.auto), *report.problems, *report.warnings]
    return "\n".join([*lines, ", ".join(f"{name} {number}" for name, number in report.versions.items())])


def diagnostics(report: SetupReport, *, with_hashes: bool = True, environ: Mapping[str, str] = os.environ) -> str:
    """Return what a bug report needs: versions, files with size and SHA-256, what Auto means, problems.

    Nothing about any person: no photo, no embedding, and the user's name is taken out of the paths. Hashing
    gigabytes takes seconds, once for each file.
    """
    lines = [f"{name}: {number}" for name, number in report.versions.items()]
    lines += [f"checkpoint: {BASE_LABELS.get(report.family or 0, report.family or 'none loaded')}", ""]
    for row in report.rows:
        lines.append(" · ".join(filter(None, [row.status, row.label, row.lora and f"LoRA {row.lora}", row.note])))
        lines += [f"    {_file_line(path, with_hashes=with_hashes)}" for path in row.paths if path.is_file()]
    lines += ["", *(_auto_line(auto) for auto in report.auto), *report.problems, *report.warnings]
    return anonymous("\n".join(lines), environ)


def anonymous(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the text with the home folder as "~", and the user's name out of every other path."""
    homes = {str(Path.home()), environ.get("HOME", ""), environ.get("USERPROFILE", "")}
    names = {Path(home).name for home in homes} | {environ.get("USER", ""), environ.get("USERNAME", "")}
    for home in sorted(filter(None, homes), key=len, reverse=True):
        if len(home) > 1:  # a container may have "/"
            text = re.sub(rf"{re.escape(home)}(?=[/\\\s]|$)", "~", text, flags=re.IGNORECASE)
    for name in filter(None, names):
        text = re.sub(rf"(?<=[/\\]){re.escape(name)}(?=[/\\\s]|$)", "<user>", text, flags=re.IGNORECASE)
    return text


def _row_lines(row: Row, width: int) -> Iterator[str]:
    one = row.entry
    size = f"{row.size_bytes / 1e6:,.0f} MB" if row.size_bytes is not None else one.size if one else ""
    lora = f"LoRA {row.lora}" if row.lora else ""
    yield f"{row.status:8} {row.label:{width}} {size:>13}  {lora}".rstrip()
    yield from (f"         {path}" for path in row.paths)
    if row.note:
        yield f"         {row.note}"
    if row.status != "found" and one:
        yield f"         Get it: python -m lib_faceid models download {one.id}"
        yield f"         from {one.url} to {row.place}"
        yield f"         SHA-256 {one.sha256 or 'not published, the server says it'} · licence: {one.licence.name}"


def _auto_line(auto: Auto) -> str:
    chosen = auto.adapter.name if auto.adapter else "nothing can be used"
    what = {"person": "people", "image": "images"}[auto.purpose]
    return f"Auto for {what}, {BASE_LABELS[auto.family]}: {chosen}. {auto.note}".rstrip()


def _file_line(path: Path, *, with_hashes: bool) -> str:
    status = path.stat()
    size = f"{path} · {status.st_size:,} bytes"
    return f"{size} · SHA-256 {_hash(path, status.st_size, status.st_mtime_ns)}" if with_hashes else size


@lru_cache(maxsize=64)
def _hash(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    return sha256_of(path)
