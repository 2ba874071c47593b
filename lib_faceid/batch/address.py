"""One WebUI's address, and requests to it: JSON in, JSON out, with an end to all waiting."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from lib_faceid.errors import HostError, UnitError

__all__ = ["Address", "Answer", "AnswerError"]

MOST_BYTES = 512 * 1024 * 1024
CHUNK = 1 << 16


class AnswerError(HostError):
    """No answer that could be read came. is_begun: whether the request may have reached it."""

    def __init__(self, sentence: str, *, is_begun: bool) -> None:
        super().__init__(sentence)
        self.is_begun = is_begun


@dataclass(frozen=True)
class Answer:
    """What a WebUI said."""

    status: int
    body: Any
    retry_after: float | None = None
    """Seconds that it asks to be left alone."""

    @property
    def sentence(self) -> str:
        """What it says is wrong."""
        values: Mapping[str, Any] = self.body if isinstance(self.body, dict) else {}
        found = values.get("detail") or values.get("errors") or values.get("error") or f"HTTP {self.status}"
        return " ".join(str(found).split())[:500]


@dataclass(frozen=True)
class Address:
    """Where it is. Name and password may stand in the URL; they are shown nowhere."""

    name: str
    host: str
    port: int
    path: str
    is_tls: bool
    password: str = ""
    """ "name:password", or nothing."""

    @classmethod
    def of(cls, url: str) -> Address:
        """Return the address of a URL. Raises UnitError for what is none."""
        try:
            parts = urlsplit(url.strip())
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise UnitError(
                f"{url[:80]!r} is no address ({error}); one as http://127.0.0.1:7860 was expected."
            ) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UnitError(f"{url[:80]!r} is no address of a WebUI; one as http://127.0.0.1:7860 was expected.")
        password = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        path = parts.path.rstrip("/")
        name = f"{parts.scheme}://{parts.hostname}:{port}{path}"
        return cls(name, parts.hostname, port, path, parts.scheme == "https", password)

    def ask(self, route: str, body: Any = None, timeout: float = 30.0) -> Answer:
        """Return what it answers within that many seconds. Raises AnswerError."""
        end = time.monotonic() + timeout
        kind = http.client.HTTPSConnection if self.is_tls else http.client.HTTPConnection
        more: dict[str, Any] = {"context": ssl.create_default_context()} if self.is_tls else {}
        connection = kind(self.host, self.port, timeout=timeout, **more)
        is_begun = False
        try:
            connection.connect()
            is_begun = body is not None
            data = None if body is None else json.dumps(body).encode(errors="replace")
            connection.request("GET" if body is None else "POST", self.path + route, data, self._headers)
            reply = connection.getresponse()
            text = _read(reply, end)
            return Answer(reply.status, _parsed(text, reply.status), _seconds(reply.getheader("Retry-After")))
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise AnswerError(f"{self.name} gave no answer ({why}).", is_begun=is_begun) from error
        finally:
            connection.close()

    @property
    def _headers(self) -> dict[str, str]:
        found = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.password:
            found["Authorization"] = f"Basic {base64.b64encode(self.password.encode()).decode()}"
        return found


def _read(reply: http.client.HTTPResponse, end: float) -> bytes:
    """Return the body. Raises TimeoutError for one that trickles on and on, ValueError for a very large one."""
    parts: list[bytes] = []
    size = 0
    while chunk := reply.read1(CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if time.monotonic() > end:
            raise TimeoutError("the answer did not end in time")
        if size > MOST_BYTES:
            raise ValueError("the answer does not end")
    expected = reply.getheader("Content-Length")
    if expected and expected.isdecimal() and size < int(expected):
        raise ValueError("the answer was cut off")
    return b"".join(parts)


def _parsed(text: bytes, status: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if status == http.client.OK:
            raise ValueError("the answer is no JSON") from None
        return None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() and len(header) < 6 else None
