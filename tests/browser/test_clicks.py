"""How many clicks a task takes on our own page: the table in docs/PAGE.md, counted in the browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import DRAW_MS, UNIT, WAIT_MS, add, drop, element

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.one_gradio]
TABLE = re.compile(r"<!-- clicks -->(.*?)<!-- /clicks -->", re.DOTALL)
COUNT = """window.faceidClicks = 0;
document.addEventListener("pointerdown", (event) => { window.faceidClicks += event.isTrusted; }, true);"""
PROMPT = "#txt2img_prompt textarea"
FOLDER: list[Path] = []
"""Where the running page keeps its pictures."""


def table() -> dict[str, int]:
    """Task -> clicks, as the page of the docs has them."""
    text = (Path(__file__).parents[2] / "docs" / "PAGE.md").read_text("utf-8")
    rows = [line.split("|") for line in TABLE.findall(text)[0].strip().splitlines()[2:]]
    return {row[1].strip(): int(row[2]) for row in rows}


def generated(page: Page) -> str:
    """Click on Generate; what is said of the picture."""
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_interrupt:not([disabled])").wait_for(timeout=WAIT_MS)
    page.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    return page.locator("#html_info_txt2img").first.inner_text()


def fold(page: Page, name: str) -> None:
    page.locator(f"{name} > .label-wrap").first.click()


def draw(page: Page, photos: Path) -> None:
    drop(page, photos / "Paul.jpeg")
    assert "FaceID 0: ip-adapter" in generated(page)


def face_7(page: Page, photos: Path) -> None:
    drop(page, photos / "solvay_conference_1927.png")
    page.locator(f"{UNIT}_cards .faceid-face").nth(6).locator("button").click()
    page.locator(f"{UNIT}_cards .faceid-card").get_by_text("face 7 of 29").wait_for(timeout=WAIT_MS)
    assert "face: 7" in generated(page)


def two_people(page: Page, photos: Path) -> None:
    add(page, photos / "Paul.jpeg", photos / "Chris.jpeg")
    page.locator(f"{UNIT}_cards").get_by_text("A unit for each person").click()
    element(page, "message").get_by_text("Unit 0: left, unit 1: right.").wait_for(timeout=WAIT_MS)
    told = generated(page)
    assert "region: left" in told
    assert "region: right" in told


def not_alike(page: Page, photos: Path) -> None:
    drop(page, photos / "Paul.jpeg")
    generated(page)
    page.evaluate("window.faceidClicks = 0")  # the picture is there
    fold(page, "#txt2img_faceid_diagnosis")
    page.locator("#txt2img_faceid_diagnosis_look").click()
    page.locator(".faceid-diagnosis").first.wait_for(timeout=WAIT_MS)


def save_and_call(page: Page, photos: Path) -> None:
    drop(page, photos / "Paul.jpeg")
    fold(page, f"{UNIT}_save_person")
    element(page, "name").locator("input, textarea").fill("Clicked")
    element(page, "save").click()
    element(page, "saved_message").get_by_text("Saved as 'Clicked'").wait_for(timeout=DRAW_MS)
    page.locator(PROMPT).fill("a photo of a person <faceid:Clicked:0.8>")
    assert "FaceID tag 0: ip-adapter" in generated(page)


def compare(page: Page, photos: Path) -> None:
    drop(page, photos / "Paul.jpeg")
    generated(page)
    page.evaluate("window.faceidClicks = 0")  # the first picture is there
    page.locator("#faceid_hold").click()
    page.locator("#faceid_compared").get_by_text("is held").first.wait_for(timeout=WAIT_MS)
    generated(page)
    page.locator("#faceid_compare").click()
    page.locator("#faceid_compared img").nth(1).wait_for(timeout=WAIT_MS)


def repeat(page: Page, _photos: Path) -> None:
    told = generated(page)
    seed = re.findall(r"Seed: (\d+)", told)[-1]
    where = re.findall(r"Kept in (\S+): (\S+\.png)", told)[0]
    file = FOLDER[0] / where[0].rstrip(":") / where[1].rstrip(".")
    assert file.is_file()
    page.evaluate("window.faceidClicks = 0")
    fold(page, "#faceid_reading")
    with page.expect_file_chooser() as chooser:
        page.locator("#faceid_open").click()
    chooser.value.set_files(file)
    page.wait_for_function(
        "([box, seed]) => box.value === seed",
        arg=[page.locator("#txt2img_seed input").element_handle(), seed],
        timeout=WAIT_MS,
    )
    assert f"Seed: {seed}" in generated(page)


def install(page: Page, _photos: Path) -> None:
    fold(page, "#txt2img_faceid_setup")
    models = page.locator("#txt2img_faceid_setup_model")
    models.wait_for(timeout=WAIT_MS)
    models.locator("input").click()
    models.locator("li").nth(1).click()
    licence = page.locator("#txt2img_faceid_setup_accept input")
    licence.wait_for(timeout=WAIT_MS)
    licence.check()
    page.locator("#txt2img_faceid_setup_download").wait_for(timeout=WAIT_MS)
    page.evaluate("window.faceidClicks += 1")  # that button, without the download


TASKS: dict[str, Callable[[Page, Path], None]] = {
    "draw from a photo": draw,
    "choose face 7 of 29": face_7,
    "two people, left and right": two_people,
    "find out why a picture is not alike": not_alike,
    "save a person, and call her by a tag": save_and_call,
    "compare two pictures": compare,
    "repeat a picture from its file": repeat,
    "install a missing model": install,
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_takes_as_many_clicks_as_the_docs_say(page: Page, photos: Path, folder: Path, task: str) -> None:
    FOLDER[:] = [folder]
    page.evaluate(COUNT)
    TASKS[task](page, photos)
    assert page.evaluate("window.faceidClicks") == table()[task]


def test_the_table_has_these_tasks() -> None:
    assert set(table()) == set(TASKS)
