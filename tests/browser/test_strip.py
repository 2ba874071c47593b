"""The strip under the gallery, on a page with what the WebUI's own has: its ids, its gallery, its `Processed.js()`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lib_faceid.app.page_files import page_file
from lib_faceid.likeness.meaning import LIKENESS_KEY, answer_of, infotext_of
from lib_faceid.likeness.score import PictureScore, UnitScore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.one_gradio]  # the script alone, in a page without gradio

MBF = "w600k_mbf-9cc6e4a7"
ONE = PictureScore(MBF, (UnitScore(0, 0.47),), 1)
SWAPPED = PictureScore(
    MBF,
    (UnitScore(0, 0.21, looks_like=1), UnitScore("tag 0", 0.09, looks_like=0)),
    2,
    note="FaceID 0 and FaceID tag 0 are swapped.",
)
NOBODY = PictureScore(MBF, (UnitScore(0, note="FaceID 0: no face was found in the picture."),), 0)
UNKNOWN = PictureScore("other-12345678", (UnitScore(0, 0.81),), 1)
LIGHT = "--body-text-color: #1f2937; --background-fill-primary: #fff; --background-fill-secondary: #f3f4f6;"
DARK = "--body-text-color: #f3f4f6; --background-fill-primary: #0b0f19; --background-fill-secondary: #1f2937;"
EDGE = "--border-color-primary: #9ca3af; --color-accent: #f97316;"


def settings(score: PictureScore | None) -> str:
    """A picture's metadata, as the WebUI writes them."""
    line = "" if score is None else f", {LIKENESS_KEY}: {json.dumps(infotext_of(score))}"
    return (
        f'a person, in a hat\nNegative prompt: x\nSteps: 4, FaceID 0: "adapter: a, weight: 0.8"{line}, Version: v1.10.1'
    )


def info(*scores: PictureScore | None, drawn: tuple[PictureScore, ...] = ()) -> str:
    """What the WebUI's page holds of a job; scores: of the gallery's pictures, None for a grid; drawn: their order."""
    pictures = [{"text": infotext_of(score), **answer_of(score)} for score in drawn or scores if score is not None]
    return json.dumps(
        {
            "infotexts": [settings(score).replace(f'"{score and infotext_of(score)}"', infotext_of(score))
                          if score and len(score.units) == 1 else settings(score) for score in scores],
            "extra_generation_params": {LIKENESS_KEY: {"pictures": pictures}},
        }
    )  # fmt: skip


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 700, "height": 520})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors


def show(page: Page, text: str, pictures: int = 4, *, dark: bool = False) -> None:
    """Open a page that holds this of its last job."""
    thumbnails = "".join(f'<button class="thumbnail-item" onclick="clicked={at}"></button>' for at in range(pictures))
    colours = f"{DARK if dark else LIGHT} {EDGE} background: var(--background-fill-primary);"
    page.set_content(
        f"""<style>{page_file("style.css")}</style><body class="{"dark" if dark else ""}" style="{colours}
        font: 16px sans-serif"><div id="txt2img_gallery_container"><div id="txt2img_gallery">{thumbnails}</div></div>
        <div id="generation_info_txt2img" style="display: none"><textarea>{escape(text)}</textarea></div>
        <script>var clicked = -1, updates = []; var onAfterUiUpdate = (update) => updates.push(update);</script>
        <script>{page_file("javascript/faceid_likeness.js")}</script></body>"""
    )
    page.evaluate("updates.forEach((update) => update())")


def cards(page: Page) -> list[str]:
    found = page.locator("#txt2img_faceid_likeness .faceid-like").all_inner_texts()
    return [" ".join(text.split()) for text in found]


def test_each_picture_has_its_number_bar_and_words(page: Page) -> None:
    show(page, info(None, ONE, SWAPPED, NOBODY, UNKNOWN), 5)
    assert cards(page) == [
        "1 0.47 alike",
        "2 FaceID 0 0.21 hardly alike FaceID tag 0 0.09 not alike FaceID 0 and FaceID tag 0 are swapped.",
        "3 no face FaceID 0: no face was found in the picture.",
        "4 0.81",
    ]
    widths = page.locator(".faceid-like-bar > i").evaluate_all("bars => bars.map((bar) => bar.style.width)")
    assert widths == ["47%", "21%", "9%", "0%", "81%"]
    page.locator(".faceid-like").nth(1).click()
    assert page.evaluate("clicked") == 2, "the first picture of the gallery is a grid"


def test_a_plot_that_shows_pictures_in_another_order_gives_each_its_own(page: Page) -> None:
    show(page, info(UNKNOWN, ONE, drawn=(ONE, UNKNOWN)), 2)
    assert cards(page) == ["1 0.81", "2 0.47 alike"]


def test_nothing_is_shown_where_nothing_was_looked_at_and_the_next_job_takes_the_place(page: Page) -> None:
    show(page, info(None, None))
    assert page.locator("#txt2img_faceid_likeness").count() == 0
    show(page, info(ONE))
    for text, expected in ((info(UNKNOWN), ["1 0.81"]), ("", []), ("{", []), (info(ONE), ["1 0.47 alike"])):
        page.locator("textarea").evaluate("(area, text) => { area.value = text; }", text)
        page.evaluate("updates.forEach((update) => update())")
        assert cards(page) == expected
    assert page.locator("#txt2img_faceid_likeness").count() == 1


@pytest.mark.parametrize("dark", [False, True])
def test_words_can_be_read_in_both_themes(page: Page, dark: bool) -> None:
    levels = [PictureScore(MBF, (UnitScore(0, one),), 1) for one in (0.05, 0.2, 0.3, 0.5, 0.8)]
    show(page, info(*levels, SWAPPED), 6, dark=dark)
    assert len(cards(page)) == 6
    contrast = page.evaluate(
        """() => {
            const light = (colour) => {
                const [r, g, b] = colour.match(/\\d+/g).map((one) => one / 255)
                    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            return [...document.querySelectorAll(".faceid-like-words")].map((word) => {
                const card = getComputedStyle(word.closest(".faceid-like"));
                const pair = [getComputedStyle(word).color, card.backgroundColor];
                const [low, high] = pair.map(light).sort((a, b) => a - b);
                return (high + 0.05) / (low + 0.05);
            });
        }"""
    )
    assert min(contrast) >= 4.5, contrast
    if folder := os.environ.get("FACEID_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"strip-{'dark' if dark else 'light'}.png")
