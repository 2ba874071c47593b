"""What a new user met in the WebUI's page, and what stands there instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.webui.browsing import JOB_MS, WAIT_MS, open_page, upload
from tests.webui.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
UNIT = "#txt2img_faceid_0"
MOST_LINES = 30
"""Of the log, for a job that is refused: the WebUI's own."""


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    page = open_page(browser, server)
    yield page
    page.close()


def test_a_saved_person_is_among_the_cards_at_once(server: Server, page: Page, data_folder: Path) -> None:
    """And the answer stands below the button that was pressed."""
    upload(page, 0, data_folder / "photos" / "astronaut.png")
    page.locator(f"{UNIT}_save_person > .label-wrap").click()
    page.locator(f"{UNIT}_name input, {UNIT}_name textarea").first.fill("Newcomer")
    page.locator(f"{UNIT}_save").click()
    try:
        said = page.locator(f"{UNIT}_saved_message").get_by_text("Saved as 'Newcomer'").first
        said.wait_for(timeout=WAIT_MS)
        answer, button = said.bounding_box(), page.locator(f"{UNIT}_save").bounding_box()
        assert answer
        assert button
        assert 0 < answer["y"] - button["y"] < 120
        card = page.locator("#txt2img_people_cards .card .name", has_text="Newcomer").first
        card.wait_for(state="attached", timeout=WAIT_MS)
    finally:
        (server.data / "models" / "faceid" / "faces" / "Newcomer.safetensors").unlink(missing_ok=True)


def test_what_auto_means_follows_the_checkpoint(page: Page) -> None:
    auto = page.locator(f"{UNIT}_auto").first
    auto.get_by_text("Auto for SD 1.5 is now").wait_for(timeout=WAIT_MS)
    chooser = page.locator("#setting_sd_model_checkpoint, .model_selection:has(input[aria-label=Checkpoint])").first

    def choose(name: str) -> None:
        chooser.locator("input").click()
        chooser.locator("li", has_text=name).first.click()

    try:
        for name, family in (("mini_sdxl", "SDXL"), ("mini_sd15", "SD 1.5")):
            choose(name)
            auto.get_by_text(f"Auto for {family} is now").wait_for(timeout=JOB_MS)
    finally:
        choose("mini_sd15")
        page.wait_for_timeout(1000)


def test_a_refused_job_prints_its_sentence_and_no_way_of_ours(server: Server, page: Page, data_folder: Path) -> None:
    upload(page, 0, data_folder / "photos" / "no_face.jpeg")
    before = server.log_path.read_text("utf-8", errors="replace")
    page.locator("#txt2img_generate").click()
    page.locator("#html_log_txt2img .error").get_by_text("No face found").wait_for(timeout=JOB_MS)
    page.wait_for_timeout(500)
    printed = server.log_path.read_text("utf-8", errors="replace")[len(before) :]
    lines = [line for line in printed.splitlines() if line.strip()]
    assert "No face found" in printed
    assert printed.count("Traceback") == 1
    assert "preparing.py" not in printed
    assert len(lines) <= MOST_LINES, printed
