"""The only door to the network: addresses of official hosts, redirects to their own storage, nowhere else."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from http.client import HTTPResponse
from typing import IO, Any, cast
from urllib.parse import urlsplit

from lib_faceid.errors import DownloadError

__all__ = ["Answer", "open_official"]

TIMEOUT_SECONDS = 30

# Where each official host keeps its files: both redirect to a storage host, under an address signed for minutes.
STORAGE_HOSTS: Mapping[str, tuple[str, ...]] = {
    "github.com": ("github.com", "objects.githubusercontent.com", "release-assets.githubusercontent.com"),
    "huggingface.co": ("huggingface.co", "cdn-lfs*.huggingface.co", "*.hf.co"),
}
PLAIN_HOSTS: set[str] = set()
"""Hosts that may be asked without encryption, which are never asked through a proxy. None is: tests put theirs here."""


@dataclass(frozen=True)
class Answer:
    """A response that may be read, and what the official host itself said on the way to it."""

    response: HTTPResponse
    start: int
    """The byte of the file at which it starts: 0 where the server knows no ranges, -1 where it does not say."""
    total_bytes: int | None
    """The size of the whole file."""
    sha256: str | None
    """The content hash of the official host, where it names one (Hugging Face does)."""


def open_official(url: str, start: int = 0) -> Answer:
    """Return an answer that gives the file from that byte on, or from its first byte; the caller closes it.

    Raises DownloadError for an address that is not official, urllib's errors and OSError for all else.
    """
    host = _host_of(url)
    if not _is_allowed(url, host):
        raise DownloadError(f"{url} is not an official address: https on github.com or huggingface.co was expected.")
    guard = _Guard(host)
    handlers: list[Any] = [guard, *([urllib.request.ProxyHandler({})] if host in PLAIN_HOSTS else [])]
    headers = {"User-Agent": "sd-webui-faceid", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    response = cast("HTTPResponse", urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_SECONDS))
    first, total = _range_of(response)
    return Answer(response, first, total, guard.sha256 or guard.hash_in(url, response.headers))


class _Guard(urllib.request.HTTPRedirectHandler):
    """Follow redirects inside the official host and its storage only; keep the hash that the former names."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.sha256: str | None = None

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request that follows. Raises DownloadError when it leads elsewhere."""
        if not _is_allowed(newurl, self.host):
            fp.close()
            raise DownloadError(
                f"{self.host} redirected to {urlsplit(newurl).scheme}://{_host_of(newurl)}, which is not a host of its "
                f"own. Nothing was fetched from there; try again later, or fetch the file with a browser."
            )
        self.sha256 = self.sha256 or self.hash_in(req.full_url, headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def hash_in(self, url: str, headers: Any) -> str | None:
        """Return the SHA-256 in the official host's headers; the storage's own ETag is another hash."""
        if _host_of(url) != self.host:
            return None
        named = (headers.get(name, "") for name in ("X-Linked-ETag", "ETag"))
        found = (re.fullmatch(r'(?:W/)?"?([0-9a-fA-F]{64})"?', value.strip()) for value in named)
        return next((match[1].lower() for match in found if match), None)


def _host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _hosts_of(host: str) -> tuple[str, ...]:
    """Return the patterns of the machines that an official host may send one to; none for any other host."""
    return STORAGE_HOSTS.get(host, (host,) if host in PLAIN_HOSTS else ())


def _is_allowed(url: str, host: str) -> bool:
    """Whether an address belongs to an official host's own machines, by encrypted transport on the usual port."""
    try:
        parts = urlsplit(url)
        is_safe = host in PLAIN_HOSTS or (parts.scheme == "https" and parts.port in (None, 443))
    except ValueError:  # no port, or no host, that could be meant
        return False
    is_plain = parts.scheme in ("http", "https") and parts.username is None
    return is_safe and is_plain and any(fnmatch(_host_of(url), pattern) for pattern in _hosts_of(host))


def _range_of(response: HTTPResponse) -> tuple[int, int | None]:
    """Return the first byte and the size of the whole file, as far as the headers tell."""
    content_range = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if response.status == 206:
        first, total = content_range.groups() if content_range else ("-1", "*")
        return int(first), None if total == "*" else int(total)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None
