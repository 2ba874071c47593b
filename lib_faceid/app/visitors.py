"""Who may ask our own page: a browser on this machine that has the page itself open, and programs on this machine.

Without it any web page that is open in the same browser could press every button and read every answer: gradio 3 lets
all origins in, and a name that somebody points at 127.0.0.1 (DNS rebinding) gives a foreign page the same origin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["OwnVisitors", "why_refused"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class OwnVisitors:
    """An ASGI application around another, that answers 403 to whoever is not of this machine and this page."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or a websocket's."""
        if scope["type"] not in ("http", "websocket"):  # the server's own start and end
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if (why := why_refused(headers)) is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            body = why.encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})


def why_refused(headers: Mapping[str, str]) -> str | None:
    """Return a sentence for a request that is not this page's, by its headers in lower case; None for its own."""
    host = headers.get("host", "").lower()
    if _name_of(f"//{host}") not in LOOPBACK:
        return (
            f"This page is for this machine alone: open it as http://127.0.0.1 or http://localhost, not {host[:60]!r}."
        )
    origin = headers.get("origin")
    if origin is not None and _place_of(origin.lower()) != host:
        return f"This page answers its own requests only; this one is from {origin[:60]!r}."
    is_followed_link = headers.get("sec-fetch-mode") == "navigate"
    if origin is None and headers.get("sec-fetch-site") == "cross-site" and not is_followed_link:
        return "This page answers its own requests only; this one is from another site."
    return None


def _name_of(address: str) -> str | None:
    """Return the host in an address, without its port."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _place_of(origin: str) -> str | None:
    """Return host and port of an origin; None for `null` and for what is none."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc if parts.scheme in ("http", "https") else None
