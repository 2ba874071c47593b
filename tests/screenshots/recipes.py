"""The pictures in README and docs: what is done at the page before each, and which part of it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.driving import DRAW_MS, UNIT, WAIT_MS, add, choose, drop, element, generate, number, open_part

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["SHOTS", "WEBUI_SHOT", "Cast", "Shot"]

SECOND_UNIT = "#txt2img_faceid_1"
NAME = "Ada"


@dataclass(frozen=True)
class Cast:
    """The photos that are dropped on the page."""

    one: Path
    other: Path
    """Somebody else."""
    both: Path
    """The two of them in one photo."""
    dark: Path
    """The first one again, with too little light."""
    blurred: Path
    """And out of focus."""


Stage = Callable[["Page", Cast], "Sequence[Locator]"]
"""Brings a fresh page, whose accordion is open, to where it is shot; gives the elements that are to be seen."""


@dataclass(frozen=True)
class Shot:
    """One picture: `docs/images/NAME.png`."""

    name: str
    stage: Stage
    width_px: int = 1280
    theme: str = "light"
    is_random: bool = True
    """Whether the page has random models of each variant, or begins with the miniature as a fresh one does."""


def _page(page: Page, cast: Cast) -> Sequence[Locator]:
    """From a person to a picture: the page begins with the miniature, and with somebody to draw who does not exist."""
    page.locator(f"{UNIT}_enabled input").check()
    generate(page)
    page.locator("#html_info_txt2img").get_by_text("FaceID 0: ").first.wait_for(timeout=DRAW_MS)
    page.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    return [page.locator("#faceid_page_head").first, page.locator("#txt2img_gallery"), element(page, "person")]


def _strip(page: Page, cast: Cast) -> Sequence[Locator]:
    """What was drawn, and how alike it is."""
    page.locator(f"{UNIT}_enabled input").check()
    generate(page)
    strip = page.locator("#txt2img_faceid_likeness")
    strip.locator(".faceid-like").first.wait_for(timeout=DRAW_MS)
    return [page.locator("#txt2img_gallery"), strip]


def _photos(page: Page, cast: Cast) -> Sequence[Locator]:
    """A good photo, one that will do, and a bad one."""
    add(page, cast.one, cast.dark, cast.blurred)
    return [element(page, "enabled"), element(page, "cards")]


def _group(page: Page, cast: Cast) -> Sequence[Locator]:
    """Which face of a group photo."""
    drop(page, cast.both)
    choose(page, "face", "2")
    page.locator(f"{UNIT}_cards").get_by_text("face 2 of 2").first.wait_for(timeout=WAIT_MS)
    element(page, "gallery").locator("button.thumbnail-item").first.click()
    element(page, "gallery").locator(".preview img").first.wait_for(timeout=WAIT_MS)
    return [element(page, "gallery"), element(page, "face")]


def _setup(page: Page, cast: Cast) -> Sequence[Locator]:
    """What is here and what is missing."""
    setup = page.locator("#txt2img_faceid_setup")
    setup.locator(".label-wrap").first.click()
    setup.locator("table").wait_for(timeout=WAIT_MS)
    page.locator("#txt2img_faceid_setup_model input").click()
    page.locator("#txt2img_faceid_setup_model li").nth(1).click()
    page.locator("#txt2img_faceid_setup_licence").first.get_by_text("SHA-256").wait_for(timeout=WAIT_MS)
    return [setup]


def _weight_types(page: Page, cast: Cast) -> Sequence[Locator]:
    """How a weight type shares the weight out."""
    open_part(page, "advanced")
    choose(page, "weight_type", "style transfer precise")
    element(page, "layer_plot").get_by_text("swapped").first.wait_for(timeout=WAIT_MS)
    return [element(page, "weight_type"), element(page, "layer_plot")]


def _regions(page: Page, cast: Cast) -> Sequence[Locator]:
    """Two people, and where the second one goes."""
    for tab, unit, photo, side in ((0, UNIT, cast.one, "left"), (1, SECOND_UNIT, cast.other, "right")):
        page.locator("#txt2img_faceid_units > .tab-nav > button").nth(tab).click()
        drop(page, photo, unit)
        open_part(page, "region_panel", unit)
        choose(page, "region", side, unit)
    page.locator("#txt2img_faceid > .label-wrap span[data-faceid-active='2 units']").wait_for(timeout=WAIT_MS)
    return [page.locator("#txt2img_faceid > .label-wrap"), element(page, "region_panel", SECOND_UNIT)]


def _person(page: Page, cast: Cast) -> Sequence[Locator]:
    """A photo becomes a saved person, who is then chosen without it."""
    drop(page, cast.one)
    open_part(page, "save_person")
    element(page, "name").locator("input, textarea").fill(NAME)
    element(page, "save").click()
    element(page, "saved_message").get_by_text(f"Saved as '{NAME}'").wait_for(timeout=DRAW_MS)
    choose(page, "person", NAME)
    return [element(page, "refresh_people"), element(page, "person"), element(page, "save_person")]


def _narrow(page: Page, cast: Cast) -> Sequence[Locator]:
    """On a telephone."""
    drop(page, cast.one)
    return [page.locator("#txt2img_faceid > .label-wrap"), element(page, "cards")]


def _accordion(page: Page, cast: Cast) -> Sequence[Locator]:
    """Who, and how strongly."""
    drop(page, cast.one)
    number(page, "weight").fill("0.9")
    number(page, "weight").blur()
    return [page.locator("#txt2img_faceid > .label-wrap"), element(page, "adapter"), element(page, "person")]


def _in_webui(page: Page, cast: Cast) -> Sequence[Locator]:
    """Where it stands in txt2img."""
    page.locator("#txt2img_faceid > .label-wrap:not(.open)").click()
    page.locator("#txt2img_prompt textarea").fill("portrait in a garden, oil painting")
    drop(page, cast.one)
    return [page.locator("#quicksettings"), page.locator("#txt2img_toprow"), element(page, "cards")]


SHOTS = (
    Shot("page", _page, is_random=False),
    Shot("strip", _strip, is_random=False),
    Shot("photos", _photos),
    Shot("group", _group),
    Shot("setup", _setup),
    Shot("weight_types", _weight_types),
    Shot("regions", _regions),
    Shot("person", _person),
    Shot("narrow", _narrow, width_px=380),
    Shot("dark", _accordion, theme="dark"),
)
WEBUI_SHOT = Shot("webui", _in_webui)
