"""What evaluations measured on this machine: figures that stand side by side, kept beside the saved people.

Only adapters of one evaluation can be compared: its people, prompts, seeds, checkpoint and judge are theirs alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from lib_faceid.models.folders import Roots
from lib_faceid.whole_files import read_json, write_json

__all__ = ["Measurement", "keep_measurement", "measurements"]

MOST_KEPT = 20


@dataclass(frozen=True)
class Measurement:
    """One evaluation. With the same checkpoint, the last one is kept."""

    checkpoint: str
    """The name of its file."""
    about: str
    """When, with how many pictures, by which judge, in words."""
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, dict[str, float]])
    """Adapter by the name of its file ("" for the checkpoint alone) -> name of a figure -> value."""

    def of(self, adapter: Path) -> Mapping[str, float]:
        """Return an adapter's figures, by its file; none where it was not measured."""
        return self.figures.get(adapter.name) or self.figures.get(adapter.stem) or {}


def measurements(roots: Roots) -> list[Measurement]:
    """Return those that are kept, the last one first. What cannot be read is left out."""
    found = (_measurement(name, one) for name, one in read_json(_file(roots)).items())
    return [one for one in found if one][::-1]


def keep_measurement(roots: Roots, one: Measurement) -> None:
    """Write one down. A disk that refuses costs a table, no more."""
    kept = {name: value for name, value in read_json(_file(roots)).items() if name != one.checkpoint}
    kept[one.checkpoint] = {name: value for name, value in asdict(one).items() if name != "checkpoint"}
    try:
        write_json(_file(roots), dict(list(kept.items())[-MOST_KEPT:]))
    except OSError:
        return


def _measurement(checkpoint: str, value: Any) -> Measurement | None:
    try:
        rows = cast("dict[str, dict[str, Any]]", value["figures"])
        figures = {
            str(adapter): {str(name): float(figure) for name, figure in row.items()} for adapter, row in rows.items()
        }
        return Measurement(checkpoint, str(value["about"]), figures)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _file(roots: Roots) -> Path:
    return roots.own / "faceid" / "measured.json"
