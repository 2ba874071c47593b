"""What keeps our own page to this machine: nothing is fetched from elsewhere, and no photo stays on the disk."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["StaysHere", "private_folder"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

# gradio's page asks Google for fonts and a CDN for a script, neither of which anything here needs.
ELSEWHERE = re.compile(
    rb"<link\b[^>]*?\bhref=[\"']https?://[^>]*>|<script\b[^>]*?\bsrc=[\"']https?://[^>]*>\s*</script>"
)
# Whatever may be left of it, or comes in later, is refused by the browser.
POLICY = (
    b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    b"connect-src 'self' ws://127.0.0.1:* ws://localhost:* data: blob:"
)


class StaysHere:
    """A web application whose pages load nothing from another machine."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request of ASGI's. Pages are held back until they are whole; all else goes through."""
        held: list[Message] = []

        async def pass_on(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                held.append(message)
            elif not held:
                await send(message)
            else:
                held.append(message)
                if not message.get("more_body"):
                    await _send_page(held, send)

        await self._app(scope, receive, pass_on)


def _is_page(start: Message) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in start["headers"])


async def _send_page(held: list[Message], send: Send) -> None:
    start, *parts = held
    body = ELSEWHERE.sub(b"", b"".join(part.get("body", b"") for part in parts))
    kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    headers = [(b"content-length", str(len(body)).encode()), (b"content-security-policy", POLICY)]
    await send({**start, "headers": [*kept, *headers]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def private_folder() -> Generator[Path]:
    """Give gradio a folder of its own for what is uploaded and shown; it goes with everything in it on leaving.

    Also where the program is told to end (SIGTERM), though not where it is killed. Enter it before a page is made.
    """
    before = os.environ.get("GRADIO_TEMP_DIR")
    ended = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="faceid-page-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield Path(folder)
        finally:
            signal.signal(signal.SIGTERM, ended)
            os.environ.pop("GRADIO_TEMP_DIR")
            if before is not None:
                os.environ["GRADIO_TEMP_DIR"] = before
