"""SHA-256 of files, each read once: kept in a file beside the pictures by what tells that a file is another one."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.models.fingerprint import file_fingerprint
from lib_faceid.whole_files import read_json, write_json

__all__ = ["Hashes"]


class Hashes:
    """Those that are known. file: where they are kept; None: nowhere."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: dict[str, str] = _read(file) if file else {}

    def of(self, path: Path) -> str:
        """Return the hash of a file's bytes. Raises OSError."""
        mark = file_fingerprint(path)
        found = self._known.get(mark)
        if found is None:
            found = self._known[mark] = sha256_of(path)
            if self._file is not None:
                write_json(self._file, self._known)
        return found


def _read(file: Path) -> dict[str, str]:
    return {key: value for key, value in read_json(file).items() if isinstance(value, str)}
