"""Our own page in German: chosen by the browser's language or by the address, and nothing of it left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import UNIT, WAIT_MS, add, element, keep, open_part, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
GERMAN = json.loads((Path(__file__).resolve().parents[2] / "localizations/de_DE.json").read_text("utf-8"))
ENGLISH = sorted(text for text, told in GERMAN.items() if told != text and "{}" not in text)
SHOWN = """() => {
    const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode;
        if (!node.parentElement.closest("script, style, textarea, pre, code")) found.push(node.data.trim());
    }
    const named = [...document.querySelectorAll("[aria-label], [title], [placeholder]")];
    const names = ["aria-label", "title", "placeholder"];
    return [...found, ...named.flatMap((one) => names.map((name) => one.getAttribute(name)))];
}"""


@pytest.fixture
def german(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, locale="de-DE")
    page = context.new_page()
    visit(page, address)
    yield page
    context.close()


def left_in_english(page: Page) -> set[str]:
    page.wait_for_timeout(1500)
    return set(ENGLISH) & set(page.evaluate(SHOWN))


def test_nothing_is_left_in_english(german: Page, photos: Path) -> None:
    assert element(german, "enabled").inner_text().strip() == "Aktivieren"
    assert german.evaluate("document.documentElement.lang") == "de"
    add(german, photos / "Paul.jpeg", photos / "Paul2.jpeg")
    open_part(german, "advanced")
    german.locator("#txt2img_faceid_setup > .label-wrap").click()
    german.locator("#txt2img_faceid_setup table").wait_for(timeout=WAIT_MS)
    element(german, "combine").locator("input").click()
    german.locator("li", has_text="Mittelwert (average)").wait_for(timeout=WAIT_MS)
    german.keyboard.press("Escape")
    keep(german, "german")
    assert left_in_english(german) == set()
    german.locator(f"{UNIT}_cards").get_by_text("gut (").first.wait_for(timeout=WAIT_MS)


def test_what_changes_later_is_translated_too(german: Page, photos: Path) -> None:
    """A label that gradio writes anew, an option that is chosen: its value stays the word that a job knows."""
    element(german, "purpose").get_by_text("Bild", exact=True).click()
    german.locator(f"{UNIT}_weight").get_by_text("Gewicht des Bildes").wait_for(timeout=WAIT_MS)
    add(german, photos / "Paul.jpeg", photos / "no_face.jpeg")
    element(german, "combine").locator("input").click()
    german.locator("li", has_text="abziehen (subtract)").click(timeout=WAIT_MS)
    assert element(german, "combine").locator("input").input_value() == "subtract"
    assert left_in_english(german) == set()


@pytest.mark.one_gradio
def test_the_address_chooses_before_the_browser(german: Page, address: str) -> None:
    visit(german, f"{address}/?lang=en")
    german.wait_for_timeout(1500)
    assert element(german, "enabled").inner_text().strip() == "Enable"
    german.goto(f"{address}/?lang=de", wait_until="domcontentloaded")
    german.locator("#txt2img_faceid_0_enabled").get_by_text("Aktivieren").wait_for(timeout=60_000)
