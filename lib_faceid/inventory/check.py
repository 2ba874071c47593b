"""What is there and what is missing: models, packages, and what "Auto" means right now. As data, for every surface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lib_faceid.bases.base_model import BASE_LABELS, bases_in_words, describe_base
from lib_faceid.encoders.clip_vision import check_clip_vision
from lib_faceid.errors import FileError, MissingPackageError, WrongFamilyError
from lib_faceid.faces.analyser import check_packages
from lib_faceid.inventory.auto import Auto, auto_of, trained_on
from lib_faceid.inventory.face_rows import face_row, other_face_rows
from lib_faceid.inventory.net_rows import net_rows
from lib_faceid.inventory.notes import miniature_note, size_note
from lib_faceid.inventory.rows import Row, damaged, missing, purpose_of
from lib_faceid.inventory.versions import NOT_INSTALLED, versions
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import identify_adapter
from lib_faceid.methods.method import Variant
from lib_faceid.methods.registry import METHODS, method_of, methods_for, variants
from lib_faceid.models.catalogue import Entry, adapter_entries, catalogue, entry
from lib_faceid.models.folders import Roots, every_folder, find_adapters, find_clip_vision, place_of
from lib_faceid.models.image_encoders import IMAGE_ENCODERS
from lib_faceid.models.licences import is_licence_accepted
from lib_faceid.models.listing import unreadable
from lib_faceid.units.unit import PURPOSES, Purpose

__all__ = ["GROUPS", "Auto", "Row", "SetupReport", "check_setup"]

GROUPS: Mapping[Purpose | None, str] = {"person": "For people", "image": "For images", None: "For both"}
"""A row's purpose -> the heading above such rows, in their order."""


@dataclass(frozen=True)
class SetupReport:
    """The state of this machine."""

    family: int | None
    """The loaded checkpoint's cross attention dimension; None where none is loaded."""
    rows: tuple[Row, ...]
    auto: tuple[Auto, ...]
    problems: tuple[str, ...]
    """What else keeps people from being drawn."""
    versions: dict[str, str]
    warnings: tuple[str, ...] = ()
    """What may be why something is not found."""

    @property
    def is_ready(self) -> bool:
        """Whether a person can be drawn from a photo."""
        faces = any(row.kind == "face_models" and row.status == "found" for row in self.rows)
        return faces and not self.problems and any(auto.adapter for auto in self.auto_for("person"))

    @property
    def is_ready_for_images(self) -> bool:
        """Whether an image can be used as a prompt. No face models are needed for that."""
        return any(auto.adapter for auto in self.auto_for("image"))

    @property
    def groups(self) -> dict[str, list[Row]]:
        """The rows below their headings: by what references they are needed for. Headings without rows are left out."""
        rows = {heading: [row for row in self.rows if row.purpose == one] for one, heading in GROUPS.items()}
        return {heading: found for heading, found in rows.items() if found}

    def auto_for(self, purpose: Purpose) -> tuple[Auto, ...]:
        """Return what Auto means for references of one purpose."""
        return tuple(auto for auto in self.auto if auto.purpose == purpose)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values; paths as text, unshortened."""
        content: dict[str, Any] = _jsonable(asdict(self))
        return {**content, "is_ready": self.is_ready, "is_ready_for_images": self.is_ready_for_images}


def check_setup(roots: Roots, family: int | None = None) -> SetupReport:
    """Return what a checkpoint of that cross attention dimension needs, and without one, what any checkpoint needs.

    Adapters are opened to know what they are; nothing is downloaded, and no model is loaded.
    """
    families = tuple(BASE_LABELS) if family is None else tuple(one for one in BASE_LABELS if one == family)
    adapters, unusable = _adapters(roots)
    encoders = {one: _encoder_row(one, roots) for one in IMAGE_ENCODERS if entry(one).family in (None, *families)}
    known = versions()
    of_some = other_face_rows(roots, families)
    why_not = {encoder: _why_no_encoder(row, known) for encoder, row in encoders.items()}
    why_not |= {one: "" if row.status == "found" else "it is not here." for one, row in of_some.items()}
    auto = tuple(
        auto_of(one, purpose, adapters, why_not)
        for purpose in PURPOSES
        for one in families
        if methods_for(purpose, one)  # nothing for people exists for FLUX.1
    )
    faces = face_row(roots, trained_on(auto, adapters))
    rows = [row for one in families for row in _adapter_rows(one, adapters)]
    rows = [*rows, *(row for row in unusable if row.family is None or row.family in families)]
    rows = sorted(
        [*rows, faces, *net_rows(find_adapters(roots), families), *of_some.values(), *encoders.values()],
        key=lambda row: list(GROUPS).index(row.purpose),
    )
    checkpoint = describe_base(family or 0)
    problems = [] if families else [f"Adapters exist for {bases_in_words()} only; the checkpoint is {checkpoint}."]
    try:
        known["onnxruntime"] += f" ({check_packages()})"
    except MissingPackageError as error:
        problems.append(str(error))
    placed, warnings = tuple(_with_place(row, roots) for row in rows), tuple(unreadable(every_folder(roots)))
    return SetupReport(family, placed, auto, tuple(problems), known, warnings)


Found = tuple[Path, Adapter]


def _adapters(roots: Roots) -> tuple[list[Found], list[Row]]:
    """Return the adapters, and rows for the files that are called like one and are none."""
    found: list[Found] = []
    unusable: list[Row] = []
    for path in find_adapters(roots):
        published = _published(path)
        try:
            found.append((path, identify_adapter(path)))
        except WrongFamilyError:
            continue
        except FileError as error:
            if published or any(method.is_named_in(path.name) for method in METHODS):
                unusable.append(damaged("adapter", path, str(error), published))
    return found, unusable


def _adapter_rows(family: int, adapters: Sequence[Found]) -> Iterator[Row]:
    """Give the files of each variant that exists for the family, or what is missing."""
    for variant in variants():
        if family not in variant.bases:
            continue
        files = [one for one in adapters if one[1].variant is variant and one[1].cross_attention_dim == family]
        yield from (_adapter_row(path, adapter) for path, adapter in files)
        if not files:
            best = next((one for one in adapter_entries(family) if one.variant == variant.id), None)
            yield missing(best) if best else _unpublished(variant, family)


def _unpublished(variant: Variant, family: int) -> Row:
    """Return the row of a missing adapter that this program does not download."""
    method = method_of(variant)
    note = f"Not downloaded from here: put it into models/faceid, from {method.source}."
    note = note if method.source else "No download of it is known here."
    return Row("adapter", _label(variant, family), "missing", family, variant.id, purpose=method.purpose, note=note)


def _adapter_row(path: Path, adapter: Adapter) -> Row:
    published, size_bytes = _published(path), path.stat().st_size
    fits = published and (published.family, published.variant) == (adapter.cross_attention_dim, adapter.variant.id)
    notes = [adapter.assumed, miniature_note(path), size_note(size_bytes, published if fits else None)]
    return Row(
        kind="adapter",
        label=_label(adapter.variant, adapter.cross_attention_dim),
        status="found",
        family=adapter.cross_attention_dim,
        variant=adapter.variant.id,
        purpose=adapter.purpose,
        paths=(path,),
        size_bytes=size_bytes,
        lora="inside the adapter" if adapter.lora else "none",
        note=" ".join(filter(None, notes)),
        entry=published if fits else None,
    )


def _why_no_encoder(clip: Row, known: Mapping[str, str]) -> str:
    """Return a sentence on why the encoder cannot be used; empty where it can."""
    if clip.status != "found":
        return clip.note or "it is not here."
    return "transformers is not installed." if known["transformers"] == NOT_INSTALLED else ""


def _encoder_row(encoder: str, roots: Roots) -> Row:
    published, path = entry(encoder), find_clip_vision(roots, encoder)
    if path is None:
        return missing(published)
    try:
        lacking = check_clip_vision(path, encoder)
    except FileError as error:
        return damaged("clip_vision", path, str(error), published)
    size_bytes = path.stat().st_size
    return Row(
        kind="clip_vision",
        label=published.label,
        status="found",
        purpose=purpose_of(published),
        paths=(path,),
        size_bytes=size_bytes,
        note=lacking or " ".join(filter(None, (miniature_note(path), size_note(size_bytes, published)))),
        entry=published,
    )


def _published(path: Path) -> Entry | None:
    """Return the adapter that is published under that file name."""
    return next((one for one in catalogue() if one.kind == "adapter" and one.file_name == path.name), None)


def _label(variant: Variant, family: int) -> str:
    return f"{variant.label} for {BASE_LABELS[family]}"


def _with_place(row: Row, roots: Roots) -> Row:
    if row.entry is None:
        return row
    accepted = is_licence_accepted(row.entry.licence, roots)
    return replace(row, place=place_of(row.entry, roots), is_licence_accepted=accepted)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return str(value) if isinstance(value, Path) else value
