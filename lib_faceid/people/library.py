"""The people library: a folder with one file per person. Needs no photo, no detector and no CLIP.

A name from a user never becomes a path: what is there is listed, and the name is looked for in the list; what is
new gets a harmless name first. Links are not followed.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from lib_faceid.arguments import as_path
from lib_faceid.errors import FaceIDError, FileError
from lib_faceid.faces.recognisers import is_same_space
from lib_faceid.models.folders import Roots, usual_roots
from lib_faceid.models.leftovers import is_leftover
from lib_faceid.models.locked import locked
from lib_faceid.people.approval import SUFFIX as APPROVED
from lib_faceid.people.approval import Approval, approval_of, approve, remove_approval, withdraw
from lib_faceid.people.index import Known, forget_known, known_of, purpose_of
from lib_faceid.people.names import MAX_NAME, folded, harmless_name, safe_name
from lib_faceid.references.analysis import forget_all as forget_photos
from lib_faceid.references.files import load_reference, save_reference
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import Record, read_record
from lib_faceid.references.reference import Reference
from lib_faceid.units.unit import Purpose

__all__ = ["People", "Person", "open_library"]

SUFFIX = ".safetensors"
WAIT_SECONDS = 10.0  # for another program that writes
MIN_DIGITS = 8  # of a photo's hash: fewer could be anybody's


@dataclass(frozen=True)
class Person:
    """One saved person."""

    name: str
    identity: Reference
    """An Identity for a person, a plain Reference for a saved image."""
    record: Record


def open_library(roots: Roots | None = None) -> People:
    """Return the library of the usual place: models/faceid/faces. Nothing is made on the disk."""
    roots = roots or usual_roots()
    return People(roots.own / "faceid" / "faces")


class People:
    """The people saved in one folder.

    >>> people = People("people")
    >>> people.save("Anna", person)
    'Anna'
    >>> people.names(), people.identity("Anna").num_faces
    (('Anna',), 1)
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = as_path(folder, "folder")

    def names(self, purpose: Purpose | None = None) -> tuple[str, ...]:
        """Return what is saved, by name: people, images, or both. For both, files are not opened."""
        files = self._files().items()
        named = [name for name, file in files if purpose is None or purpose_of(file) == purpose]
        return tuple(sorted(named, key=str.casefold))

    def path(self, name: str) -> Path:
        """Return a person's file. Raises FileError when there is none of this name."""
        files = self._files()
        if name not in files:
            there = ", ".join(sorted(files, key=str.casefold)[:20]) or "nobody"
            raise FileError(f"There is no saved person {name[:MAX_NAME]!r}. Saved: {there}.")
        return Path(files[name].path)

    def load(self, name: str) -> Person:
        """Return a saved person. Raises FileError when there is none of this name, or the file is damaged."""
        path = self.path(name)
        return Person(name, load_reference(path), read_record(path))

    def identity(self, name: str) -> Identity:
        """Return a saved person's identity. Raises FileError where there is none, or where it is a saved image."""
        return Identity.load(self.path(name))

    def hashes_of(self, name: str) -> tuple[str, ...]:
        """Return the hashes by which a saved person's pictures are known elsewhere: none for an unknown name.

        Of the photos, and of the person. Raises FileError for a damaged file.
        """
        if name not in self.names():
            return ()
        person = self.load(name)
        return (*(photo.sha256 for photo in person.record.photos), person.identity.fingerprint)

    def save(self, name: str, identity: Reference, record: Record | None = None, *, overwrite: bool = False) -> str:
        """Write a person, whole or not at all, and return the name that was used, which is harmless.

        Raises FileError when there is one of this name and `overwrite` does not allow it, or the disk refuses.
        """
        name = safe_name(name)
        with self._writing(may_make=True):
            present = self._same_name(name)
            if present and not overwrite:
                raise FileError(f"There is a saved person '{present}' already. Choose another name, or overwrite it.")
            path = self.path(present) if present else self.folder / f"{name}{SUFFIX}"
            remove_approval(path)
            save_reference(path, identity, record)
        return present or name

    def rename(self, old: str, new: str) -> str:
        """Give a person another name, and return the name that was used. Raises FileError when it is taken."""
        path, new = self.path(old), safe_name(new)
        with self._writing():
            present = self._same_name(new)
            if present and present != old:
                raise FileError(f"There is a saved person '{present}' already. Choose another name.")
            remove_approval(path)  # it was given to another name
            path.rename(self.folder / f"{new}{SUFFIX}")
        return new

    def delete(self, name: str) -> None:
        """Remove a person from the disk, also what was left of one being saved, and everybody's photos from memory."""
        path = self.path(name)
        with self._writing():
            path.unlink()
            remove_approval(path)
            for left in self._left_over(path.name):
                left.unlink(missing_ok=True)
        _forget()

    def approve(self, name: str, by: str, note: str = "") -> Approval:
        """Write down that somebody agreed to a person as saved now, and return that. Any change takes it back."""
        return approve(self.path(name), by, note)

    def approval(self, name: str) -> Approval | None:
        """Return who agreed to a person, also where it changed since; None where nobody did."""
        return approval_of(self.path(name))

    def withdraw(self, name: str) -> bool:
        """Take an approval back, and return whether there was one."""
        return withdraw(self.path(name))

    def export(self, name: str) -> bytes:
        """Return a person's file: copied into another library it is that person there."""
        path = self.path(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise FileError(f"{name[:MAX_NAME]!r} cannot be read: {error.strerror}. Refresh the list.") from error

    def forget_all(self) -> int:
        """Remove everybody from the disk and from memory, and return how many people that were."""
        if not self.folder.is_dir():
            return 0
        with self._writing():
            files = self._files()
            approvals = self.folder.glob(f"*{APPROVED}")
            for path in [*map(Path, files.values()), *self._left_over(""), *approvals]:
                path.unlink(missing_ok=True)
        _forget()
        return len(files)

    def find(self, text: str) -> Person | None:
        """Return the person of this name, or made from the photo whose hash begins so (8 digits or more)."""
        return self.load(text) if text in self._files() else self.made_from([text])

    def made_from(self, hashes: Sequence[str], purpose: Purpose | None = None) -> Person | None:
        """Return what was made from these photos: from no others, if there is one, or else from others too.

        purpose: to look for people, or for images, alone.
        hashes: how those of the photos' pixels begin, 8 digits or more, or that of the identity itself.
        """
        if not hashes or min(map(len, hashes)) < MIN_DIGITS:
            return None
        names = None if purpose is None else set(self.names(purpose))
        known = [(name, one) for name, one in self._known() if names is None or name in names]
        everybody = [(name, one) for name, one in known if one.has(hashes)]
        best = min(everybody, key=lambda one: len(one[1].photos), default=None)
        return self.load(best[0]) if best else None

    def most_alike(self, identity: Identity) -> tuple[tuple[str, float], ...]:
        """Return (name, cosine) of everybody who was made by the same recogniser, the most alike first."""
        direction = identity.median().normed_embeddings[0]
        alike = [
            (name, known.direction)
            for name, known in self._known()
            if known.direction is not None and is_same_space(known.recogniser, identity.recogniser)
        ]
        if not alike:
            return ()
        cosines = torch.stack([direction for _, direction in alike]) @ direction
        found = zip((name for name, _ in alike), cosines.tolist(), strict=True)
        return tuple(sorted(found, key=lambda pair: -pair[1]))

    @contextmanager
    def _writing(self, *, may_make: bool = False) -> Generator[None, None, None]:
        """Keep threads and other programs from writing meanwhile. Raises FileError for what the disk refuses."""
        try:
            if may_make:
                self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder, _busy, WAIT_SECONDS):
                yield
        except FileNotFoundError as error:
            raise FileError("That saved person is gone: somebody deleted or renamed it. Refresh the list.") from error
        except OSError as error:
            message = f"The library of people cannot be written: {error.strerror}. Check its folder."
            raise FileError(message) from error

    def _left_over(self, file_name: str) -> list[Path]:
        """Return what programs that were ended while saving have left: of one file, or of all."""
        pattern = re.compile(rf"{re.escape(file_name) or '.*'}\.[0-9a-f]+\.part", re.DOTALL)
        return [path for path in self.folder.iterdir() if pattern.fullmatch(path.name)]

    def _known(self) -> list[tuple[str, Known]]:
        """Return by name what people are looked up by."""
        found: list[tuple[str, Known]] = []
        for name, file in sorted(self._files().items(), key=lambda item: item[0].casefold()):
            try:
                found.append((name, known_of(file)))
            except (FaceIDError, OSError):  # noqa: PERF203 - a damaged file must not hide the others
                continue
        return found

    def _files(self) -> dict[str, os.DirEntry[str]]:
        """Return everybody's file by name. The folder says what is a file; no disk is asked for each.

        A file that somebody put here may be called what no person can be ("a>b", blanks at the ends, letters of macOS):
        it goes by its harmless name, and by a number where another one has that.
        """
        try:
            with os.scandir(self.folder) as entries:
                files = [
                    one
                    for one in entries
                    if one.name.strip().endswith(SUFFIX)
                    and not is_leftover(Path(one.name))
                    and one.is_file(follow_symlinks=False)
                ]
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise FileError(f"The library of people cannot be read: {error.strerror}. Check its folder.") from error
        named = [(harmless_name(one.name.strip().removesuffix(SUFFIX)), one) for one in files]
        # Those whose files are called as they are come first: a stranger takes nobody's name.
        named.sort(key=lambda pair: (f"{pair[0]}{SUFFIX}" != pair[1].name, pair[1].name))
        found: dict[str, os.DirEntry[str]] = {}
        for name, one in named:
            free = (f"{name} {number}" if number > 1 else name for number in itertools.count(1))
            found[next(text for text in free if text not in found)] = one
        return found

    def _same_name(self, name: str) -> str:
        """Return the person whose file this name would overwrite, also on a disk that knows no capitals."""
        key = folded(name)
        return next((one for one in self._files() if folded(one) == key), "")


def _busy() -> FileError:
    return FileError("The library of people is being written by another program. Try again in a moment.")


def _forget() -> None:
    """Forget everybody who is kept in memory, in any way."""
    forget_photos()
    forget_known()
