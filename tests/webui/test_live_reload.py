"""Settings > Reload UI: what the extension registered is there again, once."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.webui.browsing import WAIT_MS, go_to, open_page
from tests.webui.server import START_TIMEOUT_S, Server
from tests.webui.test_live_jobs import clean, difference

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def registered(server: Server) -> dict[str, Any]:
    """What the probe extension finds of ours in the WebUI."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/faceid-probe/registered", timeout=60) as answer:
        return json.loads(answer.read())


def reload(page: Page, server: Server) -> dict[str, Any]:
    """Press Reload UI, wait until the WebUI and the page are there again, and tell what is registered now."""
    before = registered(server)
    go_to(page, "Settings")
    with page.expect_event("load", timeout=START_TIMEOUT_S * 1000):
        page.locator("#settings_restart_gradio").click()
    page.locator("#txt2img_faceid").wait_for(timeout=WAIT_MS)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            now = registered(server)
        except OSError:
            time.sleep(0.5)
            continue
        assert now.pop("started") > before["started"]
        return now
    raise AssertionError("the WebUI did not come back")


def test_twice_loses_and_doubles_nothing(server: Server, browser: Browser, person: dict[str, Any]) -> None:
    plain, drawn = clean(server.txt2img()), clean(server.txt2img(person))
    assert difference(plain, drawn) > 5
    first = registered(server)
    del first["started"]
    assert first["callbacks"]
    for kind in ("axes", "networks", "routes"):
        assert first[kind]
        assert set(first[kind].values()) == {1}, first[kind]
    assert first["scripts"] == {"txt2img": 1, "img2img": 1}
    page = open_page(browser, server)
    for _ in range(2):
        assert reload(page, server) == first
        assert page.locator("[id=txt2img_faceid]").count() == 1
        assert clean(server.txt2img(person)).png == drawn.png
        assert clean(server.txt2img()).png == plain.png
        assert server.left_in_the_unet() == {"hooks": 0, "networks": []}
    page.close()
