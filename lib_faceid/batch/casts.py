"""Who is in a picture, as a manifest's cell says it: saved people or photos, each with settings, as in a prompt's tag.

Anna                                 one saved person
Anna:0.8:left + Ben:0.7:right        two, with weight and region
photos/anna.jpg & photos/anna2.jpg:0.9:face=2      somebody in two photos
{"person": "Anna", "weight": 0.8}    the same as an object, in JSONL and YAML
[{"photos": ["a.jpg"]}, "Ben:0.5"]   several in one picture; a list of such lists is one picture each
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from lib_faceid.arguments import shown
from lib_faceid.batch.known import Known, require_named
from lib_faceid.batch.mistakes import CellError
from lib_faceid.batch.unit_pictures import MANY, ONE, with_pictures
from lib_faceid.errors import FaceIDError, UnitError
from lib_faceid.models.person_suffixes import is_person_file
from lib_faceid.pictures.files import PREFIX_BYTES, is_picture
from lib_faceid.units.tags import saved_name, settings_of_tag, tag_parts
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import AUTO, FIELDS, PICTURES, Photo, Purpose, Unit

__all__ = ["NOBODY", "UNIT_COLUMNS", "Cast", "CastReader", "picture_problem", "unit_of"]

PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic")
NOT_HERE = ("enabled", "batch", "image")
IN_TEXT = (*NOT_HERE, *PICTURES, "person")
UNIT_COLUMNS = tuple(name for name in FIELDS if name not in IN_TEXT)
"""Fields that a column may set for everybody in its rows."""
TOGETHER, ALSO = re.compile(r"\s\+\s"), re.compile(r"\s&\s")


@dataclass(frozen=True)
class Cast:
    """Everybody in one picture."""

    label: str
    """Their names, for people to read: "Anna + Ben"."""
    units: tuple[Mapping[str, Any], ...]
    """The units' settings as plain values; photos by whole paths, those of this machine."""

    @cached_property
    def text(self) -> str:
        """What tells one from another."""
        return json.dumps(self.units, sort_keys=True, ensure_ascii=False)

    @cached_property
    def mark(self) -> int:
        """The same in short, in this run of the program."""
        return hash(self.text)

    @cached_property
    def who(self) -> tuple[str, ...]:
        """The identities in it, one text each."""
        return tuple(f"{one.get('person') or json.dumps(one.get('images'))}" for one in self.units)


NOBODY = Cast("", ())


def unit_of(settings: Mapping[str, Any]) -> Unit:
    """Return the unit of plain settings, photos as paths. Raises UnitError."""
    return Unit.from_dict(with_pictures(settings, Path, Photo))


class CastReader:
    """Reads cells of people. folder: what relative paths begin at."""

    def __init__(self, known: Known, folder: Path) -> None:
        self._known, self._folder = known, folder
        self._pictures: dict[str, str] = {}

    def casts(self, raw: Any) -> tuple[tuple[Mapping[str, Any], ...], ...]:
        """Return the casts of a cell: units by their settings. Raises FaceIDError."""
        if isinstance(raw, list):
            return tuple(self._cast(one) for one in cast("list[Any]", raw))
        return (self._cast(raw),)

    def finished(self, units: Sequence[Mapping[str, Any]], columns: Mapping[str, Any]) -> Cast:
        """Return the cast with what columns set for all of it, checked as a whole. Raises UnitError."""
        whole = tuple({**columns, **one} for one in units)
        for number, one in enumerate(whole):
            try:
                unit = unit_of(one)
                self._check_adapter(unit.adapter)
            except FaceIDError as error:  # noqa: PERF203 - a handful of people
                who = f"person {number + 1}: " if len(whole) > 1 else ""
                column = getattr(error, "column", "")
                raise CellError(column if column in columns else "", f"{who}{error}") from error
        return Cast(" + ".join(map(_label, whole)), whole)

    def _cast(self, raw: Any) -> tuple[Mapping[str, Any], ...]:
        if isinstance(raw, str):
            return tuple(self._text(part) for part in TOGETHER.split(raw))
        if isinstance(raw, list):
            return tuple(unit for part in cast("list[Any]", raw) for unit in self._cast(part))
        if isinstance(raw, dict):
            return (self._object(cast("dict[str, Any]", raw)),)
        raise CellError("people", f"{shown(raw)} is nobody; a name, a photo's file, or an object was expected.")

    def _text(self, text: str) -> Mapping[str, Any]:
        name, *parts = tag_parts(text.strip())
        settings = settings_of_tag(parts, IN_TEXT)
        photos = [part.strip() for part in ALSO.split(name)]
        if photos[0].lower().endswith(PHOTO_ENDINGS):
            return {"images": [[self._photo(one), 1.0] for one in photos], **settings}
        return {"person": self._person(name, settings.get("purpose", "person")), **settings}

    def _object(self, values: dict[str, Any]) -> Mapping[str, Any]:
        found = dict(values)
        if "photos" in found:
            found["images"] = found.pop("photos")
        for name in NOT_HERE:
            if name in found:
                raise CellError("people", f"{name} cannot be set in a manifest.")
        found |= {name: self._photos(found[name]) for name in MANY if name in found}
        found |= {name: self._photo(found[name]) for name in ONE if found.get(name)}
        if "person" in found:
            if not isinstance(found["person"], str):
                raise CellError("people", f"person is {shown(found['person'])}; a name was expected.")
            found["person"] = self._person(found["person"], found.get("purpose", "person"))
        if not found.get("person") and not found.get("images"):
            raise CellError("people", "nobody is named; person or photos was expected.")
        return {
            name: typed(FIELDS[name], one) if name in FIELDS and isinstance(one, str) else one
            for name, one in found.items()
        }

    def _photos(self, raw: Any) -> list[list[Any]]:
        found: list[list[Any]] = []
        for one in cast("list[Any]", raw) if isinstance(raw, list) else [raw]:
            if isinstance(one, dict) and set(cast("dict[str, Any]", one)) <= {"image", "weight"}:
                values = cast("dict[str, Any]", one)
                found.append([self._photo(values.get("image")), values.get("weight", 1.0)])
            else:
                found.append([self._photo(one), 1.0])
        return found

    def _photo(self, name: Any) -> str:
        """Return the whole path of a picture's file. Raises CellError; each file is opened once."""
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise CellError("people", f"{shown(name)} is no photo; a file's name was expected.")
        path = str(self._folder / name)
        if path not in self._pictures:
            self._pictures[path] = picture_problem(Path(path))
        if self._pictures[path]:
            raise CellError("people", f"{name[:80]} {self._pictures[path]}")
        return path

    def _person(self, name: str, purpose: Any) -> str:
        if self._known.reads_files and is_person_file(name) and (self._folder / name).is_file():
            return str(self._folder / name)
        if self._known.names is None:
            return name
        kind: Purpose = "image" if purpose == "image" else "person"
        try:
            return saved_name(name, kind, self._known.names)
        except UnitError as error:
            raise CellError("people", str(error).replace("The prompt calls", "It calls", 1)) from error

    def _check_adapter(self, name: str) -> None:
        there = self._known.adapters
        if name == AUTO or there is None or (self._known.reads_files and Path(name).is_file()):
            return
        try:
            require_named(name, there, "adapter", "Put the file into models/faceid.")
        except FaceIDError as error:
            raise CellError("adapter", str(error)) from error


def picture_problem(path: Path) -> str:
    """Return what is wrong with a picture's file; "" where it can be read so far."""
    try:
        with path.open("rb") as file:
            return "" if is_picture(file.read(PREFIX_BYTES)) else "is no picture; a photo's file was expected."
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        return f"cannot be read ({why}). Check the path, from the manifest's folder on."


def _label(unit: Mapping[str, Any]) -> str:
    person = unit.get("person")
    return Path(person).stem if person and is_person_file(person) else person or Path(unit["images"][0][0]).stem
