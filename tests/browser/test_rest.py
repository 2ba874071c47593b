"""The page at rest: nobody does anything, nothing is asked of the server, and nothing is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import WAIT_MS, drop, element

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
QUIET_MS = 3000
FRAMES = """() => new Promise((counted) => {
    const plain = window.requestAnimationFrame.bind(window);
    let frames = 0;
    window.requestAnimationFrame = (draw) => { frames += 1; return plain(draw); };
    setTimeout(() => { window.requestAnimationFrame = plain; counted(frames); }, 1000);
})"""
"""How many frames the page's scripts ask for within a second. Whatever moves by itself asks for sixty."""


def test_nothing_is_asked_or_drawn_while_nobody_does_anything(page: Page, photos: Path) -> None:
    """In gradio 4, HTML says without end that it has changed, once an answer hangs on it, and a canvas draws itself."""
    drop(page, photos / "Paul.jpeg")
    element(page, "truth").get_by_text("Will be drawn").wait_for(timeout=WAIT_MS)
    page.wait_for_timeout(QUIET_MS)  # what the photo set going
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(QUIET_MS)
    assert asked == []
    assert page.evaluate(FRAMES) < 10
