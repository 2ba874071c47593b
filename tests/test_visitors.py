"""Who may ask our own page."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lib_faceid.app.visitors import OwnVisitors, why_refused

HOST = "127.0.0.1:7860"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HOST},
        {"host": "localhost:7860"},
        {"host": "LOCALHOST"},
        {"host": "[::1]:7860"},
        {"host": HOST, "origin": f"http://{HOST}", "sec-fetch-site": "same-origin"},
        {"host": "localhost:9000", "origin": "http://localhost:9000"},  # through a tunnel
        {"host": "localhost:9000", "origin": "https://LOCALHOST:9000"},
        {"host": HOST, "sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"host": HOST, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},  # a link to the page
    ],
)
def test_the_pages_own_browser_and_programs_of_this_machine(headers: dict[str, str]) -> None:
    assert why_refused(headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "evil.example"},
        {"host": "evil.example:7860"},
        {"host": "127.0.0.1.evil.example:7860"},
        {"host": "evil.example@127.0.0.2"},
        {"host": "192.168.0.2:7860"},
        {"host": "["},
        {"host": "evil.example:7860", "origin": "http://evil.example:7860"},  # DNS rebinding
        {"host": HOST, "origin": "http://evil.example"},
        {"host": HOST, "origin": "null"},
        {"host": HOST, "origin": ""},
        {"host": HOST, "origin": "http://["},
        {"host": HOST, "origin": "http://127.0.0.1:7861"},  # another program's page on this machine
        {"host": HOST, "origin": "http://localhost:7860"},
        {"host": HOST, "origin": f"file://{HOST}"},
        {"host": HOST, "origin": f"http://{HOST}.evil.example"},
        {"host": HOST, "origin": f"http://evil.example@{HOST}"},
        {"host": HOST, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ],
)
def test_everybody_else(headers: dict[str, str]) -> None:
    assert why_refused(headers) is not None


def answered(kind: str, headers: dict[str, str]) -> list[Any]:
    """What comes back over an application that answers "yes"."""
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send("yes")

    async def receive() -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "headers": [(name.title().encode(), value.encode()) for name, value in headers.items()]}
    with ThreadPoolExecutor(1) as apart:  # Playwright keeps an event loop running in this thread
        apart.submit(asyncio.run, OwnVisitors(app)(scope, receive, send)).result()
    return sent


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_requests_and_websockets_are_judged_alike(kind: str) -> None:
    assert answered(kind, {"host": HOST}) == ["yes"]
    first, *_ = answered(kind, {"host": HOST, "origin": "http://evil.example"})
    assert first["type"] == {"http": "http.response.start", "websocket": "websocket.close"}[kind]
    assert first.get("status", first.get("code")) in (403, 1008)


def test_the_servers_own_start_and_end_are_nobodys_request() -> None:
    assert answered("lifespan", {}) == ["yes"]
