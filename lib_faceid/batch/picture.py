"""One picture of a manifest: all that decides it, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib_faceid.batch.casts import NOBODY, Cast

__all__ = ["Picture"]


@dataclass(frozen=True)
class Picture:
    """One picture."""

    row: int
    cell: int
    """Which of its row's combinations it is, seeds aside."""
    prompt: str
    seed: int
    cast: Cast = NOBODY
    negative: str = ""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None is what the checkpoint's family was trained on."""
    steps: int = 25
    cfg: float = 7.0
    checkpoint: str = ""
    """A name, or a file."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Those of the job: likeness target, best of, ..."""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its prompt's fields were filled with."""
    controls: Sequence[Mapping[str, Any]] = ()
    """What it follows: control units by their settings (`batch.controls`)."""

    @property
    def followed(self) -> str:
        """What tells what it follows from what another does; "" where it follows nothing."""
        return json.dumps(self.controls, sort_keys=True) if self.controls else ""

    @property
    def job(self) -> tuple[str, ...]:
        """What is the same in all pictures that one job can draw."""
        tags = self.prompt[self.prompt.index("<") :] if "<" in self.prompt else ""
        return self.checkpoint, self.cast.text, tags, json.dumps(self.options), self.followed

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "row": self.row,
            "cell": self.cell,
            "people": self.cast.label,
            "units": [dict(one) for one in self.cast.units],
            "prompt": self.prompt,
            "negative": self.negative,
            "seed": self.seed,
            "size": list(self.size) if self.size else None,
            "steps": self.steps,
            "cfg": self.cfg,
            "checkpoint": self.checkpoint,
            "options": dict(self.options),
            "fields": dict(self.fields),
            **({"controls": [dict(one) for one in self.controls]} if self.controls else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Picture:
        """Return what `as_dict` gave."""
        names = ("row", "cell", "prompt", "seed", "negative", "steps", "cfg", "checkpoint", "options", "fields")
        return cls(
            **{name: values[name] for name in names},
            cast=Cast(values["people"], tuple(values["units"])),
            size=tuple(values["size"]) if values["size"] else None,
            controls=tuple(values.get("controls") or ()),
        )

    @property
    def work(self) -> float:
        """How much there is to sample: steps times megapixels, twice with a negative side, for each seed tried."""
        width_px, height_px = self.size or (512, 512)
        sides = 2 if self.cfg > 1 else 1
        return self.steps * sides * width_px * height_px / 1e6 * self.options.get("best_of", 1)
