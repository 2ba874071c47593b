"""The column of results: nothing below it moves, pictures are seen whole and large, and lie on the disk."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lib_faceid.pictures.provenance import SOURCE_TYPE
from tests.browser.driving import DRAW_MS, WAIT_MS, keep

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
BELOW = "#faceid_aim"
NEXT = re.compile(r"seed72(-\d+)?\.png, seed73(-\d+)?\.png")  # another test may have kept such a picture before
THUMBNAILS = "#txt2img_gallery .thumbnail-item"


def drawn(page: Page, count: int, steps: int = 3) -> None:
    """Draw some pictures."""
    if not page.locator("#txt2img_steps input[type=number]").is_visible():
        page.locator("#faceid_picture .label-wrap").first.click()
    for name, value in (("count", count), ("steps", steps), ("seed", 70)):
        box = page.locator(f"#txt2img_{name} input").first
        box.fill(str(value))
        box.blur()
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_interrupt:not([disabled])").wait_for(timeout=WAIT_MS)
    page.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    page.locator(THUMBNAILS).nth(count - 1).wait_for(timeout=WAIT_MS)


def test_four_pictures_are_seen_whole_and_one_large(page: Page) -> None:
    """The place of the pictures is as high before as after, no row is cut, a click shows the file's own picture."""
    page.set_viewport_size({"width": 1900, "height": 900})  # the column is wider than two pictures are high
    stage = page.locator("#txt2img_gallery")
    before = stage.bounding_box()
    drawn(page, 4)
    after = stage.bounding_box()
    assert before
    assert after
    assert after["height"] == pytest.approx(before["height"], abs=1)
    for place in range(4):
        box = page.locator(THUMBNAILS).nth(place).bounding_box()
        assert box
        assert box["y"] + box["height"] <= after["y"] + after["height"] + 1, f"picture {place + 1} is cut"
    keep(page, "results-four")
    page.locator(THUMBNAILS).nth(2).click()
    large = page.locator("#faceid_zoom[open] img")
    large.wait_for(timeout=WAIT_MS)
    assert large.get_attribute("src") == page.locator(f"{THUMBNAILS} img").nth(2).get_attribute("src")
    page.keyboard.press("Escape")
    page.add_script_tag(content=files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run('#faceid_page > :last-child')")["violations"]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


def test_pictures_lie_on_the_disk_with_their_settings_and_the_mark(page: Page, folder: Path) -> None:
    drawn(page, 2)
    told = page.locator("#html_info_txt2img").get_by_text("Kept in out/ui/").first.inner_text()
    where, _, names = told.removeprefix("Kept in ").removesuffix(".").partition(": ")
    assert len(names.split(", ")) == 2
    for name, seed in zip(names.split(", "), (70, 71), strict=True):
        with Image.open(folder / where / name) as image:
            assert f"Seed: {seed}," in image.info["parameters"]
            assert SOURCE_TYPE in image.info["XML:com.adobe.xmp"]


def test_the_seed_varies_and_a_picture_becomes_a_reference(page: Page) -> None:
    """The seeds go on where the last ones ended, with the settings of the pictures and not those of a changed form."""
    drawn(page, 2)
    page.locator("#txt2img_prompt textarea").fill("another prompt")
    page.locator("#faceid_vary").click()
    page.locator("#html_info_txt2img").get_by_text(NEXT).wait_for(timeout=DRAW_MS)
    page.locator("#faceid_vary:not([disabled])").wait_for(timeout=DRAW_MS)
    told = page.locator("#html_info_txt2img .faceid-parameters").inner_text()
    assert "Seed: 73," in told
    assert "another prompt" not in told
    page.locator(THUMBNAILS).nth(1).click()
    page.keyboard.press("Escape")
    page.locator("#faceid_reference").click()
    page.locator("#txt2img_faceid_0_cards .faceid-card").wait_for(timeout=WAIT_MS)
    said = page.locator("#faceid_again_message").first
    said.get_by_text("Picture 2 is a photo of unit 0 now.").wait_for(timeout=WAIT_MS)
    keep(page, "results-reference")


def test_a_held_picture_is_compared_with_one_of_a_later_job(page: Page) -> None:
    """A slider over both, and only what differs in their settings."""
    shown = page.locator("#faceid_compared").first
    drawn(page, 1)
    page.locator("#faceid_compare").click()
    shown.get_by_text("Hold a picture first").wait_for(timeout=WAIT_MS)
    page.locator("#faceid_hold").click()
    shown.get_by_text("Picture 1 is held.").wait_for(timeout=WAIT_MS)
    drawn(page, 1, steps=4)
    page.locator("#faceid_compare").click()
    shown.locator("img").nth(1).wait_for(timeout=WAIT_MS)
    assert shown.locator("th").all_inner_texts() == ["", "held", "chosen", "Steps"]
    assert shown.locator("td").all_inner_texts() == ["3", "4"]
    slider = shown.locator("input[type=range]")
    slider.fill("20")
    cut = shown.locator("img").nth(1).evaluate("(image) => getComputedStyle(image).clipPath")
    assert cut == "inset(0px 0px 0px 20%)"
    keep(page, "results-compared")
