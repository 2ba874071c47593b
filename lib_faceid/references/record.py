"""What a saved identity also remembers: which photos it was made from, how good they were, the user's notes.

No photo and no file name is in it: a photo is known by its hash alone. A thumbnail is kept only where asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.arguments import as_path
from lib_faceid.errors import FileError
from lib_faceid.faces.report import PhotoReport
from lib_faceid.models.checkpoint import is_safetensors, read_weights

__all__ = ["MAX_FILE_BYTES", "MAX_NOTES", "PhotoNote", "Record", "check_size", "read_record"]

MAX_NOTES = 4000
"""Letters; what is longer is cut."""
MAX_FILE_BYTES = 64 * 1024 * 1024
"""Larger than 20 faces with everything about them, and small enough to be read by accident."""
MAX_THUMBNAIL_PX = 512
DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class PhotoNote:
    """One photo that a person was made from."""

    sha256: str
    """Of its pixels, as `analysis` counts them."""
    weight: float = 1.0
    report: PhotoReport | None = None


@dataclass(frozen=True, eq=False)
class Record:
    """Everything in a saved identity that drawing does not need."""

    photos: tuple[PhotoNote, ...] = ()
    notes: str = ""
    thumbnail_rgb: NDArray[np.uint8] | None = None
    """[H, W, 3]; None, which is the default everywhere, keeps every pixel out of the file."""

    @property
    def metadata(self) -> dict[str, str]:
        """What goes into a file's metadata; empty where there is nothing to remember."""
        if not self.photos and not self.notes:
            return {}
        photos = [
            {
                "sha256": photo.sha256,
                "weight": photo.weight,
                "report": photo.report.to_dict() if photo.report else None,
            }
            for photo in self.photos
        ]
        return {"record": json.dumps({"photos": photos, "notes": self.notes[:MAX_NOTES]})}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What goes beside the identity's tensors."""
        if self.thumbnail_rgb is None:
            return {}
        return {"thumbnail_rgb": torch.from_numpy(np.ascontiguousarray(self.thumbnail_rgb))}


def read_record(path: Path | str) -> Record:
    """Return what a saved identity remembers; an empty record where it remembers nothing. Raises FileError."""
    path = as_path(path, "path")
    check_size(path)
    if not is_safetensors(path):
        return Record()  # another program's file
    weights = read_weights(path)
    thumbnail, text = weights.tensors.get("thumbnail_rgb"), weights.metadata.get("record", "")
    try:
        values = json.loads(text) if text else {}
        photos = tuple(_photo_note(entry) for entry in values.get("photos", ()))
        return Record(photos, str(values.get("notes", ""))[:MAX_NOTES], _pixels(thumbnail))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, FileError) as error:
        raise FileError(f"{path.name} has a damaged record ({str(error)[:120]}). Save the person again.") from error


def check_size(path: Path) -> None:
    """Raise FileError for a file that is far too large to be a saved identity."""
    if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        raise FileError(
            f"{path.name} is not a saved identity: it has {path.stat().st_size:,} bytes, and at most "
            f"{MAX_FILE_BYTES:,} were expected."
        )


def _photo_note(entry: Mapping[str, Any]) -> PhotoNote:
    sha256, weight = str(entry["sha256"]), float(entry["weight"])
    if len(sha256) != 64 or not DIGITS.issuperset(sha256) or not 0 <= weight < math.inf:
        raise ValueError(f"a photo of weight {weight} without a hash")
    return PhotoNote(sha256, weight, PhotoReport.from_dict(entry["report"]) if entry.get("report") else None)


def _pixels(thumbnail: Tensor | None) -> NDArray[np.uint8] | None:
    if thumbnail is None:
        return None
    shape = tuple(thumbnail.shape)
    is_picture = thumbnail.dtype == torch.uint8 and len(shape) == 3 and shape[2] == 3
    if not is_picture or min(shape[:2]) < 1 or max(shape[:2]) > MAX_THUMBNAIL_PX:
        raise ValueError(f"a thumbnail of {thumbnail.dtype} {list(shape)}")
    return thumbnail.clone().numpy()
