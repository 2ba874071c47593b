"""What a photo may come as: a path, the bytes of a file, an open file, a picture of Pillow's, pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.arguments import shown
from lib_faceid.errors import PhotoError

__all__ = ["PhotoSource", "as_photos", "as_source"]

PhotoSource = str | Path | bytes | Image.Image | NDArray[Any]
"""What `read_photo` takes. A `str` is always a path; base64 goes through `decode_base64` first."""
SOURCES = (str, Path, bytes, Image.Image, np.ndarray)


def as_photos(photos: Any) -> list[PhotoSource]:
    """Return one photo, or those of any iterable, as a list of what `read_photo` takes.

    An open file and other bytes are read; an array of four dimensions is several photos. Raises PhotoError, naming the
    photo and its type.
    """
    is_one = isinstance(photos, (*SOURCES, bytearray, memoryview, os.PathLike)) or hasattr(photos, "read")
    is_batch = isinstance(photos, np.ndarray) and photos.ndim == 4
    if is_one and not is_batch:
        return [as_source(photos, "photos")]
    if not isinstance(photos, Iterable) or isinstance(photos, Mapping):
        raise _no_photo("photos", photos)
    several = cast("Iterable[Any]", photos)
    return [as_source(one, f"photos[{number}]") for number, one in enumerate(several)]


def as_source(value: Any, name: str) -> PhotoSource:
    """Return one photo as what `read_photo` takes. Raises PhotoError, naming it by that name."""
    if isinstance(value, SOURCES):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, os.PathLike):
        return Path(os.fsdecode(value))
    content = value.read() if hasattr(value, "read") else None
    if not isinstance(content, bytes):
        raise _no_photo(name, value)
    return content


def _no_photo(name: str, value: Any) -> PhotoError:
    return PhotoError(
        f"{name} is {shown(value)}; a path, the bytes of a file, an open file, a PIL image or an array of uint8 "
        "[height, width, 3] was expected."
    )
