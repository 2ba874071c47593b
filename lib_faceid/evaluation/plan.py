"""The pictures of an evaluation, in order, and what they have in common: what is drawn is not drawn again."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lib_faceid.errors import FileError
from lib_faceid.evaluation.inputs import CLASS, Subject
from lib_faceid.evaluation.protocols import Protocol
from lib_faceid.whole_files import write_json

__all__ = ["ALONE", "Cell", "Lines", "Plan", "open_folder"]

ALONE = ""
"""The adapter of the pictures that the checkpoint draws alone."""
VERSION = 1


@dataclass(frozen=True)
class Cell:
    """One picture."""

    adapter: str
    people: tuple[str, ...]
    """Empty where nobody is asked for."""
    prompt: str
    seed: int

    @property
    def key(self) -> str:
        """What it is known by."""
        return json.dumps([self.adapter, list(self.people), self.prompt, self.seed], ensure_ascii=False)


@dataclass(frozen=True)
class Plan:
    """What is drawn, and how."""

    protocol: Protocol
    people: tuple[Subject, ...]
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    adapters: tuple[str, ...]
    checkpoint: str
    steps: int
    cfg: float
    size_px: tuple[int, int] | None
    weight: float
    lora: float

    @property
    def settings(self) -> dict[str, Any]:
        """What every picture of a folder must share; people, prompts, seeds and adapters may be added later."""
        return {
            "version": VERSION,
            "protocol": self.protocol.id,
            "checkpoint": self.checkpoint,
            "steps": self.steps,
            "cfg": self.cfg,
            "size_px": None if self.size_px is None else list(self.size_px),
            "weight": self.weight,
            "lora": self.lora,
        }

    def cells(self) -> Iterator[Cell]:
        """Give every picture: those of the checkpoint alone first, then adapter by adapter and person by person."""
        words = sorted({subject.word for subject in self.people})
        texts = {subject.prompt(text) for subject in self.people for text in self.prompts}
        alone = [
            text for text in dict.fromkeys(t.replace(CLASS, w) for t in self.prompts for w in words) if text in texts
        ]
        for text, seed in itertools.product(alone, self.seeds):
            yield Cell(ALONE, (), text, seed)
        for adapter, group in itertools.product(self.adapters, self.groups()):
            names = tuple(one.name for one in group)
            for text, seed in itertools.product(self.prompts, self.seeds):
                yield Cell(adapter, names, group[0].prompt(text), seed)

    def groups(self) -> list[tuple[Subject, ...]]:
        """Return who is asked for together: each person, or all pairs."""
        return list(itertools.combinations(self.people, self.protocol.at_once))

    def subject(self, name: str) -> Subject:
        """Return the person of that name."""
        return next(one for one in self.people if one.name == name)


class Lines:
    """A file of one JSON object a line, each with its `key`: written whole or not at all, read after any end."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: dict[str, dict[str, Any]] = {}
        for row in _rows(file):
            self.rows[str(row["key"])] = row

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row, so that it is on the disk when this returns."""
        text = json.dumps(row, ensure_ascii=False)
        with self.file.open("a+b") as file:
            if file.tell() and not _ends_a_line(self.file):
                file.write(b"\n")  # what was cut off is left to stand alone
            file.write(text.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows[str(row["key"])] = dict(row)


def _ends_a_line(file: Path) -> bool:
    with file.open("rb") as opened:
        opened.seek(-1, os.SEEK_END)
        return opened.read(1) == b"\n"


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_bytes().split(b"\n") if file.is_file() else ():
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError:  # the program was ended while it wrote this one
            continue
        if isinstance(row, dict) and "key" in row:
            yield cast("dict[str, Any]", row)


def open_folder(out: Path, plan: Plan) -> None:
    """Make the folder of an evaluation, or go on in it. Raises FileError where its settings are others."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "plan.json"
    if not file.is_file():
        write_json(file, plan.settings)
        return
    try:
        before = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise FileError(f"{file} is damaged. Choose another folder with --out DIR.") from error
    for name, value in plan.settings.items():
        found: Any = cast("dict[str, Any]", before).get(name) if isinstance(before, dict) else None
        if found != value:
            raise FileError(
                f"{out} holds an evaluation with {name} {found!r}, and {value!r} was asked for. Choose another folder "
                "with --out DIR, or ask for the same."
            )
