"""Files written whole or not at all: a program that is ended, or a full disk, leaves the file that was there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

__all__ = ["being_written", "read_json", "write_json", "write_whole"]

MAX_NAME_BYTES = 129  # what is put behind the name has to fit into a file name too; the library's are never that long
PRIVATE, SHARED = 0o600, 0o666


@contextmanager
def being_written(path: Path, *, is_private: bool = False) -> Generator[Path]:
    """Give an empty file beside, for the block to write, and give it its own name where the block ends well.

    Nothing is left over otherwise. is_private: only its owner may read it; else whoever may read new files of this
    program. Raises OSError.
    """
    name = path.name.encode(errors="surrogateescape")[:MAX_NAME_BYTES].decode(errors="ignore")
    part = path.with_name(f"{name}.{secrets.token_hex(4)}.part")
    try:
        part.touch(mode=PRIVATE if is_private else SHARED, exist_ok=False)
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes, *, is_private: bool = False) -> None:
    """Write a file whole or not at all, as `being_written`. Raises OSError."""
    with being_written(path, is_private=is_private) as part:
        part.write_bytes(content)


def write_json(path: Path, content: Any, *, ensure_ascii: bool = True, is_private: bool = False) -> None:
    """Write plain values as JSON, in a folder that is made where there is none. Raises OSError.

    ensure_ascii: whether letters beyond ASCII are written as escapes; where people read the file, they are not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=ensure_ascii) + "\n"
    write_whole(path, text.encode(), is_private=is_private)


def read_json(path: Path) -> dict[str, Any]:
    """Return what stands in a file of JSON by name; nothing where it is not there, damaged, or no such file."""
    try:
        found: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
