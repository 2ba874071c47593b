"""What is looked at stays in view: all photos with their cards, and the pictures beside a long form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import UNIT, add, element, keep, open_part

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
HIDDEN = "part => part.scrollHeight - part.clientHeight"


def test_nothing_scrolls_inside_and_the_button_stays_in_view(page: Page, photos: Path) -> None:
    add(page, *(photos / name for name in ("Paul.jpeg", "Paul2.jpeg", "Chris.jpeg", "Bryan.png")))
    assert page.locator(f"{UNIT}_cards .faceid-cards").evaluate(HIDDEN) <= 1
    assert page.locator(f"{UNIT}_gallery .grid-wrap").evaluate(HIDDEN) <= 1
    open_part(page, "advanced")
    element(page, "noise").wait_for()
    for name in ("adetailer", "adetailer_weight"):
        assert not element(page, name).is_visible(), "there is no ADetailer here"
    element(page, "noise").scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 300
    box = page.locator("#txt2img_generate").bounding_box()
    assert box
    assert 0 <= box["y"] <= 900
    keep(page, "room")
