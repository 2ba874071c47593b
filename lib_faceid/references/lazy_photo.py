"""A photo that is decoded when somebody needs its pixels, and told from others without: by its file, seen before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib_faceid.pictures.photo import read_photo
from lib_faceid.pictures.sources import PhotoSource
from lib_faceid.references.single_flight import Recent

__all__ = ["Opened", "digest", "forget_files"]


class Opened:
    """One photo, and its pixels while it is needed. A phone's takes 0.1 s to decode, and 2 ms to be recognised."""

    def __init__(self, source: PhotoSource) -> None:
        self._source = source
        self._pixels: NDArray[np.uint8] | None = None
        self._sha256 = ""

    @classmethod
    def decoded(cls, image_rgb: NDArray[np.uint8]) -> Opened:
        """Return the photo of upright pixels (uint8 RGB [H, W, 3]), which are used as they are."""
        photo = cls(image_rgb)
        photo._pixels = image_rgb
        return photo

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Its upright pixels, uint8 RGB [H, W, 3]. Raises PhotoError where there is no picture in it."""
        if self._pixels is None:
            self._pixels = read_photo(self._source)
        return self._pixels

    @property
    def sha256(self) -> str:
        """The digest of its pixels, so that a copy of the file or another format of it is the same photo."""
        if not self._sha256:
            file = _bytes_of(self._source)
            if file is None:
                self._sha256 = digest(self.pixels)
            else:
                self._sha256 = _digests.get(hashlib.sha256(file).digest(), lambda: digest(self.pixels))
        return self._sha256


def digest(image_rgb: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of the pixels and their arrangement."""
    made = hashlib.sha256(str(image_rgb.shape).encode())
    made.update(np.ascontiguousarray(image_rgb).data)
    return made.hexdigest()


def forget_files() -> None:
    """Forget which files were seen."""
    _digests.clear()


_digests = Recent[str](256)  # the hash of a file's bytes -> that of its pixels


def _bytes_of(source: PhotoSource) -> bytes | None:
    """Return what is in the file; None for pixels, and for what `read_photo` will say more about."""
    if isinstance(source, bytes):
        return source
    if not isinstance(source, (str, Path)):
        return None
    try:
        return Path(source).read_bytes() if Path(source).is_file() else None
    except (OSError, ValueError):  # no path at all
        return None
