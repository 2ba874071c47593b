"""A row of the setup check: one model, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lib_faceid.methods.registry import METHODS, by_id, method_of
from lib_faceid.models.catalogue import Entry, Kind
from lib_faceid.units.unit import Purpose

__all__ = ["Row", "Status", "damaged", "missing", "purpose_of"]

Status = Literal["found", "missing", "damaged"]


@dataclass(frozen=True)
class Row:
    """One model: where it is, or where to get it."""

    kind: Kind
    label: str
    status: Status
    family: int | None = None
    """Cross attention dimension of an adapter's checkpoints."""
    variant: str | None = None
    """The id of an adapter's variant."""
    paths: tuple[Path, ...] = ()
    size_bytes: int | None = None
    """Of what is here."""
    lora: str = ""
    """Where an adapter's LoRA is: "inside the adapter" or "none"."""
    note: str = ""
    """What is wrong, assumed or worth knowing; sentences."""
    entry: Entry | None = None
    """The published model that this is, or that is missing."""
    place: Path | None = None
    """Where a download would put it."""
    is_licence_accepted: bool = False
    purpose: Purpose | None = None
    """What references it is needed for; None for both."""


def missing(one: Entry) -> Row:
    """Return the row of a published model that is not here."""
    lora = ("inside the adapter" if by_id(one.variant).has_lora else "none") if one.variant else ""
    return Row(one.kind, one.label, "missing", one.family, one.variant, purpose=purpose_of(one), lora=lora, entry=one)


def purpose_of(one: Entry) -> Purpose | None:
    """Return what references a published model is needed for; None for both."""
    if one.kind == "face_models":
        return "person"
    readers = [method for method in METHODS for variant in method.variants if one.id in variant.encoders]
    purposes: set[Purpose] = {
        method.purpose for method in ([method_of(by_id(one.variant))] if one.variant else readers)
    }
    return next(iter(purposes)) if len(purposes) == 1 else None


def damaged(kind: Kind, path: Path, note: str, published: Entry | None) -> Row:
    """Return the row of a file that cannot be used; note: why."""
    variant = published.variant if published else None
    label, family = (published.label, published.family) if published else (path.name, None)
    named: Purpose | None = next((method.purpose for method in METHODS if method.is_named_in(path.name)), None)
    purpose = purpose_of(published) if published else named
    size_bytes = path.stat().st_size
    return Row(
        kind, label, "damaged", family, variant, (path,), size_bytes, note=note, entry=published, purpose=purpose
    )
