"""F5: the form stands as it was, photos are gone and it says so, and what the browser kept is no more than the form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import UNIT, WAIT_MS, choose, drop, element, is_value, number, open_part, visit

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
SECOND = "#txt2img_faceid_1"
PROMPT = "#txt2img_prompt textarea"
PICTURE = {"width": "320", "steps": "9", "seed": "4711", "count": "2", "cfg_scale": "3.5"}
SETTLE_MS = 700  # until what a change set going has come back


def again(page: Page) -> None:
    """Press F5."""
    page.evaluate("delete window.faceidKeep")
    visit(page, page.url)
    page.wait_for_function("() => window.faceidKeep", timeout=WAIT_MS)


def ready(page: Page) -> None:
    page.wait_for_function("() => window.faceidKeep", timeout=WAIT_MS)


def fill(page: Page, selector: str, text: str) -> None:
    box = page.locator(selector).first
    box.fill(text)
    box.blur()


def kept(page: Page) -> dict[str, str]:
    return page.evaluate("Object.fromEntries(Object.entries(sessionStorage))")


def unit_1(page: Page) -> None:
    page.locator("#txt2img_faceid_units").get_by_role("tab", name="Unit 1").or_(
        page.locator("#txt2img_faceid_units > .tab-nav > button", has_text="Unit 1")
    ).first.click()


def test_the_form_stands_as_it_was(page: Page) -> None:
    """Prompt, sliders, lists, switches, of the request, of two units and of the job."""
    ready(page)
    fill(page, PROMPT, 'two people, "quoted" & <b>')
    fill(page, "#txt2img_neg_prompt textarea", "rain")
    page.locator("#faceid_picture .label-wrap").first.click()
    for name, value in PICTURE.items():
        fill(page, f"#txt2img_{name} input", value)
    fill(page, f"{UNIT}_weight input[type=number]", "0.55")
    open_part(page, "advanced")
    choose(page, "weight_type", "style transfer")
    unit_1(page)
    element(page, "enabled", SECOND).locator("input").check()
    element(page, "person", SECOND).locator("input").fill("Nobody I know")
    page.keyboard.press("Enter")
    open_part(page, "region_panel", SECOND)
    choose(page, "region", "left", SECOND)
    page.locator("#txt2img_faceid_search .label-wrap").first.click()
    fill(page, "#txt2img_faceid_best_of input[type=number]", "5")
    page.wait_for_timeout(SETTLE_MS)
    values = kept(page)
    again(page)
    assert page.locator(PROMPT).first.input_value() == 'two people, "quoted" & <b>'
    assert page.locator("#txt2img_neg_prompt textarea").first.input_value() == "rain"
    page.locator("#faceid_picture .label-wrap").first.click()
    for name, value in PICTURE.items():
        assert page.locator(f"#txt2img_{name} input").first.input_value() == value
    is_value(page, "weight", "0.55")
    open_part(page, "advanced")
    assert element(page, "weight_type").locator("input").input_value() == "style transfer"
    assert not element(page, "enabled").locator("input").is_checked()
    unit_1(page)
    assert element(page, "enabled", SECOND).locator("input").is_checked()
    assert element(page, "person", SECOND).locator("input").input_value() == "Nobody I know"
    open_part(page, "region_panel", SECOND)
    assert element(page, "region", SECOND).locator("input").input_value() == "left"
    page.locator("#txt2img_faceid_search .label-wrap").first.click()
    assert page.locator("#txt2img_faceid_best_of input[type=number]").first.input_value() == "5"
    assert page.get_by_text("not kept when the page is loaded").count() == 0
    assert kept(page) == values


def test_photos_are_gone_and_it_says_so(page: Page, photos: Path) -> None:
    """The unit that drew them is off, and on again with the next photo; the browser has no picture."""
    ready(page)
    drop(page, photos / "Paul.jpeg")
    number(page, "weight").fill("0.4")
    number(page, "weight").blur()
    page.wait_for_timeout(SETTLE_MS)
    values = kept(page)
    assert values["faceid:txt2img_faceid_0_cards_changed"] == "true"
    assert sum(map(len, values.values())) < 1000
    again(page)
    element(page, "missing").get_by_text("Photos are not kept when the page is loaded again").wait_for(timeout=WAIT_MS)
    assert not element(page, "enabled").locator("input").is_checked()
    is_value(page, "weight", "0.4")
    drop(page, photos / "Paul.jpeg")
    page.wait_for_function(
        "(box) => box.checked", arg=element(page, "enabled").locator("input").element_handle(), timeout=WAIT_MS
    )
    assert page.get_by_text("not kept when the page is loaded").count() == 0
    element(page, "truth").get_by_text("weight 0.40").wait_for(timeout=WAIT_MS)


def test_what_cannot_be_is_left_as_it_begins(page: Page) -> None:
    """Whatever stands in the browser's storage: a value is taken where the field allows it, and else the default."""
    ready(page)
    begins = {name: page.locator(f"#txt2img_{name} input").first.input_value() for name in ("width", "steps", "seed")}
    bad = {
        "txt2img_prompt": '["a list"]', "txt2img_width": "0", "txt2img_steps": "1e9", "txt2img_seed": "NaN",
        "txt2img_neg_prompt": '"kept"', "faceid_checkpoint": '"../../etc/passwd"', "txt2img_faceid_0_weight": "99",
        "txt2img_faceid_0_weight_type": '"no such"', "txt2img_faceid_0_purpose": "{", "other": "1",
        "txt2img_faceid_0_region": '"nowhere"', "txt2img_faceid_0_enabled": '"yes"',
    }  # fmt: skip
    prompt, checkpoint = page.locator(PROMPT).first.input_value(), page.locator("#faceid_checkpoint input").first
    chosen = checkpoint.input_value()
    page.evaluate(
        "(bad) => Object.entries(bad).forEach(([name, text]) => sessionStorage.setItem(`faceid:${name}`, text))", bad
    )
    again(page)
    assert page.locator("#txt2img_neg_prompt textarea").first.input_value() == "kept"
    assert page.locator(PROMPT).first.input_value() == prompt
    assert page.locator("#faceid_checkpoint input").first.input_value() == chosen
    for name, value in begins.items():
        assert page.locator(f"#txt2img_{name} input").first.input_value() == value
    is_value(page, "weight", "0.8")
    assert json.loads(kept(page)["faceid:txt2img_neg_prompt"]) == "kept"
