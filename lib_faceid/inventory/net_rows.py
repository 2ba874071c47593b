"""The rows of the ControlNets that some variants were trained together with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from lib_faceid.errors import FileError
from lib_faceid.inventory.notes import miniature_note, size_note
from lib_faceid.inventory.rows import Row, damaged, missing, purpose_of
from lib_faceid.methods.method import Net
from lib_faceid.methods.nets import find_net
from lib_faceid.methods.registry import variants
from lib_faceid.models.catalogue import entry

__all__ = ["net_rows"]


def net_rows(files: Sequence[Path], families: Collection[int]) -> Iterator[Row]:
    """Give the row of each ControlNet that a variant for one of these families has. files: where adapters lie."""
    for variant in variants():
        if variant.net and set(variant.bases) & set(families):
            yield _row(variant.net, files)


def _row(net: Net, files: Sequence[Path]) -> Row:
    published = entry(net.id)
    try:
        path, how = find_net(net, files)
    except FileError as error:
        named = next((path for path in files if path.name in str(error)), None)
        return damaged("controlnet", named, str(error), published) if named else missing(published)
    if path is None:
        return missing(published)
    size_bytes = path.stat().st_size
    return Row(
        kind="controlnet",
        label=published.label,
        status="found",
        family=published.family,
        variant=published.variant,
        paths=(path,),
        size_bytes=size_bytes,
        note=" ".join(filter(None, [how, miniature_note(path), size_note(size_bytes, published)])),
        entry=published,
        purpose=purpose_of(published),
    )
