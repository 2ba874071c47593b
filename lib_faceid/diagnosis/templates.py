"""Prompt templates: the blocks of a prompt as a JSON file that a team shares. Five neutral ones come along.

A team's own lie in `models/faceid/templates`, one file each, and stand before ours; one of the same name replaces ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from lib_faceid.diagnosis.prompt_blocks import BLOCKS
from lib_faceid.errors import FileError
from lib_faceid.whole_files import write_json

__all__ = ["OURS", "Template", "read_template", "read_templates", "save_template"]

OURS = Path(__file__).parent / "templates"
MAX_BYTES, MAX_LETTERS, MAX_NAME_LETTERS, MAX_FILES = 64 * 1024, 1_000, 60, 500
KEYS = ("name", "blocks", "negative")


@dataclass(frozen=True)
class Template:
    """The blocks of a prompt, each as text; a block that is not there is empty."""

    name: str
    blocks: Mapping[str, str] = field(default_factory=dict[str, str])
    negative: str = ""

    @property
    def prompt(self) -> str:
        """The prompt: the blocks in their order, those that say something."""
        return ", ".join(text for block in BLOCKS if (text := self.blocks.get(block, "").strip(" ,")))

    def as_dict(self) -> dict[str, Any]:
        """Return it as its file has it."""
        return {"name": self.name, "blocks": dict(self.blocks), "negative": self.negative}


def read_template(path: Path) -> Template:
    """Return the template in a file. Raises FileError, naming what is wrong."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"{path.name} has {path.stat().st_size:,} bytes; a template has at most {MAX_BYTES:,}.")
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{path.name} cannot be read as a template ({str(error)[:100]}). Save it again.") from error
    return _template(values, path.name)


def read_templates(folder: Path | None = None) -> tuple[dict[str, Template], list[str]]:
    """Return name -> template, those of a team's folder first, then ours; and a sentence for each file left out."""
    found: dict[str, Template] = {}
    problems: list[str] = []
    for path in (*_files(folder), *_files(OURS)):
        try:
            template = read_template(path)
        except FileError as error:  # noqa: PERF203 - a handful of files
            problems.append(str(error))
        else:
            found.setdefault(template.name, template)
    return found, problems


def save_template(folder: Path, template: Template) -> Path:
    """Write a template into a team's folder and return its file. Raises FileError for one that cannot be."""
    checked = _template(template.as_dict(), "the template")
    letters = "".join(letter if letter.isalnum() else "_" for letter in checked.name.lower()).strip("_")
    if not letters:
        raise FileError(f"The template's name is {checked.name!r}; one with a letter or a digit was expected.")
    path = folder / f"{letters}.json"
    write_json(path, checked.as_dict(), ensure_ascii=False)
    return path


def _files(folder: Path | None) -> Iterable[Path]:
    if folder is None or not folder.is_dir():
        return ()
    return [path for path in sorted(folder.glob("*.json")) if path.is_file()][:MAX_FILES]


def _template(values: Any, where: str) -> Template:
    entries = _object(values, where)
    if unknown := entries.keys() - set(KEYS):
        raise FileError(f"{where} has {sorted(map(str, unknown))[:3]}; a template has {', '.join(KEYS)}.")
    blocks = _object(entries.get("blocks", {}), f"{where}: blocks")
    if unknown := blocks.keys() - set(BLOCKS):
        raise FileError(f"{where} has the block {min(map(str, unknown))[:60]!r}; blocks are {', '.join(BLOCKS)}.")
    texts = {block: _text(blocks[block], f"{where}: {block}", MAX_LETTERS) for block in BLOCKS if block in blocks}
    name = " ".join(_text(entries.get("name"), f"{where}: name", MAX_NAME_LETTERS).split())
    if not name:
        raise FileError(f"{where} has no name; a text of 1 to {MAX_NAME_LETTERS} letters was expected.")
    return Template(name, texts, _text(entries.get("negative", ""), f"{where}: negative", MAX_LETTERS))


def _object(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise FileError(f"{where} is a {type(values).__name__}; an object was expected.")
    return cast("dict[str, Any]", values)


def _text(value: Any, where: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        found = f"a text of {len(value)} letters" if isinstance(value, str) else f"a {type(value).__name__}"
        raise FileError(f"{where} is {found}; a text of up to {most} letters was expected.")
    return "".join(letter if letter.isprintable() else " " for letter in value)
