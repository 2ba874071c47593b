"""The folder of a batch: each picture with what it is beside it, written whole; nothing else says what is done.

    pictures/3f/3f2a….png, pictures/3f/3f2a….json     by key; the JSON comes last, and names the picture's hash
    failures.jsonl, results.csv, report.html          what is told of them
    batch.json                                        what every picture of the folder shares

Only the program that drives a batch writes here, and it holds the folder's lock. Files of a program that was ended
are a picture without its JSON, or end in `.part`: neither counts, and both are gone at the next start.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from lib_faceid.errors import FileError
from lib_faceid.models.locked import locked
from lib_faceid.whole_files import write_json, write_whole

__all__ = ["Store"]

RECORD_VERSION = 1


class Store:
    """The pictures in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pictures = folder / "pictures"

    @contextmanager
    def held(self) -> Generator[None]:
        """Keep other programs out. Raises FileError where one is at work here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(
            self.folder / "batch.json", lambda: FileError(f"{self.folder} is being drawn into by another run.")
        ):
            for number in range(256):
                (self._pictures / f"{number:02x}").mkdir(parents=True, exist_ok=True)
            yield

    def share(self, name: str, value: Any) -> Any:
        """Return what all pictures of this folder share by that name: what was written first counts."""
        file = self.folder / "batch.json"
        found = _object(file) or {}
        if name not in found:
            found[name] = value
            write_json(file, found)
        return found[name]

    def path(self, key: str) -> Path:
        """Return the file of a picture."""
        return self._pictures / key[:2] / f"{key}.png"

    def put(self, key: str, png: bytes, record: Mapping[str, Any]) -> None:
        """Write a picture and what it is. Raises OSError; then it is not there."""
        path = self.path(key)
        write_whole(path, png)
        whole = {"version": RECORD_VERSION, "key": key, **record, "sha256": hashlib.sha256(png).hexdigest()}
        text = json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
        write_whole(path.with_suffix(".json"), text.encode(errors="surrogatepass"))

    def right(self, key: str) -> dict[str, Any] | None:
        """Return what a picture is; None where it is not there, or not as it was written."""
        path = self.path(key)
        record = self.record(key)
        if record is None:
            return None
        try:
            same = hashlib.sha256(path.read_bytes()).hexdigest() == record.get("sha256")
        except OSError:
            return None
        return record if same else None

    def record(self, key: str) -> dict[str, Any] | None:
        """Return what a picture is, by its JSON alone."""
        found = _object(self.path(key).with_suffix(".json"))
        return found if found and found.get("key") == key and found.get("version") == RECORD_VERSION else None

    def keys(self) -> Iterator[str]:
        """Give the keys of all pictures that have their JSON; take away what programs that were ended left."""
        for folder in sorted(self._pictures.iterdir()) if self._pictures.is_dir() else ():
            for path in folder.iterdir():
                if path.suffix == ".part":
                    path.unlink(missing_ok=True)
                elif path.suffix == ".json":
                    yield path.stem


def _object(file: Path) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
