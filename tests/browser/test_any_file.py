"""Whatever is dropped gives a sentence; what is taken out leaves nothing behind; the columns stand apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import UNIT, WAIT_MS, choose, drop, element, keep, open_part

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def put(page: Page, zone: str, file: Path) -> None:
    element(page, zone).locator("input[type=file]").set_input_files(file)


@pytest.mark.parametrize("content", [b"no picture at all", b"\xff\xd8\xff\xe0 cut off"], ids=["text", "cut off"])
def test_a_file_that_is_no_picture_is_answered_in_words(page: Page, tmp_path: Path, content: bytes) -> None:
    """By itself gradio shows a bare "Error" in every part that the event fills."""
    file = tmp_path / "holiday.jpg"
    file.write_bytes(content)
    put(page, "image", file)
    element(page, "message").locator(".faceid-warning").wait_for(timeout=WAIT_MS)
    assert len(element(page, "message").inner_text().split()) > 6, "a sentence"
    assert element(page, "enabled").is_visible()
    assert page.locator(".gradio-container .error:visible").count() == 0
    open_part(page, "advanced")
    put(page, "negative_image", file)
    element(page, "negative_message").locator(".faceid-warning").wait_for(timeout=WAIT_MS)
    assert page.locator(".gradio-container .error:visible").count() == 0
    keep(page, "any-file")


@pytest.mark.one_gradio
def test_what_is_taken_out_leaves_no_face_number_and_no_unit_without_anybody(page: Page, photos: Path) -> None:
    """The number of a face is not asked of the next photo, and nobody is drawn where there is nobody."""
    drop(page, photos / "solvay_conference_1927.png")
    page.locator(f"{UNIT}_enabled input:checked").wait_for(timeout=WAIT_MS)
    choose(page, "face", "1")
    page.locator(f"{UNIT}_clear").click()
    page.locator(f"{UNIT}_enabled input:not(:checked)").wait_for(timeout=WAIT_MS)
    page.wait_for_function(
        "box => box.value === 'largest'", arg=element(page, "face").locator("input").element_handle(), timeout=WAIT_MS
    )
    drop(page, photos / "Paul.jpeg")
    assert "good" in element(page, "cards").inner_text()
    page.locator(f"{UNIT}_enabled input:checked").wait_for(timeout=WAIT_MS)


@pytest.mark.one_gradio
@pytest.mark.parametrize("width", [1280, 1900])
def test_the_two_columns_stand_apart(page: Page, width: int) -> None:
    """Also where a row has no gap of its own, as in the WebUI."""
    page.set_viewport_size({"width": width, "height": 1000})
    page.add_style_tag(content=".row { gap: 1px }")
    edges = page.locator(f"{UNIT} .faceid-unit, #txt2img_faceid_0 .faceid-unit").first.evaluate(
        """unit => [unit.querySelector(".faceid-who").getBoundingClientRect().right,
                    unit.querySelector(".faceid-how").getBoundingClientRect().left,
                    unit.querySelector(".faceid-who").getBoundingClientRect().top,
                    unit.querySelector(".faceid-how").getBoundingClientRect().top]"""
    )
    assert edges[1] - edges[0] >= 12 or edges[3] > edges[2], "apart, or one below the other"
    keep(page, f"columns-{width}")
