"""The page at rest: nobody does anything, and nothing is asked of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import WAIT_MS, drop, element

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
QUIET_MS = 3000


def test_nothing_is_asked_while_nobody_does_anything(page: Page, photos: Path) -> None:
    """gradio 4's HTML says without end that it has changed, once an answer of the server hangs on it."""
    drop(page, photos / "Paul.jpeg")
    element(page, "truth").get_by_text("Will be drawn").wait_for(timeout=WAIT_MS)
    page.wait_for_timeout(QUIET_MS)  # what the photo set going
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(QUIET_MS)
    assert asked == []
