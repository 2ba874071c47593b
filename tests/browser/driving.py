"""What a person does at our own page. For tests, and for the pictures in the docs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

UNIT = "#txt2img_faceid_0"
WAIT_MS = 60_000
DRAW_MS = 180_000
OPEN_MS = 180_000


def visit(page: Page, address: str) -> None:
    """Open our own page, and wait until it listens: what is put into a page that does not yet is lost.

    The page's own script is the last that gradio starts, after everything that it listens to. A page that is left
    takes its canvases along, which without a graphics card takes a browser up to half a minute.
    """
    page.goto(address, wait_until="domcontentloaded", timeout=OPEN_MS)
    element(page, "enabled").locator("input").wait_for(state="attached", timeout=OPEN_MS)
    page.wait_for_function("() => window.onAfterUiUpdate", timeout=OPEN_MS)


def element(page: Page, name: str, unit: str = UNIT) -> Locator:
    return page.locator(f"{unit}_{name}").first  # gradio 3 gives an HTML's id to the block around it too


def drop(page: Page, photo: Path, unit: str = UNIT) -> None:
    """Put a photo into the drop zone, and wait until it was looked at."""
    before = page.locator(f"{unit}_cards .faceid-card").count()
    element(page, "image", unit).locator("input[type=file]").set_input_files(photo)
    page.locator(f"{unit}_cards .faceid-card").nth(before).wait_for(timeout=WAIT_MS)


def add(page: Page, *photos: Path) -> None:
    """Add photos by the button for several."""
    before = page.locator(f"{UNIT}_cards .faceid-card").count()
    page.locator(f".faceid-buttons:has({UNIT}_upload) input[type=file]").set_input_files(list(photos))
    page.locator(f"{UNIT}_cards .faceid-card").nth(before + len(photos) - 1).wait_for(timeout=WAIT_MS)


def choose(page: Page, name: str, text: str, unit: str = UNIT) -> None:
    """Choose from a list."""
    element(page, name, unit).locator("input").click()
    option = element(page, name, unit).locator("li", has_text=re.compile(rf"^[\s✓]*{re.escape(text)}\s*$"))
    option.click(timeout=WAIT_MS)


def open_part(page: Page, name: str, unit: str = UNIT) -> None:
    element(page, name, unit).locator(".label-wrap").first.click()


def number(page: Page, name: str) -> Locator:
    return element(page, name).locator("input[type=number]")


def is_value(page: Page, name: str, value: str) -> None:
    box = number(page, name)
    page.wait_for_function(
        "([box, value]) => box.value === value", arg=[box.element_handle(), value], timeout=WAIT_MS
    )  # fmt: skip


def generate(page: Page) -> str:
    """Press Generate and return what is said under the picture."""
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_gallery img").first.wait_for(timeout=DRAW_MS)
    return page.locator("#html_info_txt2img").first.inner_text()


def keep(page: Page, name: str) -> None:
    """Keep a screenshot where FACEID_SCREENSHOTS names a folder."""
    if folder := os.environ.get("FACEID_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
