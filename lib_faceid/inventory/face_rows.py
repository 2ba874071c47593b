"""The rows of face models: those for most adapters, and those that some adapters need for themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from lib_faceid.faces.packs import PUBLISHED_BYTES, FacePack, find_face_pack
from lib_faceid.faces.recognisers import PACKS, TRAINED_ON, is_as_trained, untrained_note
from lib_faceid.inventory.rows import Row, damaged, missing, purpose_of
from lib_faceid.methods.registry import variants
from lib_faceid.models.catalogue import Entry, entry
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.models.folders import Roots

__all__ = ["face_row", "other_face_rows"]


def other_face_rows(roots: Roots, families: Collection[int]) -> dict[str, Row]:
    """Return recogniser -> the row of the face models with it, for those that some variants cannot do without."""
    rows: dict[str, Row] = {}
    needed = [one for one in variants() if one.requires_recogniser and set(one.bases) & set(families)]
    for recogniser in dict.fromkeys(one.recogniser for one in needed):
        labels = " and ".join(one.label for one in needed if one.recogniser == recogniser)
        row = _pack_row(entry(PACKS[recogniser]), find_face_pack(roots, recogniser), [recogniser])
        rows[recogniser] = row if row.status == "damaged" else replace(row, note=f"For {labels} alone.")
    return rows


def face_row(roots: Roots, recognisers: Sequence[str]) -> Row:
    """Return the row of the face models that are used for everybody else; recognisers: what Auto was trained on."""
    return _pack_row(entry("buffalo_l"), find_face_pack(roots), recognisers or [TRAINED_ON])


def _pack_row(published: Entry, pack: FacePack | None, recognisers: Sequence[str]) -> Row:
    if pack is None:
        return missing(published)
    paths = (pack.detector, pack.recogniser)
    for path in paths:
        size_bytes, expected = path.stat().st_size, PUBLISHED_BYTES.get(path.name)
        if expected not in (None, size_bytes):
            found = f"{size_bytes:,} bytes, {expected:,} were expected"
            note = f"{path.name} is damaged ({found}). Delete it and get it again."
            return replace(damaged("face_models", path, note, published), paths=paths)
    name = pack.recogniser.stem  # most often that is enough, and hundreds of MB need not be hashed
    recogniser = (
        name if any(is_as_trained(name, one) for one in recognisers) else f"{name}-{sha256_of(pack.recogniser)[:8]}"
    )
    notes = (untrained_note(recogniser, one) for one in recognisers)
    return Row(
        kind="face_models",
        label=f"Face models {pack.detector.parent.name}",
        status="found",
        purpose=purpose_of(published),
        paths=paths,
        size_bytes=sum(path.stat().st_size for path in paths),
        note=next(filter(None, notes), f"Recogniser {name}, the one that the adapters were trained with."),
        entry=published,
    )
