"""Which file is the ControlNet that a variant was trained together with."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from pathlib import Path

from lib_faceid.errors import FaceIDError, FileError
from lib_faceid.methods.method import Net
from lib_faceid.methods.registry import variants
from lib_faceid.models.checkpoint import read_whole
from lib_faceid.models.hashes import file_sha256
from lib_faceid.models.shards import fingerprint_of

__all__ = ["find_net", "net_known_as"]


def find_net(
    net: Net, files: Sequence[Path], widths: Collection[int] = (), hash_of: Callable[[Path], str] = file_sha256
) -> tuple[Path | None, str]:
    """Return the ControlNet's file among those where adapters lie, and what was assumed in choosing it.

    All full ControlNets of a base model have the same tensors: the published file is known by its hash, others by a
    hint in the name of the file or of the folders around it. widths: of the adapter's layers; a file of others is
    taken only if there is no other; hash_of: gives the SHA-256 of a file. Raises FileError for one that is called so
    and is damaged.
    """
    sized = [path for path in files if path.stat().st_size == net.size_bytes]
    if published := next((path for path in sized if hash_of(path) == net.sha256), None):
        return published, ""
    errors: list[FaceIDError] = []
    named: list[tuple[Path, frozenset[int]]] = []
    for path in (path for path in files if _is_named(net, path)):
        try:
            found = _widths_in(path, fingerprint_of(path))
        except FileError as error:
            errors.append(error)
            continue
        named += [(path, found)] if found is not None else []
    if not named and errors:
        raise errors[0]
    fitting = [path for path, found in named if found == frozenset(widths)] or [path for path, _ in named]
    return (fitting[0], f"{fitting[0].name} is taken for {net.label} by its name.") if fitting else (None, "")


def net_known_as(path: Path, hash_of: Callable[[Path], str] = file_sha256) -> Net | None:
    """Return the net that a file is, of those that adapters were trained together with, by its hash or its name.

    hash_of: gives the SHA-256 of a file.
    """
    nets = [one.net for one in variants() if one.net is not None]
    size_bytes = path.stat().st_size
    for net in nets:
        if size_bytes == net.size_bytes and hash_of(path) == net.sha256:
            return net
    return next((net for net in nets if _is_named(net, path)), None)


@lru_cache(maxsize=512)
def _widths_in(path: Path, fingerprint: str) -> frozenset[int] | None:  # noqa: ARG001 - the cache goes by it
    """Return the widths of the layers of a ControlNet; None for another kind of file. Raises FileError."""
    from lib_faceid.effects.controlnet import MARK, cross_widths  # here, as most machines have none

    tensors = read_whole(path).tensors
    return cross_widths(tensors) if MARK in tensors else None


def _is_named(net: Net, path: Path) -> bool:
    """Say whether the name of a file, or of the two folders around it, has one of the net's hints in it."""
    names = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in (path.stem, *path.parts[-3:-1])]
    return any(hint in name for name in names for hint in net.name_hints)
