"""Pictures as files on the disk, each with its settings and, where that is wanted, that a model made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path
from typing import IO

from PIL.PngImagePlugin import PngInfo

from lib_faceid.app.session import GeneratedImage

__all__ = ["KeptPictures", "free_name", "save_picture"]


def free_name(folder: Path, stem: str, suffix: str) -> Path:
    """Return a name that is not taken: seed7.png, seed7-2.png, ..."""
    names = (f"{stem}{f'-{number}' if number > 1 else ''}{suffix}" for number in count(1))
    return next(folder / name for name in names if not (folder / name).exists())


def save_picture(generated: GeneratedImage, file: Path | IO[bytes]) -> None:
    """Write a PNG with its settings and, where that is wanted, that a model made it."""
    info = PngInfo()
    for key, text in generated.metadata.items():
        info.add_text(key, text)
    generated.image.save(file, "PNG", pnginfo=info)


@dataclass(eq=False)
class KeptPictures:
    """Where the pictures of one job are kept: in a folder for each day."""

    folder: Path | None
    """None: nowhere."""
    paths: list[Path] = field(default_factory=list[Path], init=False)
    problem: str = field(default="", init=False)
    """Why a picture could not be written. It is shown all the same."""

    def keep(self, generated: GeneratedImage) -> Path | None:
        """Write a picture and return its file; None where there is none."""
        if self.folder is None:
            return None
        folder = self.folder / f"{date.today():%Y-%m-%d}"  # noqa: DTZ011 - the day of who sits here
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = free_name(folder, f"seed{generated.request.seed}", ".png")
            save_picture(generated, path)
        except OSError as error:
            self.problem = f"Not kept on the disk: {folder} cannot be written to ({error.strerror or error})."
            return None
        self.paths.append(path)
        return path

    @property
    def words(self) -> str:
        """Where the pictures are, in a sentence; "" where none is kept."""
        if self.problem or not self.paths:
            return self.problem
        return f"Kept in {self.paths[0].parent.as_posix()}: {', '.join(path.name for path in self.paths)}."
