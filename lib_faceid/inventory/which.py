"""Which adapter to take: what each is good for, whether it can be used here, and what was measured with it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib_faceid.faces.recognisers import PACKS
from lib_faceid.inventory.check import SetupReport
from lib_faceid.inventory.measured import Measurement
from lib_faceid.inventory.rows import Row
from lib_faceid.methods.method import Method, Variant
from lib_faceid.methods.registry import METHODS, by_id

__all__ = ["FIGURES", "Choice", "Choices", "which_one"]

USUAL_PACK = "buffalo_l"

FIGURES: Mapping[str, tuple[str, str, str]] = {
    "face": ("Likeness", "of the face to the reference: higher is more alike", ".2f"),
    "clip_text": ("Prompt", "how well the picture fits the prompt (CLIP-T): higher is better", ".1f"),
    "variety": ("Sameness", "of the face with two seeds: lower is more varied", ".2f"),
    "seconds": ("Seconds", "a picture", ".1f"),
    "memory_mib": ("MiB", "the most memory", ",.0f"),
}
"""Figure of an evaluation -> its heading, what it means, its digits."""


@dataclass(frozen=True)
class Choice:
    """One adapter that is here, or that can be got."""

    label: str
    file: str
    """Its file's name; "" where it is not here."""
    lacks: str
    """Why it cannot be used; "" where it can."""
    is_auto: bool
    """Whether Auto takes it."""
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Choices:
    """The adapters of one method, with what it is good for."""

    method: Method
    choices: Sequence[Choice]


def which_one(report: SetupReport, measurement: Measurement | None = None) -> list[Choices]:
    """Return every method that has adapters for the checkpoint, with each of them: ready ones first."""
    rows = [row for row in report.rows if row.kind == "adapter" and row.variant]
    found: list[Choices] = []
    for method in METHODS:
        own = [row for row in rows if row.variant and by_id(row.variant) in method.variants]
        choices = [_choice(row, report, measurement) for row in own]
        if choices:
            found.append(Choices(method, sorted(choices, key=lambda one: (not one.file, bool(one.lacks)))))
    return found


def _choice(row: Row, report: SetupReport, measurement: Measurement | None) -> Choice:
    path = row.paths[0] if row.paths and row.status == "found" else None
    autos = [one.adapter for one in report.auto if one.adapter]
    return Choice(
        label=row.label,
        file=path.name if path else "",
        lacks=_lacks(row, report),
        is_auto=path is not None and path in autos,
        figures=measurement.of(path) if measurement and path else {},
    )


def _lacks(row: Row, report: SetupReport) -> str:
    if row.status == "damaged":
        return "damaged"
    if row.status == "missing":
        return "not here"
    needed = _needed(by_id(row.variant or ""))
    missing = [one.label for one in report.rows if one.entry and one.entry.id in needed and one.status != "found"]
    return f"lacks {' and '.join(missing)}" if missing else ""


def _needed(variant: Variant) -> Sequence[str]:
    """Return the models that a variant needs beside its file, as the catalogue calls them."""
    faces = [PACKS[variant.recogniser] if variant.requires_recogniser else USUAL_PACK] if variant.reads_face else []
    return [*variant.encoders, *faces]
