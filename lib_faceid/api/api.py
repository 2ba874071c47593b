"""The HTTP routes, for FastAPI 0.94 with pydantic 1 (the WebUI) up to 0.112 with pydantic 2 (Forge)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from lib_faceid.api.answers import Answers
from lib_faceid.api.routes import REFUSED, ROUTES, Route
from lib_faceid.api.services import ApiServices
from lib_faceid.errors import FaceIDError, UnitError

__all__ = ["MAX_BODY_BYTES", "PREFIX", "add_routes", "guards_of"]

PREFIX = "/ip-adapter-faceid"
MAX_BODY_BYTES = 64 * 1024 * 1024
"""Two photos of the largest size, or 20 that a telephone makes."""

_log = logging.getLogger(__name__)


def add_routes(app: FastAPI, services: ApiServices, dependencies: Sequence[Any] = ()) -> None:
    """Add our routes to an app, once; `dependencies` (of FastAPI's `Depends`) guard every one of them."""
    if any(getattr(route, "path", "").startswith(f"{PREFIX}/") for route in app.routes):
        return
    answers = Answers(services)
    for route in ROUTES:
        app.add_api_route(
            PREFIX + route.path,
            _endpoint(route, getattr(answers, route.answer)),
            methods=[route.method],
            dependencies=list(dependencies),
            response_model=None,
            tags=["IP-Adapter FaceID"],
            summary=route.summary,
            description=route.description,
            operation_id=f"faceid_{route.answer}",
            responses=REFUSED,
            openapi_extra=route.openapi_extra,
        )


def guards_of(app: FastAPI, path: str) -> list[Any] | None:
    """Return the dependencies that guard a route of the app; None where it has no such route.

    So that whatever a host asks before it answers on its own routes, it asks on ours.
    """
    found = next((route for route in app.routes if getattr(route, "path", None) == path), None)
    return None if found is None else list(getattr(found, "dependencies", ()))


class _Answer(JSONResponse):
    """JSON in ASCII: half a character, which a request may hold and UTF-8 cannot, is sent back escaped."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def _body_bytes(request: Request) -> bytes:
    """Return the body of a request, which must say that it is JSON: a page of another origin then has to ask first."""
    _require_json(request)
    return await _whole_body(request)


async def _optional_body_bytes(request: Request) -> bytes:
    """Return the body of a request that needs none. Without a content type it may come from anything but a browser:
    browsers send pages of other origins without asking, and name the origin or the site.
    """
    kind, from_browser = (request.headers.get(name) for name in ("content-type", "sec-fetch-site"))
    if kind or from_browser or "origin" in request.headers:
        _require_json(request)
    return await _whole_body(request) or b"{}"


def _require_json(request: Request) -> None:
    """Raise HTTPException unless the request says that its body is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(
            415, f"The body is {kind[:60] or 'of no type'}; send it with Content-Type: application/json."
        )


async def _whole_body(request: Request) -> bytes:
    """Return the body, which may have a limited size. Raises HTTPException."""
    length = request.headers.get("content-length", "")
    content = bytearray()
    try:
        if length.isascii() and length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
    except ClientDisconnect as error:
        raise HTTPException(400, "The connection ended before the request did.") from error
    return bytes(content)


_TOO_LARGE = f"The request is larger than {MAX_BODY_BYTES >> 20} MiB. Send fewer or smaller photos."


def _endpoint(route: Route, answer: Callable[..., Any]) -> Callable[..., Any]:
    """Return what FastAPI calls, in a thread of its own: it reads the parameters off the signature."""
    read = _body_bytes if route.body else _optional_body_bytes

    def plain() -> JSONResponse:
        return _answer(answer)

    def with_body(body: bytes = Depends(read)) -> JSONResponse:
        return _answer(lambda: answer(_parsed(body)))

    def with_name(name: str) -> JSONResponse:
        return _answer(lambda: answer(name))

    if "{name}" in route.path:
        return with_name
    return with_body if route.method == "POST" else plain


def _answer(call: Callable[[], Any]) -> JSONResponse:
    """Return what a call gives, or its error as a sentence. A mistake of ours is logged, and not shown to strangers."""
    try:
        return _Answer(call())
    except FaceIDError as error:
        return _Answer({"detail": str(error)}, error.status_code)
    except Exception:  # noqa: BLE001 - whatever it is, a client gets JSON
        _log.exception("IP-Adapter FaceID could not answer a request")
        return _Answer({"detail": "That failed for a reason of our own. The console of the server says which."}, 500)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnitError('The body is not JSON. Send an object such as {"image": "..."}.') from error
    if not isinstance(values, dict):
        raise UnitError(f'The body is a {type(values).__name__}; an object such as {{"image": "..."}} was expected.')
    return values
