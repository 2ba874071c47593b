"""SHA-256 of files, each read once: in memory for all of the program, and in a file by what tells that one is another.

A file that comes in parts has those of all of them, joined by "+".
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.models.fingerprint import file_fingerprint
from lib_faceid.models.folders import Roots
from lib_faceid.models.shards import fingerprint_of, parts_of
from lib_faceid.whole_files import read_json, write_json

__all__ = ["SHORT", "Hashes", "file_sha256", "own_hashes"]

SHORT = 10
"""Digits of a model file's hash where people read it."""


class Hashes:
    """Those that are known. file: where they are kept; None: nowhere."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: dict[str, str] = _read(file) if file else {}

    def of(self, path: Path) -> str:
        """Return the hash of a file's bytes. Raises OSError."""
        mark = "|".join(file_fingerprint(part) for part in parts_of(path))
        found = self._known.get(mark)
        if found is None:
            found = self._known[mark] = file_sha256(path)
            if self._file is not None:
                with suppress(OSError):  # a disk that refuses costs the time of reading it again
                    write_json(self._file, self._known)
        return found


def own_hashes(roots: Roots) -> Hashes:
    """Return those of the usual place, models/faceid/hashes.json. Nothing is made on the disk."""
    return Hashes(roots.own / "faceid" / "hashes.json")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a model file, read once while the program runs and the file is the same. Raises OSError."""
    return _read_once(path.absolute(), fingerprint_of(path))


@lru_cache(maxsize=1024)
def _read_once(path: Path, fingerprint: str) -> str:
    parts = [part for part in parts_of(path) if part.is_file()] if fingerprint else [path]
    return "+".join(map(sha256_of, parts))


def _read(file: Path) -> dict[str, str]:
    return {key: value for key, value in read_json(file).items() if isinstance(value, str)}
