"""Whom and what an evaluation draws: a folder of people, a file of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_faceid.errors import FileError, PhotoError
from lib_faceid.models.leftovers import is_leftover
from lib_faceid.pictures.files import PREFIX_BYTES, is_picture

__all__ = ["CLASS", "Subject", "read_people", "read_prompts"]

CLASS = "{class}"
"""What stands in a prompt for what a person is: the text of the file class.txt in her folder, else "person"."""
MOST_PEOPLE, MOST_PROMPTS, MOST_LETTERS = 5_000, 10_000, 2_000


@dataclass(frozen=True)
class Subject:
    """One person: the first photo is the reference, the others are only compared with."""

    name: str
    photos: tuple[Path, ...]
    word: str = "person"

    def prompt(self, text: str) -> str:
        """Return a prompt for this person."""
        return text.replace(CLASS, self.word)


def read_people(folder: Path) -> list[Subject]:
    """Return the people of a folder by name: a folder of photos each, or a photo each. Raises FileError, PhotoError."""
    if not folder.is_dir():
        raise FileError(f"{folder} is no folder; one was expected with a photo, or a folder of photos, of each person.")
    found: list[Subject] = []
    for path in sorted(folder.iterdir()):
        if is_leftover(path):
            continue
        if path.is_dir():
            photos = tuple(one for one in sorted(path.iterdir()) if _is_picture(one))
            if not photos:
                raise PhotoError(
                    f"The folder {path.name} of {folder.name} has no photo. Put one there, or take it away."
                )
            found.append(Subject(path.name, photos, _word(path / "class.txt")))
        elif _is_picture(path):
            found.append(Subject(path.stem, (path,)))
    names = [one.name for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise FileError(f"{folder.name} has {twice[0]} twice, as a folder and as a photo. Rename one of them.")
    if not found or len(found) > MOST_PEOPLE:
        raise FileError(f"{folder.name} has {len(found)} people; 1 to {MOST_PEOPLE} were expected.")
    return found


def read_prompts(file: Path | None, own: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the protocol's own prompts, then those of a file, one a line; lines with # in front are left out."""
    lines: list[str] = []
    if file is not None:
        try:
            lines = file.read_text("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FileError(f"{file.name} is no UTF-8 text. Save it as UTF-8, one prompt a line.") from error
    given = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    prompts = tuple(dict.fromkeys([*own, *given]))
    if not prompts or len(prompts) > MOST_PROMPTS or max(map(len, prompts)) > MOST_LETTERS:
        raise FileError(
            f"There are {len(prompts)} prompts; 1 to {MOST_PROMPTS} of up to {MOST_LETTERS} letters were expected. "
            "Name a file with one prompt a line with --prompts FILE."
        )
    return prompts


def _is_picture(path: Path) -> bool:
    if not path.is_file() or is_leftover(path):
        return False
    with path.open("rb") as file:
        return is_picture(file.read(PREFIX_BYTES))


def _word(file: Path) -> str:
    return " ".join(file.read_text("utf-8").split())[:60] or "person" if file.is_file() else "person"
