"""What a command is to write, tried before the work begins. Nothing is left behind by the trial."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from lib_faceid.errors import FileError

__all__ = ["require_file", "require_folder", "require_picture", "save_picture"]

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def require_folder(folder: Path) -> None:
    """Raise FileError unless files can be written into a folder, which need not be there yet."""
    with _trying(folder), _made(folder):
        tempfile.TemporaryFile(dir=folder).close()


def require_file(path: Path) -> None:
    """Raise FileError unless this file can be written; what is in it stays."""
    if path.is_dir():
        raise FileError(f"{path} is a folder, and a file's name was expected. Add one.")
    with _trying(path), _made(path.parent):
        if not path.exists():
            path.open("xb").close()
            path.unlink()
        elif path.is_file():
            path.open("r+b").close()


def require_picture(path: Path, photos: Iterable[Path] = ()) -> None:
    """Raise FileError unless a picture can be written to this file, which must be none of the photos that are read."""
    if path.suffix.lower() not in PICTURES:
        raise FileError(
            f"{path} has not the ending of a picture that can be written. Use one of {', '.join(PICTURES)}."
        )
    require_file(path)
    if path.exists() and any(photo.exists() and path.samefile(photo) for photo in photos):
        raise FileError(f"{path} is one of the photos, and would be overwritten. Choose another file.")


def save_picture(image: Image.Image, path: Path) -> None:
    """Write a picture to a file that `require_picture` found right; make its folder. Raises FileError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        image.save(path)
    except (OSError, ValueError) as error:
        raise FileError(
            f"{path} cannot be written: {error}. It has {image.width}x{image.height} px: PNG takes any size."
        ) from error


@contextmanager
def _trying(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"{path} cannot be written to ({error.strerror or error}). Choose another place.") from error


@contextmanager
def _made(folder: Path) -> Generator[None]:
    """Make the folders that are missing, and take them away again."""
    missing: list[Path] = []
    while not folder.exists() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    try:
        for one in reversed(missing):
            one.mkdir()
        yield
    finally:
        for one in missing:
            with suppress(OSError):  # was not made, or somebody else put something in
                one.rmdir()
