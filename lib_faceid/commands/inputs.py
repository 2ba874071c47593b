"""What the commands that deal with photos and people are given: models, a library, files and folders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lib_faceid.faces.analyser import FaceAnalyser
    from lib_faceid.people.library import People
    from lib_faceid.references.analysis import AnalysedPhoto

__all__ = ["analysed", "analyser_of", "library_of", "photos_in", "with_progress"]

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".jp2"}


def analyser_of(options: argparse.Namespace) -> FaceAnalyser:
    """Return the face models that were named, or those of the usual places."""
    from lib_faceid.faces.analyser import load_face_analyser

    return load_face_analyser(options.face_models)


def library_of(options: argparse.Namespace) -> People:
    """Return the people library that was named, or that of the usual place."""
    from lib_faceid.people.library import People, open_library

    return People(options.faces) if options.faces else open_library()


def analysed(path: Path, analyser: FaceAnalyser) -> tuple[NDArray[np.uint8], AnalysedPhoto]:
    """Return a photo's pixels and who is in it."""
    from lib_faceid.pictures.photo import read_photo
    from lib_faceid.references.analysis import analyse

    image_rgb = read_photo(path)
    return image_rgb, analyse(image_rgb, analyser)


def photos_in(texts: Sequence[str]) -> list[Path]:
    """Return the files, and of folders the pictures in them by name."""
    found: list[Path] = []
    for path in map(Path, texts):
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [file for file in files if file == path or file.suffix.lower() in PHOTO_SUFFIXES]
    return found


def with_progress(paths: Sequence[Path]) -> Iterator[Path]:
    """Give the paths one by one, with a bar in the terminal where there are several."""
    is_shown = sys.stderr.isatty() and len(paths) > 1
    for done, path in enumerate(paths):
        if is_shown:
            bar = "#" * (20 * done // len(paths))
            sys.stderr.write(f"\r[{bar:<20}] {done}/{len(paths)}")
            sys.stderr.flush()
        yield path
    if is_shown:
        sys.stderr.write("\r" + " " * 40 + "\r")
