"""What somebody sees who opens our own page for the first time, with nothing but the miniature, and clicks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import DRAW_MS, UNIT, WAIT_MS, drop, element, generate, keep, visit
from tests.browser.serving import own_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def first_address(browser: Browser, face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page in a folder without models."""
    folder = tmp_path_factory.mktemp("first")
    with own_page(folder, "--face-models", str(face_models)) as address:
        yield address
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def first(browser: Browser, first_address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    visit(page, first_address)
    yield page
    context.close()


def said(page: Page, text: str) -> None:
    """Wait until it stands beside the button, where one looks."""
    page.locator("#faceid_hint .faceid-warning").get_by_text(text).wait_for(timeout=WAIT_MS)


def test_the_first_click_draws_the_saved_person(first: Page) -> None:
    person = element(first, "person").locator("input").input_value()
    assert person
    assert element(first, "enabled").locator("input").is_checked()
    first.wait_for_timeout(1500)
    assert first.locator("#faceid_hint .faceid-notice").count() == 0
    told = generate(first)
    assert "FaceID 0: ip-adapter-faceid" in told
    assert "1 face" in told
    first.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    assert first.locator("#faceid_hint .faceid-notice").count() == 0
    strip = first.locator("#txt2img_faceid_likeness .faceid-like")
    strip.first.wait_for(timeout=WAIT_MS)
    likeness = re.search(r"FaceID likeness: (\d\.\d\d|no face)", told)
    assert likeness, told
    assert likeness[1] in strip.first.inner_text()
    assert strip.count() == 1
    strip.first.click()  # it shows its picture
    keep(first, "first-click")


@pytest.mark.one_gradio
def test_with_no_unit_on_it_says_so_before_and_after(first: Page) -> None:
    element(first, "enabled").locator("input").uncheck()
    said(first, "No unit is on: the picture shows what the prompt alone gives")
    generate(first)
    first.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    assert first.locator("#txt2img_faceid_likeness .faceid-like").count() == 0
    said(first, "drop a photo or choose a saved person, and tick Enable.")
    keep(first, "first-click-nobody")
    element(first, "enabled").locator("input").check()
    first.locator("#faceid_hint .faceid-warning").wait_for(state="detached", timeout=WAIT_MS)


@pytest.mark.one_gradio
def test_a_photo_of_a_stranger_is_drawn_with_a_warning_before_and_after(first: Page, photos: Path) -> None:
    """The photo counts, and not the saved person who was chosen when the page opened."""
    drop(first, photos / "Paul.jpeg")
    said(first, "expect little likeness to a photo of yours")
    assert element(first, "person").locator("input").input_value() == ""
    assert first.locator(f"{UNIT}_enabled input").is_checked()
    keep(first, "first-click-stranger-before")
    assert "1 face" in generate(first)
    first.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    said(first, "put a Stable Diffusion checkpoint into models/Stable-diffusion")
    keep(first, "first-click-stranger")


@pytest.mark.one_gradio
def test_what_went_wrong_is_named_and_tried(first: Page) -> None:
    """A low weight is found by the likeness of the picture; *Try this* draws the same seed with one field changed."""
    box = element(first, "weight").locator("input[type=number]")
    box.fill("0.05")
    box.blur()
    generate(first)
    first.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    before = first.locator("#html_info_txt2img .faceid-parameters").inner_text()
    first.locator("#txt2img_faceid_diagnosis .label-wrap").first.click()
    first.locator("#txt2img_faceid_diagnosis_look").click()
    first.locator(".faceid-diagnosis").get_by_text("weight 0.05").wait_for(timeout=WAIT_MS)
    fold = first.locator("#txt2img_faceid_diagnosis")
    alone = fold.get_by_text("at weight 0 were not looked at")
    alone.wait_for(timeout=WAIT_MS)
    keep(first, "diagnosis")
    first.locator("#txt2img_faceid_diagnosis_compare").click()
    alone.wait_for(state="detached", timeout=DRAW_MS)
    first.locator("#txt2img_faceid_diagnosis_compare").wait_for(state="hidden", timeout=DRAW_MS)
    first.locator(".faceid-diagnosis").get_by_text("weight 0.05").wait_for(timeout=DRAW_MS)
    assert not alone.count()
    assert first.locator("#html_info_txt2img .faceid-parameters").inner_text() == before, "the picture stays"
    keep(first, "diagnosis-compared")
    first.locator("#txt2img_faceid_diagnosis_try").click()
    first.wait_for_function(
        "before => { const now = document.querySelector('#html_info_txt2img .faceid-parameters'); "
        "return now && now.textContent !== before && now.textContent.includes('weight: 0.8'); }",
        arg=before, timeout=DRAW_MS,
    )  # fmt: skip
    after = first.locator("#html_info_txt2img .faceid-parameters").inner_text()
    seeds = [text.partition("Seed: ")[2].partition(",")[0] for text in (before, after)]
    assert seeds[0] == seeds[1]
    keep(first, "diagnosis-tried")


@pytest.mark.one_gradio
def test_a_template_fills_the_prompt(first: Page) -> None:
    first.locator("#txt2img_faceid_template .label-wrap").first.click()
    first.locator("#txt2img_faceid_template_name input").click()
    first.locator("#txt2img_faceid_template_name li", has_text="Window light").click(timeout=WAIT_MS)
    light = first.locator("#txt2img_faceid_template_light textarea, #txt2img_faceid_template_light input").first
    first.wait_for_function("box => box.value === 'soft window light'", arg=light.element_handle(), timeout=WAIT_MS)
    first.locator("#txt2img_faceid_template_fill").click()
    prompt = first.locator("#txt2img_prompt textarea").element_handle()
    first.wait_for_function("box => box.value.startsWith('portrait of a person, slight smile')", arg=prompt)
    keep(first, "template")


def test_the_pictures_of_a_job_are_sorted_by_likeness_and_a_value_is_aimed_for(first: Page) -> None:
    """Both below the pictures: the strip is in the gallery's new order, and the weight changes by the click alone."""
    first.locator("#faceid_picture .label-wrap").first.click()
    for name, value in {"count": "3", "steps": "8", "seed": "100"}.items():
        box = first.locator(f"#txt2img_{name} input").first
        box.fill(value)
        box.blur()
    generate(first)
    first.locator("#faceid_sort").wait_for(timeout=DRAW_MS)
    strip = first.locator("#txt2img_faceid_likeness .faceid-like b")
    strip.nth(2).wait_for(timeout=WAIT_MS)  # the button is drawn before the strip's last picture
    before = strip.all_inner_texts()
    assert len(before) == 3
    by_likeness = sorted(before, key=lambda text: -2.0 if text == "no face" else float(text), reverse=True)
    first.locator("#faceid_sort").click()
    first.wait_for_function(
        "wanted => [...document.querySelectorAll('#txt2img_faceid_likeness .faceid-like b')]"
        ".map((one) => one.textContent).join() === wanted.join()",
        arg=by_likeness, timeout=WAIT_MS,
    )  # fmt: skip
    keep(first, "sorted")
    weight = element(first, "weight").locator("input[type=number]")
    was = weight.input_value()
    first.locator("#faceid_aim .label-wrap").first.click()
    first.locator("#faceid_aim_start").click()
    first.locator("#faceid_aim_state .faceid-aim-curve circle").first.wait_for(timeout=DRAW_MS)
    keep(first, "aim-own-page")
    assert weight.input_value() == was
    take = first.locator("#faceid_aim_take")
    proposed = take.inner_text().split()[-1]
    take.click()
    is_taken = "([box, value]) => box.value === value"
    first.wait_for_function(is_taken, arg=[weight.element_handle(), proposed], timeout=WAIT_MS)
