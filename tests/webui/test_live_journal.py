"""The likeness loop in a live WebUI's page: best of 4, the strip, what went wrong, one thing tried, and the journal."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gallery import photo_of

from lib_faceid.miniature.trained import TRAINED_ADAPTER
from tests.webui.browsing import WAIT_MS, choose, drawn, generate, go_to, keep, open_page, upload, value_of
from tests.webui.server import Server
from tests.webui.test_live_api import PREFIX, ask
from tests.webui.test_live_likeness import BLUE, WHO, miniature
from training.captions import caption

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["miniature"]

pytestmark = pytest.mark.browser
PROMPT = caption(BLUE)
OPTIONS = {
    "sd_model_checkpoint": "miniature.safetensors",
    "samples_save": True,
    "faceid_journal": False,
    "faceid_journal_thumbnails": True,
}
NAME = "Robin"


@pytest.fixture(scope="module")
def webui(miniature: Server) -> Iterator[Server]:
    """The WebUI with the miniature loaded, the journal off, and a person in the library."""
    before = {name: value for name, value in miniature.get("/sdapi/v1/options").items() if name in OPTIONS}
    miniature.post("/sdapi/v1/options", OPTIONS)
    photo = base64.b64encode(photo_of(WHO[0]).read_bytes()).decode()
    status, saved = ask(miniature, f"{PREFIX}/faces", {"name": NAME, "images": [photo]})
    assert status == 200, saved
    yield miniature
    ask(miniature, f"{PREFIX}/faces/{NAME}", method="DELETE")
    for checkpoint in ("mini_sdxl.safetensors", "mini_sd15.safetensors"):  # Forge skips what it takes for chosen
        miniature.post("/sdapi/v1/options", before | {"sd_model_checkpoint": checkpoint})


@pytest.fixture(scope="module")
def page(webui: Server, browser: Browser) -> Iterator[Page]:
    """One page for the whole story: each test goes on where the one before has ended."""
    page = open_page(browser, webui)
    for name, value in {"steps": 8, "cfg_scale": 2}.items():
        page.locator(f"#txt2img_{name} input[type=number]").fill(str(value))
    page.locator("#txt2img_prompt textarea").fill(PROMPT)
    yield page
    page.close()


def open_fold(page: Page, name: str) -> None:
    """Open an accordion by its id, where it is closed."""
    label = page.locator(f"#{name} > .label-wrap")
    if "open" not in (label.get_attribute("class") or "").split():
        label.click()


def told(page: Page, name: str) -> str:
    return page.locator(f"#{name}").first.inner_text()


def shows(page: Page, name: str, text: str) -> None:
    """Wait until a part of the page says something."""
    page.locator(f"#{name}").get_by_text(text).first.wait_for(timeout=WAIT_MS)


def test_a_job_with_best_of_four_has_its_strip_and_is_written_down(page: Page) -> None:
    go_to(page, "FaceID journal")
    shows(page, "faceid_journal_state", "nothing is written down")
    page.locator("#faceid_journal_on").click()
    shows(page, "faceid_journal_state", "The journal is on")
    go_to(page, "txt2img")
    upload(page, 0, photo_of(WHO[0]))
    choose(page, "txt2img_faceid_0_adapter", TRAINED_ADAPTER.name)
    page.locator("#txt2img_faceid_0_weight input[type=number]").fill("0.15")
    page.locator("#txt2img_faceid_0_weight input[type=number]").blur()
    open_fold(page, "txt2img_faceid_search")
    page.locator("#txt2img_faceid_best_of input[type=number]").fill("4")
    page.locator("#txt2img_faceid_best_of input[type=number]").blur()
    generate(page)
    strip = page.locator("#txt2img_faceid_likeness")
    strip.locator(".faceid-like").first.wait_for(timeout=WAIT_MS)
    assert strip.locator(".faceid-like").count() == 1
    keep(page, "journal-1-strip")
    assert (
        "written into the journal as F-000001"
        in page.locator("#html_log_txt2img, #txt2img_results").all_inner_texts()[0]
    )


def test_what_went_wrong_is_tried_and_becomes_a_child(page: Page) -> None:
    open_fold(page, "txt2img_faceid_diagnosis")
    page.locator("#txt2img_faceid_diagnosis_look").click()
    shows(page, "txt2img_faceid_diagnosis_rows", "only a little like the person")
    keep(page, "journal-2-diagnosis")
    fold = page.locator("#txt2img_faceid_diagnosis")
    alone = fold.get_by_text("at weight 0 were not looked at")
    assert alone.count() == 1
    before = drawn(page)
    page.locator("#txt2img_faceid_diagnosis_compare").click()
    page.locator("#txt2img_interrupt").wait_for(state="visible", timeout=WAIT_MS)
    page.locator("#txt2img_interrupt").wait_for(state="hidden", timeout=3 * WAIT_MS)
    alone.wait_for(state="detached", timeout=WAIT_MS)
    shows(page, "txt2img_faceid_diagnosis_rows", "only a little like the person")
    assert value_of(page.locator("#txt2img_faceid_0_weight")) == "0.15", "the page keeps its weight"
    assert drawn(page) != before
    assert page.locator("#txt2img_faceid_aim_request textarea").input_value() == ""
    keep(page, "journal-2-compared")
    page.locator("#txt2img_faceid_diagnosis_try").click()
    page.locator("#txt2img_interrupt").wait_for(state="visible", timeout=WAIT_MS)
    page.locator("#txt2img_interrupt").wait_for(state="hidden", timeout=3 * WAIT_MS)
    assert value_of(page.locator("#txt2img_faceid_0_weight")) == "0.8"
    keep(page, "journal-3-tried")


def test_the_journal_lists_and_opens_the_runs(page: Page) -> None:
    go_to(page, "FaceID journal")
    page.locator("#faceid_journal_find").click()
    shows(page, "faceid_journal_table", "F-000002")
    shows(page, "faceid_journal_table", "photo ")  # who is not saved
    keep(page, "journal-4-list")
    page.locator("#faceid_journal_table td", has_text="F-000002").last.click()
    page.locator("#faceid_journal_page h3", has_text="F-000002").wait_for(timeout=WAIT_MS)
    keep(page, "journal-5-run")


def test_tree_curve_and_compare(page: Page) -> None:
    page.locator("#faceid_journal_tree").click()
    shows(page, "faceid_journal_page", "F-000001")
    keep(page, "journal-6-tree")
    page.locator("#faceid_journal_second textarea, #faceid_journal_second input").first.fill("F-000001")
    page.locator("#faceid_journal_compare").click()
    page.locator("#faceid_journal_page .faceid-sides").wait_for(timeout=WAIT_MS)
    assert "weight" in told(page, "faceid_journal_page")
    keep(page, "journal-7-compare")


def test_note_export_and_back(page: Page) -> None:
    page.locator("#faceid_journal_open").click()
    page.locator("#faceid_journal_page h3", has_text="F-000002").wait_for(timeout=WAIT_MS)
    page.locator("#faceid_journal_note textarea").fill("softer light")
    page.locator("#faceid_journal_tags textarea, #faceid_journal_tags input").first.fill("good, client A")
    page.locator("#faceid_journal_keep").click()
    shows(page, "faceid_journal_message", "F-000002 has its note and tags.")
    open_fold(page, "faceid_journal_exporting")
    for form in ("csv", "json"):
        page.locator(f"#faceid_journal_{form}").click()
        link = page.locator(f"#faceid_journal_link a[download='faceid-journal.{form}']")
        link.wait_for(timeout=WAIT_MS)
        with page.expect_download() as saved:
            link.click()
        text = Path(saved.value.path()).read_text("utf-8-sig")
        runs = list(csv.DictReader(io.StringIO(text))) if form == "csv" else json.loads(text)
        assert sorted(one["run" if form == "csv" else "id"] for one in runs)[:2] == ["F-000001", "F-000002"]
    keep(page, "journal-8-export")
    page.locator("#faceid_journal_back").click()
    page.locator("#tab_txt2img").wait_for(state="visible", timeout=WAIT_MS)
    assert page.locator("#txt2img_prompt textarea").input_value() == PROMPT


def test_somebody_is_forgotten(page: Page) -> None:
    go_to(page, "FaceID journal")
    open_fold(page, "faceid_journal_forgetting")
    page.locator("#faceid_journal_forgotten textarea, #faceid_journal_forgotten input").first.fill(NAME)
    page.locator("#faceid_journal_forget").click()
    page.locator("#faceid_journal_forget_message .faceid-notice").wait_for(timeout=WAIT_MS)
    from playwright.sync_api import expect

    left = page.locator("#faceid_journal_table").get_by_text("F-000002")
    expect(left).to_have_count(0, timeout=WAIT_MS)  # on gradio 4 a table has its first row twice
    keep(page, "journal-9-forgotten")


def test_a_template_fills_the_prompt(page: Page) -> None:
    go_to(page, "txt2img")
    open_fold(page, "txt2img_faceid_template")
    choose(page, "txt2img_faceid_template_name", "Window light")
    subject = page.locator("#txt2img_faceid_template_subject textarea, #txt2img_faceid_template_subject input").first
    page.wait_for_function("field => field.value", arg=subject.element_handle(), timeout=WAIT_MS)
    keep(page, "journal-10-template")
    page.locator("#txt2img_faceid_template_fill").click()
    prompt = page.locator("#txt2img_prompt textarea")
    page.wait_for_function(
        "field => field.value.includes('window light')", arg=prompt.element_handle(), timeout=WAIT_MS
    )
