"""The tab "People" in a real Chromium: a card for each saved person, which writes the tag into the prompt."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.webui.browsing import generate, keep, open_page, under_the_picture
from tests.webui.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

NAMES = ["Anna", "Bert Öz (old)"]


def save(server: Server, name: str, photo: Path) -> None:
    image = base64.b64encode(photo.read_bytes()).decode()
    assert server.post("/ip-adapter-faceid/faces", {"name": name, "images": [image]}).status == 200


@pytest.fixture(scope="module", autouse=True)
def saved_people(server: Server, data_folder: Path) -> Iterator[Path]:
    """The folder of the library, with two people in it."""
    for name in NAMES:
        save(server, name, data_folder / "photos" / "astronaut.png")
    folder = server.data / "models" / "faceid" / "faces"
    yield folder
    for path in folder.glob("*"):
        path.unlink()


@pytest.fixture(scope="module")
def page(server: Server, browser: Browser) -> Iterator[Page]:
    """The page of the running WebUI, the same for all tests here: each goes on where the one before ended."""
    page = open_page(browser, server)
    yield page
    page.close()


def cards(page: Page) -> list[str]:
    return page.locator("#txt2img_people_cards .card .name").all_inner_texts()


def refresh(page: Page, expected: int) -> None:
    page.locator("#txt2img_people_extra_refresh >> visible=true").first.click()  # the WebUI shows one of two
    page.wait_for_function(
        f"() => document.querySelectorAll('#txt2img_people_cards .card').length == {expected}", timeout=30_000
    )


def prompt(page: Page) -> str:
    return page.locator("#txt2img_prompt textarea").input_value()


def test_each_saved_person_has_a_card(page: Page) -> None:
    page.locator("#txt2img_extra_tabs > .tab-nav button", has_text="People").click()
    refresh(page, 2)
    assert cards(page) == NAMES
    text = page.locator("#txt2img_people_cards .card").first.inner_text()
    assert "1 photo · " in text
    assert "saved 20" in text
    sizes = page.locator("#txt2img_people_cards img.preview").evaluate_all(
        "images => images.map(image => [image.complete, image.naturalWidth])"
    )
    assert [complete and width > 0 for complete, width in sizes] == [True, True]
    keep(page, "people")


def test_a_click_writes_the_tag_and_another_takes_it_out(page: Page) -> None:
    card = page.locator("#txt2img_people_cards .card").nth(1)
    card.click()
    assert prompt(page) == "a person <faceid:Bert Öz (old):0.8>"
    card.click()
    assert prompt(page).strip() == "a person"
    page.locator("#txt2img_people_cards .card").first.click()


def test_the_prompt_of_the_page_calls_the_person(page: Page) -> None:
    generate(page)
    assert prompt(page) == "a person <faceid:Anna:0.8>"
    assert "FaceID tag 0: ip-adapter-faceid-plusv2_sd15 (FaceID Plus v2)" in under_the_picture(page)


def test_metadata_bring_the_tag_back_and_no_unit(page: Page) -> None:
    page.locator("#txt2img_prompt textarea").fill("")
    page.locator("#txt2img_tools #paste").click()
    page.wait_for_function("() => document.querySelector('#txt2img_prompt textarea').value != ''", timeout=10_000)
    assert prompt(page) == "a person <faceid:Anna:0.8>"
    assert not any(box.is_checked() for box in page.locator("[id^=txt2img_faceid_][id$=_enabled] input").all())


def test_a_new_person_is_there_after_a_refresh_and_a_deleted_one_gone(
    page: Page, server: Server, saved_people: Path, data_folder: Path
) -> None:
    save(server, "Carla", data_folder / "photos" / "Bryan.png")
    (saved_people / "broken.safetensors").write_bytes(b"nothing")
    refresh(page, 4)
    assert "broken.safetensors" in page.locator("#txt2img_people_cards .card[data-name=broken]").inner_text()
    for path in saved_people.glob("*"):
        path.unlink()
    page.locator("#txt2img_people_extra_refresh >> visible=true").first.click()
    page.locator("#txt2img_people_cards .card", has_text="Nobody is saved yet").wait_for(timeout=30_000)
    assert page.locator("#txt2img_people_cards .card").count() == 1
    keep(page, "nobody")
