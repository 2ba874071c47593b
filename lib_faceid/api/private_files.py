"""Keeps private folders out of what gradio serves: `/file=` gives out every file below the working folder.

gradio has `blocked_paths` for that, but compares names: `a/../b`, a link, or other capitals on Windows and macOS get
around it. Here the file that would be opened is compared with the folder itself, however it is spelled.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from lib_faceid.models.folders import Roots

__all__ = ["PrivateFiles", "guard", "is_inside", "private_folders"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

# gradio 3: /file=PATH and /file/PATH; gradio 4 the same, later ones below another prefix.
_FILE_ROUTE = re.compile(r"/file[=/](?P<path>.*)", re.DOTALL)
_REFUSED = b'{"detail":"This file is private: it is not served to browsers."}'


def private_folders(roots: Roots) -> list[Path]:
    """Return the folders of a user's data that no page needs: saved people, presets, whatever lies beside them."""
    return [models / "faceid" for models in roots.all_models]


class PrivateFiles:
    """An ASGI application around another, that answers 403 for private files."""

    def __init__(self, app: App, is_private: Callable[[str], bool]) -> None:
        """is_private: asked with the path of each request for a file."""
        self._app = app
        self._is_private = is_private

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        file = _FILE_ROUTE.search(scope["path"]) if scope["type"] == "http" else None
        if file is None or not self._is_private(file["path"]):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_REFUSED)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": _REFUSED})


def guard(app: Any, folders: Callable[[], Iterable[Path]]) -> None:
    """Have an app of FastAPI's, which may be running already, give out no file of these folders.

    folders: asked at each request for a file, as settings may change them.
    """
    app.middleware_stack = None  # Starlette takes no middleware where this has been built; it is built anew below
    app.add_middleware(PrivateFiles, is_private=lambda path: is_inside(path, folders()))
    app.middleware_stack = app.build_middleware_stack()


def is_inside(path: str, folders: Iterable[Path]) -> bool:
    """Say whether a path, as a server would open it, leads into one of the folders or is one of them."""
    kept = [stat for folder in folders if (stat := _stat(folder))]
    return any(os.path.samestat(stat, one) for stat in _ways_up(path) for one in kept) if kept else False


def _ways_up(path: str) -> Iterator[os.stat_result]:
    """Give the status of what a path leads to and of each folder above it, links followed."""
    try:
        real = Path(os.path.realpath(path))
    except (OSError, ValueError):  # a zero byte, say: no server opens it either
        return
    yield from (stat for one in (real, *real.parents) if (stat := _stat(one)))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None
