"""Files that come in parts (`model-00001-of-00002.safetensors`): which files belong together."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["fingerprint_of", "is_later_part", "parts_of"]

_PART = re.compile(r"(.*?)(\d{1,5})([-_. ]?of[-_. ]?)(\d{1,5})(.*)", re.IGNORECASE | re.DOTALL)
MAX_PARTS = 200


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return all files of which a file is a part, in order, whether they are there or not; itself for a whole one."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return (path,)
    before, number, between, total, after = match.groups()
    if not 1 <= int(number) <= int(total) <= MAX_PARTS or int(total) < 2:
        return (path,)
    names = (f"{before}{i:0{len(number)}d}{between}{total}{after}" for i in range(1, int(total) + 1))
    return tuple(path.with_name(name) for name in names)


def is_later_part(path: Path) -> bool:
    """Whether the file is a part whose first part lies beside it, so that the first stands for both."""
    first = parts_of(path)[0]
    return first != path and first.is_file()


def fingerprint_of(path: Path) -> str:
    """Return a text that changes whenever a part of the file does; empty where it is not there."""
    stats = [(part.name, part.stat()) for part in parts_of(path) if part.is_file()]
    return "|".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats) if path.is_file() else ""
