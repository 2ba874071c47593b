"""Get a model of the catalogue, when the user says so: from its official address, checked, whole or not at all.

What arrives goes into a `.part` beside its place, is checked against the published hash, and only then gets its name.
A download that ended early goes on where it ended.
"""

from __future__ import annotations

import errno
import shutil
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

from lib_faceid.errors import DownloadError
from lib_faceid.models.archive import check_sha256, unpack
from lib_faceid.models.catalogue import Entry
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.models.folders import Roots, place_of
from lib_faceid.models.licences import require_licence
from lib_faceid.models.locked import locked
from lib_faceid.models.transfer import Report, bytes_kept, fill

__all__ = ["Downloaded", "download"]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Downloaded:
    """What is there now."""

    paths: tuple[Path, ...]
    sha256: str
    """Of the file that came over the network."""
    is_hash_published: bool
    """False where the hash was known from the server alone."""

    def __str__(self) -> str:
        source = "as published" if self.is_hash_published else "as the server said, none is published"
        return "\n".join([*map(str, self.paths), f"SHA-256 {self.sha256} ({source})"])


def download(
    one: Entry,
    roots: Roots,
    report: Report = lambda _done, _total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Downloaded:
    """Put a model where it is looked for. What is there already is not fetched again.

    Raises LicenceError before its licence is accepted, DownloadError when it did not arrive, and FileError when what
    came is not the official file. Call it in a thread: it returns when all is done.
    """
    require_licence(one.licence, roots)
    place = place_of(one, roots)
    if present := _present(one, place):
        return present
    folder = place if one.members else place.parent
    part = folder / f"{one.file_name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(part, lambda: _busy(one)):
            if present := _present(one, place):  # another program has just fetched it
                return present
            _require_space(one, part)
            sha256 = fill(one, part, report, is_cancelled)
            check_sha256(part, sha256)
            paths = unpack(part, one.members, folder) if one.members else (part.replace(place),)
            part.unlink(missing_ok=True)
    except (HTTPException, OSError) as error:
        what_to_do = _what_to_do(error, one, part, place)
        raise DownloadError(f"{_what_happened(error, one, folder)} {what_to_do}") from error
    return Downloaded(paths, sha256, is_hash_published=one.sha256 is not None)


def _busy(one: Entry) -> DownloadError:
    return DownloadError(
        f"{one.file_name} is being downloaded already, here or by another program on this machine. Wait for that one."
    )


def _present(one: Entry, place: Path) -> Downloaded | None:
    """Return what is there, if it is the published file, byte for byte."""
    files = [(place / member.name, member.size_bytes, member.sha256) for member in one.members]
    for path, size_bytes, sha256 in files or [(place, one.size_bytes, one.sha256)]:
        if not path.is_file() or path.stat().st_size != size_bytes or sha256_of(path) != sha256:
            return None
    return Downloaded(tuple(path for path, _, _ in files) or (place,), one.sha256 or "", is_hash_published=True)


def _require_space(one: Entry, part: Path) -> None:
    """Raise OSError when the disk cannot hold what is still to come, before anything is fetched."""
    to_come = (one.size_bytes or one.about_mb * 1_000_000) - bytes_kept(part)
    needed = to_come + sum(member.size_bytes for member in one.members)
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")


def _what_happened(error: Exception, one: Entry, folder: Path) -> str:
    host = urlsplit(one.url).hostname
    if isinstance(error, urllib.error.HTTPError):
        later = " It asks to wait." if error.code in (429, 503) else ""
        return f"{host} answered {error.code} ({error.reason}) for {one.url}.{later}"
    if isinstance(error, urllib.error.URLError):
        return f"{host} could not be reached ({error.reason}). Is this machine online?"
    if _is_local(error):
        if error.errno in DISK_FULL:
            return f"The disk is full: {one.label} does not fit into {folder} ({error.strerror}). Make room."
        return f"{folder} cannot be written to ({error.strerror}). Check who may write there."
    return f"{one.label} was not downloaded: {error or type(error).__name__}."


def _is_local(error: Exception) -> TypeGuard[OSError]:
    """Whether this machine's disk is at fault, not the network."""
    if not isinstance(error, OSError) or isinstance(error, urllib.error.URLError):
        return False
    return error.errno in (*DISK_FULL, *FORBIDDEN) or error.filename is not None


def _what_to_do(error: Exception, one: Entry, part: Path, place: Path) -> str:
    kept, total = bytes_kept(part), f" of {one.size_bytes:,}" if one.size_bytes else ""
    again = f"{kept:,}{total} bytes are kept; try again to get the rest." if kept else "Then try again."
    if _is_local(error):
        return again
    files = " and ".join(member.name for member in one.members)
    by_hand = f"{files} from {one.url} into" if files else f"{one.url} to"
    return f"{again} Or put {by_hand} {place} yourself."
