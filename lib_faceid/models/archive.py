"""Take just the wanted files out of a zip archive, each checked before it is put in its place."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from lib_faceid.errors import FileError
from lib_faceid.models.catalogue import Member
from lib_faceid.models.checkpoint import sha256_of

__all__ = ["check_sha256", "unpack"]

CHUNK_BYTES = 1 << 20
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError)  # what zipfile raises


def unpack(archive: Path, members: Sequence[Member], folder: Path) -> tuple[Path, ...]:
    """Return the members' new paths in `folder`. All of them arrive, or none.

    They go by their own names: no path inside the archive decides where anything goes. Raises FileError for an archive
    that is damaged, lacks a member, or holds another file under its name.
    """
    parts = [folder / f"{member.name}.part" for member in members]
    try:
        with zipfile.ZipFile(archive) as content:
            inside = {PurePosixPath(info.filename).name: info for info in content.infolist()}
            for member, part in zip(members, parts, strict=True):
                with content.open(inside[member.name]) as source, part.open("wb") as target:
                    _copy(source, target, member.size_bytes)
                check_sha256(part, member.sha256)
        return tuple(part.replace(part.with_suffix("")) for part in parts)
    except DAMAGE as error:
        names = " and ".join(member.name for member in members)
        name = archive.name.removesuffix(".part")
        raise FileError(f"{name} is damaged or does not hold {names} ({error}). Try again.") from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def check_sha256(path: Path, sha256: str) -> None:
    """Delete the file and raise FileError when it is not the one of that hash."""
    found = sha256_of(path)
    if found != sha256:
        path.unlink()
        raise FileError(
            f"{path.name.removesuffix('.part')} has the SHA-256 {found}, {sha256} was expected. It was deleted; try "
            f"again, and if this happens twice, do not use what you get."
        )


def _copy(source: IO[bytes], target: IO[bytes], size_bytes: int) -> None:
    """Copy that many bytes and no more: an archive can claim anything."""
    left = size_bytes + 1  # one more than wanted gives another hash
    while left and (chunk := source.read(min(CHUNK_BYTES, left))):
        left -= target.write(chunk)
