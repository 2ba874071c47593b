"""A person at the page: a real Chromium uploads a photo, presses Generate and reads what is under the picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.webui.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

JOB_TIMEOUT_MS = 120_000


@pytest.fixture(scope="module")
def page(server: Server, browser: Browser) -> Iterator[Page]:
    """The page of the running WebUI, with small, quick settings filled in."""
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.goto(f"http://127.0.0.1:{server.port}", wait_until="domcontentloaded")
    page.locator("#txt2img_generate").wait_for(timeout=60_000)
    for name, value in {"steps": 4, "width": 128, "height": 128}.items():
        page.locator(f"#txt2img_{name} input[type=number]").fill(str(value))
    page.locator("#txt2img_prompt textarea").fill("a person")
    page.locator("#txt2img_seed input").fill("7")
    page.locator("#txt2img_faceid > .label-wrap").click()
    yield page
    page.close()


def generate(page: Page) -> None:
    """Press Generate and wait until the job has ended."""
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_interrupt").wait_for(state="visible", timeout=JOB_TIMEOUT_MS)
    page.locator("#txt2img_interrupt").wait_for(state="hidden", timeout=JOB_TIMEOUT_MS)


def upload(page: Page, number: int, photo: Path) -> None:
    """Drop a photo on a unit, and wait until it stands among the unit's photos and the unit is on."""
    unit = f"#txt2img_faceid_{number}"
    page.locator("#txt2img_faceid_units > .tab-nav > button").nth(number).click()
    page.locator(f"{unit}_image input[type=file]").set_input_files(photo)
    page.locator(f"{unit}_gallery img").first.wait_for(timeout=30_000)
    box = page.locator(f"{unit}_enabled input")
    page.wait_for_function("box => box.checked", arg=box.element_handle(), timeout=10_000)


def under_the_picture(page: Page) -> str:
    return page.locator("#html_log_txt2img, #html_info_txt2img").all_inner_texts().__str__()


def keep(page: Page, name: str) -> None:
    """Keep a screenshot where FACEID_SCREENSHOTS names a folder."""
    if folder := os.environ.get("FACEID_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_an_upload_enables_the_unit_and_the_job_says_what_was_applied(page: Page, data_folder: Path) -> None:
    upload(page, 0, data_folder / "photos" / "astronaut.png")
    keep(page, "1-uploaded")
    generate(page)
    page.locator("#txt2img_gallery img").first.wait_for(timeout=10_000)
    assert "FaceID 0: ip-adapter-faceid-plusv2_sd15 (FaceID Plus v2)" in under_the_picture(page)
    keep(page, "2-drawn")


def test_metadata_bring_the_unit_back(page: Page) -> None:
    """After a change, "Read generation parameters" of the last job restores what the unit had."""
    weight = page.locator("#txt2img_faceid_0_weight input[type=number]")
    weight.fill("1.7")
    weight.blur()
    page.locator("#txt2img_faceid_0_enabled input").uncheck()
    page.locator("#txt2img_prompt textarea").fill("")
    page.locator("#txt2img_tools #paste").click()
    box = page.locator("#txt2img_faceid_0_enabled input")
    page.wait_for_function("box => box.checked", arg=box.element_handle(), timeout=10_000)
    assert weight.input_value() == "0.8"


def test_a_photo_without_a_face_ends_the_job_in_red(page: Page, data_folder: Path) -> None:
    page.locator("#txt2img_faceid_0_enabled input").uncheck()
    upload(page, 1, data_folder / "photos" / "no_face.jpeg")
    generate(page)
    error = page.locator("#html_log_txt2img .error, #txt2img_results .error").first
    error.wait_for(timeout=10_000)
    assert "Unit 1: No face found" in error.inner_text()
    keep(page, "3-no-face")
