"""What one row of a manifest asks for: the products of its lists, given one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lib_faceid.batch.casts import Cast
from lib_faceid.batch.columns import filled
from lib_faceid.batch.controls import Controls
from lib_faceid.batch.picture import Picture

__all__ = ["PEOPLE", "Asked", "Setting", "Settings", "fill_in"]

PEOPLE = ("people", "person")
"""The column of the cast, and what a prompt names it by."""


class Setting(NamedTuple):
    """One combination of everything but prompt and seed."""

    cast: Cast
    options: Mapping[str, Any]
    negative: str
    size: tuple[int, int] | None
    steps: int
    cfg: float
    checkpoint: str
    controls: Controls = ()


@dataclass(frozen=True)
class Settings:
    """All combinations of a row, prompts and seeds aside."""

    all: tuple[Setting, ...]
    negatives: tuple[str | None, ...]

    @property
    def cells(self) -> int:
        """How many there are."""
        return len(self.all)


@dataclass(frozen=True)
class Asked:
    """What one row asks for: products of its lists."""

    row: int
    settings: Settings
    prompts: tuple[tuple[str, Mapping[str, str]], ...]
    """As they stand there, and what their fields are filled with, beside the names of the cast."""
    seeds: tuple[int, ...]

    def pictures(self) -> Iterator[Picture]:
        """Give every picture, seeds changing fastest."""
        for cell, (one, (prompt, fields)) in enumerate(itertools.product(self.settings.all, self.prompts)):
            text = fill_in(prompt, fields, one.cast.label)
            for seed in self.seeds:
                yield Picture(
                    self.row, cell, text, seed, one.cast, one.negative, one.size, one.steps, one.cfg, one.checkpoint,
                    one.options, fields, one.controls,
                )  # fmt: skip


def fill_in(prompt: str, fields: Mapping[str, str], people: str) -> str:
    """Return a prompt with its fields filled in, and the names of its cast."""
    if "{" not in prompt and "}" not in prompt:
        return prompt
    return filled(prompt, {**fields, **dict.fromkeys(PEOPLE, people)})
