"""Carry one file over the network into a `.part`, from where an earlier try ended."""

from __future__ import annotations

import os
import urllib.error
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from lib_faceid.errors import DownloadError, FileError
from lib_faceid.models.catalogue import Entry
from lib_faceid.models.official_hosts import Answer, open_official

__all__ = ["Report", "bytes_kept", "fill"]

CHUNK_BYTES = 1 << 18  # small enough to stop soon after somebody says so

Report = Callable[[int, "int | None"], None]
"""Is called with the bytes that are here, and all bytes (None while nobody knows)."""


def fill(one: Entry, part: Path, report: Report, is_cancelled: Callable[[], bool]) -> str:
    """Fill `part` with the whole file; return the SHA-256 that it must have.

    Raises DownloadError when cancelled, FileError when the server offers another file, urllib's errors and OSError.
    """
    done = bytes_kept(part)
    if one.size_bytes is not None and one.sha256 and done == one.size_bytes:
        return one.sha256
    with _opened(one, done if done < (one.size_bytes or done + 1) else 0) as answer:
        total, sha256 = _promised(one, answer)
        with part.open("ab" if answer.start else "wb") as file:
            done = answer.start
            report(done, total)
            while done != total and not is_cancelled() and (chunk := answer.response.read(_next(done, total))):
                done += file.write(chunk)
                report(done, total)
            file.flush()
            os.fsync(file.fileno())
    if is_cancelled():
        raise DownloadError(f"The download of {one.label} was cancelled. {done:,} bytes are kept for the next try.")
    if total is not None and done != total:
        raise OSError(f"the connection ended after {done:,} of {total:,} bytes")
    return sha256


def bytes_kept(part: Path) -> int:
    """Return the size of what an earlier try left."""
    return part.stat().st_size if part.is_file() else 0


@contextmanager
def _opened(one: Entry, start: int) -> Generator[Answer]:
    """Give the answer from that byte on, or from the first where the server cannot go on."""
    try:
        answer = open_official(one.url, start)
    except urllib.error.HTTPError as error:
        if not start or error.code != 416:  # the file has no byte there: what is here was another one
            raise
        error.close()
        answer = open_official(one.url)
    if answer.start not in (0, start):
        answer.response.close()
        answer = open_official(one.url)
    with answer.response:
        yield answer


def _promised(one: Entry, answer: Answer) -> tuple[int | None, str]:
    """Return the size and the hash of what is about to come. Raises FileError when it cannot be the official file."""
    total, sha256 = one.size_bytes or answer.total_bytes, one.sha256 or answer.sha256
    if answer.total_bytes not in (None, total):
        raise FileError(
            f"{urlsplit(one.url).hostname} offers {answer.total_bytes:,} bytes as {one.file_name}, {total:,} were "
            f"expected: not the official file, maybe the login page of a network. Open {one.url} in a browser to see."
        )
    if not sha256:
        raise FileError(
            f"No SHA-256 of {one.file_name} is published, and the server names none, so that nobody could tell whether "
            f"it is whole. Nothing was downloaded; fetch {one.url} with a browser if you trust it."
        )
    return total, sha256


def _next(done: int, total: int | None) -> int:
    return CHUNK_BYTES if total is None else min(CHUNK_BYTES, total - done)
