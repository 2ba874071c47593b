"""Faces that one can click: the strip of a group photo, a unit for each, a larger view, what will be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import DRAW_MS, UNIT, WAIT_MS, add, choose, drop, element, keep, open_part

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
OTHER_UNITS = ("#txt2img_faceid_1", "#txt2img_faceid_2")


def tab(page: Page, number: int) -> None:
    page.locator("#txt2img_faceid_units > .tab-nav > button").nth(number).click()


def test_face_7_of_29_is_one_click(page: Page, photos: Path) -> None:
    drop(page, photos / "solvay_conference_1927.png")
    faces = page.locator(f"{UNIT}_cards .faceid-face")
    assert faces.count() == 29
    box = faces.first.locator("img").bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= 90
    faces.nth(6).locator("button").click()
    page.locator(f"{UNIT}_cards .faceid-card").get_by_text("face 7 of 29").wait_for(timeout=WAIT_MS)
    assert faces.nth(6).locator("button").get_attribute("aria-pressed") == "true"
    assert element(page, "face").locator("input").input_value() == "7"
    element(page, "truth").get_by_text("face 7 of the photo").wait_for(timeout=WAIT_MS)
    keep(page, "faces")


def test_several_faces_become_a_unit_each(page: Page, photos: Path) -> None:
    drop(page, photos / "solvay_conference_1927.png")
    each = page.locator(f"{UNIT}_cards .faceid-each")
    assert not each.is_visible()
    for at in (20, 6):
        page.locator(f"{UNIT}_cards .faceid-face input").nth(at).check()
    each.click()
    element(page, "message").get_by_text("One person each. Unit 0: left, unit 1: right.").wait_for(timeout=WAIT_MS)
    for number, unit, said in ((1, OTHER_UNITS[0], "face 21 of 29"), (0, UNIT, "face 7 of 29")):
        tab(page, number)
        page.locator(f"{unit}_cards .faceid-card").get_by_text(said).wait_for(timeout=WAIT_MS)
        assert element(page, "enabled", unit).locator("input").is_checked()
    tab(page, 2)
    assert not element(page, "enabled", OTHER_UNITS[1]).locator("input").is_checked()


def test_two_people_in_one_unit_are_a_question(page: Page, photos: Path) -> None:
    add(page, photos / "Paul.jpeg", photos / "Chris.jpeg", photos / "Paul2.jpeg")
    element(page, "truth").get_by_text("It will be a mixture of several people.").wait_for(timeout=WAIT_MS)
    page.locator(f"{UNIT}_cards").get_by_text("A unit for each person").click()
    element(page, "truth").get_by_text("2 photos as one").wait_for(timeout=WAIT_MS)
    assert page.locator(f"{UNIT}_cards .faceid-card").count() == 2
    tab(page, 1)
    assert page.locator(f"{OTHER_UNITS[0]}_cards .faceid-card").count() == 1
    keep(page, "split")


def test_a_photo_is_seen_large_and_larger(page: Page, photos: Path) -> None:
    """By mouse and by keyboard; Escape closes it."""
    drop(page, photos / "Paul.jpeg")
    large = page.locator(f"{UNIT}_cards .faceid-large")
    large.focus()
    page.keyboard.press("Enter")
    view = page.locator("#faceid_zoom img")
    view.wait_for(timeout=WAIT_MS)
    before = view.bounding_box()
    page.keyboard.press("+")
    page.wait_for_timeout(300)
    after = view.bounding_box()
    assert before
    assert after
    assert after["width"] > 1.3 * before["width"]
    keep(page, "zoom")
    page.keyboard.press("Escape")
    view.wait_for(state="hidden", timeout=WAIT_MS)


def test_what_is_of_no_use_is_not_shown(page: Page, photos: Path) -> None:
    assert not element(page, "face").is_visible()
    assert not element(page, "combine").is_visible()
    drop(page, photos / "Paul.jpeg")
    assert not element(page, "face").is_visible(), "there is one face"
    assert not element(page, "combine").is_visible(), "there is one photo"
    drop(page, photos / "Paul2.jpeg")
    element(page, "combine").wait_for(state="visible", timeout=WAIT_MS)


def test_a_saved_person_says_what_it_is_made_of(page: Page, photos: Path) -> None:
    add(page, photos / "Paul.jpeg", photos / "Paul2.jpeg")
    open_part(page, "save_person")
    element(page, "name").locator("input, textarea").fill("Of two photos")
    element(page, "save").click()
    element(page, "saved_message").get_by_text("Saved as 'Of two photos'").wait_for(timeout=DRAW_MS)
    choose(page, "person", "Of two photos")
    element(page, "saved").get_by_text("of 2 photos, quality 0.").wait_for(timeout=WAIT_MS)
    element(page, "truth").get_by_text("Of two photos").wait_for(timeout=WAIT_MS)
