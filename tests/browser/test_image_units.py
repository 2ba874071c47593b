"""A unit whose reference is an image, at our own page: what is shown, how it is named, and beside a face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import DRAW_MS, UNIT, WAIT_MS, add, choose, drop, element, generate, keep, open_part, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

SECOND = "#txt2img_faceid_1"
USED = (
    "image",
    "upload",
    "image_part",
    "person",
    "adapter",
    "weight",
    "start",
    "end",
    "image_crop",
    "noise",
)
NOT_SHOWN = (
    "combine",  # of one image there is nothing to combine
    "face",
    "mark",
    "preset",
    "preset_panel",
    "structure",
    "lora",
    "clip_crop",
    "adetailer",
    "adetailer_weight",
)
TOOLS = 6  # two buttons in each of three units ask for what is here when the page opens
PLUS = "ip-adapter-plus_sd15"


def is_for(page: Page, purpose: str, unit: str = UNIT) -> None:
    """Choose what the reference of a unit is for, and wait until the unit shows that."""
    element(page, "purpose", unit).get_by_label(purpose, exact=True).check()
    element(page, "image_part", unit).wait_for(state="visible" if purpose == "image" else "hidden", timeout=WAIT_MS)


def is_drawn_by_plus(page: Page, unit: str = UNIT) -> None:
    """Wait until a unit says that Auto takes the adapter for images."""
    element(page, "auto", unit).get_by_text(PLUS).wait_for(timeout=WAIT_MS)


def words_of(page: Page) -> str:
    """Everything that the first unit shows but for its first choice, with what only a screen reader says."""
    texts = page.locator(f"{UNIT} :is(label, span, button, p, li, figcaption, strong):visible").all_inner_texts()
    first = element(page, "purpose").locator("span").all_inner_texts()
    read = page.locator(f"{UNIT} :is([aria-label], img[alt]):visible")
    read_out = read.evaluate_all("all => all.map((one) => `${one.ariaLabel ?? ''} ${one.alt ?? ''}`)")
    return "\n".join([*(one for one in texts if one not in first), *read_out])


@pytest.fixture
def opening(browser: Browser, address: str) -> Iterator[tuple[Page, list[Route]]]:
    """A page that has asked what is here, as it opened, and the requests: none is answered before it is continued."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    held: list[Route] = []
    page.route("**/run/**", lambda route: route.continue_() if len(held) >= TOOLS else held.append(route))
    visit(page, address)
    page.wait_for_timeout(3000)
    yield page, held
    page.close()


def test_a_choice_counts_that_was_made_before_the_page_knew_what_is_here(opening: tuple[Page, list[Route]]) -> None:
    """The answer to what the page asked when it opened does not bring the person's list, sliders and Auto back."""
    page, held = opening
    assert len(held) >= TOOLS
    is_for(page, "image")
    is_drawn_by_plus(page)
    for route in held:
        route.continue_()
    assert all(route.request.response() for route in held)
    page.wait_for_timeout(3000)  # what follows an answer has been asked for, too
    assert PLUS in element(page, "auto").inner_text()
    for name in ("structure", "lora"):
        assert not element(page, name).is_visible(), name
    open_part(page, "advanced")
    assert element(page, "image_crop").is_visible()
    element(page, "adapter").locator("input").click()
    offered = element(page, "adapter").locator("li").all_inner_texts()
    assert [one.strip("✓ \n") for one in offered] == ["Auto", f"{PLUS}.bin"]


def test_only_what_an_image_uses_is_shown_and_nothing_calls_it_a_photo(page: Page, photos: Path) -> None:
    is_for(page, "image")
    is_drawn_by_plus(page)
    open_part(page, "advanced")
    twice = [photos / "no_face.jpeg"] * 2
    page.locator(f".faceid-buttons:has({UNIT}_upload) input[type=file]").set_input_files(twice)
    element(page, "message").get_by_text("That image is here already.").wait_for(timeout=WAIT_MS)
    keep(page, "image-unit")
    shown = {name for name in (*USED, *NOT_SHOWN) if element(page, name).is_visible()}
    assert shown == set(USED)
    assert page.locator(f"{UNIT} :text-is('Add images…')").first.is_visible()
    said = words_of(page)
    assert [line for line in said.splitlines() if "photo" in line.lower()] == []
    assert "What is seen of image 1" in said
    assert "Weight of image 1" in said
    choose(page, "adapter", f"{PLUS}.bin")
    element(page, "image_crop").wait_for(state="visible", timeout=WAIT_MS)
    is_for(page, "person")
    page.locator(f"{UNIT} :text-is('Add photos…')").first.wait_for(timeout=WAIT_MS)
    element(page, "structure").wait_for(state="visible", timeout=WAIT_MS)
    page.locator(UNIT).get_by_text("Weight of photo 1").first.wait_for(timeout=WAIT_MS)


@pytest.mark.one_gradio
def test_an_image_beside_a_face_in_each_picture(page: Page, photos: Path) -> None:
    """Two units, two pictures; what is said of each unit is its own."""
    add(page, photos / "Paul.jpeg")
    page.locator("#txt2img_faceid .tab-nav > button").nth(1).click()
    is_for(page, "image", SECOND)
    is_drawn_by_plus(page, SECOND)
    drop(page, photos / "no_face.jpeg", SECOND)
    page.locator("#txt2img_faceid > .label-wrap span[data-faceid-active='2 units']").wait_for(timeout=WAIT_MS)
    page.locator("#faceid_picture .label-wrap").first.click()
    page.locator("#txt2img_count input[type=number]").fill("2")
    page.locator("#txt2img_count input[type=number]").blur()
    generate(page)
    page.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    told = page.locator("#html_info_txt2img").first.inner_text()
    assert "FaceID 0: ip-adapter-faceid-plusv2_sd15 (FaceID Plus v2)" in told
    assert f"FaceID 1: {PLUS} (IP-Adapter Plus)" in told
    assert "1 face" in told
    assert "1 image" in told
    assert page.locator("#txt2img_gallery button.thumbnail-item").count() == 2
    keep(page, "image-beside-a-face")
