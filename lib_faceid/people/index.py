"""What saved people are looked up by, kept in memory: a library of thousands is not read for each look."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lib_faceid.errors import FaceIDError
from lib_faceid.references.files import load_reference, purpose_of_file
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import read_record
from lib_faceid.references.single_flight import Recent
from lib_faceid.units.unit import Purpose

__all__ = ["Known", "forget_known", "known_of", "purpose_of"]


@dataclass(frozen=True, eq=False)
class Known:
    """What tells one saved person from another: 3 KB."""

    photos: tuple[str, ...]
    """The hashes of the photos that the person was made from."""
    fingerprint: str
    recogniser: str
    direction: Tensor | None
    """[512], of unit length; None for a saved image."""

    def has(self, hashes: Sequence[str]) -> bool:
        """Say whether the person was made from these photos, or is the one of this fingerprint."""
        is_self = len(hashes) == 1 and self.fingerprint.startswith(hashes[0])
        return is_self or all(any(one.startswith(text) for one in self.photos) for text in hashes)


def known_of(file: os.DirEntry[str]) -> Known:
    """Return what is known of the person in a file, which is read again only when it has changed.

    Raises FileError where it is damaged, OSError where it is gone.
    """
    stat = file.stat()
    return _known.get((file.path, stat.st_size, stat.st_mtime_ns), lambda: _read(Path(file.path)))


def purpose_of(file: os.DirEntry[str]) -> Purpose:
    """Return what the saved reference in a file is for, by its metadata; "person" for a file that cannot be read."""
    try:
        stat = file.stat()
        return _purposes.get((file.path, stat.st_size, stat.st_mtime_ns), lambda: purpose_of_file(Path(file.path)))
    except (FaceIDError, OSError):
        return "person"  # as every file was before there were saved images: using it says what is wrong


def forget_known() -> None:
    """Forget everybody."""
    _known.clear()
    _purposes.clear()


_known = Recent[Known](16_384)
_purposes = Recent[Purpose](16_384)


def _read(path: Path) -> Known:
    reference = load_reference(path)
    photos = tuple(photo.sha256 for photo in read_record(path).photos)
    direction = reference.median().normed_embeddings[0].clone() if isinstance(reference, Identity) else None
    return Known(photos, reference.fingerprint, reference.recogniser, direction)
