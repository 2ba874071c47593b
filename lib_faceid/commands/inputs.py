"""What the commands that deal with photos and people are given: models, a library, files and folders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import PhotoError
from lib_faceid.models.leftovers import is_leftover

if TYPE_CHECKING:
    from lib_faceid.faces.analyser import FaceAnalyser
    from lib_faceid.people.library import People
    from lib_faceid.references.analysis import AnalysedPhoto

__all__ = ["analysed", "analyser_of", "library_of", "photos_in", "with_progress"]

NAMED = 10  # of the files that are left out


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
    """Return the files, and of folders the pictures in them by name, whatever their endings are.

    What else is in a folder is named on standard error, but for what systems leave behind. Raises PhotoError for a
    folder without a picture.
    """
    found: list[Path] = []
    for path in map(Path, texts):
        found += _pictures_in(path) if path.is_dir() else [path]
    return found


def _pictures_in(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.iterdir()) if not is_leftover(path)]
    pictures = [path for path in files if _is_picture(path)]
    others = [f"{path.name}/" if path.is_dir() else path.name for path in files if path not in pictures]
    names = ", ".join(others[:NAMED]) + (f" and {len(others) - NAMED} more" if len(others) > NAMED else "")
    if not pictures:
        found = f"{len(others)} files or folders that are no pictures ({names})" if others else "nothing"
        raise PhotoError(
            f"The folder {folder.resolve().name} holds {found}; photos were expected. Name another one, or the files."
        )
    if others:
        sys.stderr.write(f"Left out in {folder.resolve().name}, as no pictures that can be read here: {names}.\n")
    return pictures


def _is_picture(path: Path) -> bool:
    """Return whether a file's content begins like a picture; true as well where it cannot be opened, to be told why."""
    from lib_faceid.pictures.files import PREFIX_BYTES, is_picture

    if not path.is_file():
        return path.is_symlink() and not path.exists()
    try:
        with path.open("rb") as file:
            return is_picture(file.read(PREFIX_BYTES))
    except OSError:
        return True


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
