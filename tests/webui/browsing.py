"""What a person does in the pages of a live WebUI."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tests.webui.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

WAIT_MS = 60_000
JOB_MS = 180_000
CHOSEN_WITHIN_S = 30


def open_page(browser: Browser, server: Server) -> Page:
    """Open the WebUI, with small, quick settings filled in, and our accordion open."""
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.goto(f"http://127.0.0.1:{server.port}", wait_until="domcontentloaded")
    page.locator("#txt2img_generate").wait_for(timeout=WAIT_MS)
    quick = {"steps": 4, "width": 128, "height": 128, "cfg_scale": 5.5}  # a whole one is written as 5 here, 5.0 by API
    for name, value in quick.items():
        page.locator(f"#txt2img_{name} input[type=number]").fill(str(value))
    page.locator("#txt2img_prompt textarea").fill("a person")
    page.locator("#txt2img_seed input").fill("7")
    page.locator("#txt2img_faceid > .label-wrap").click()
    return page


def go_to(page: Page, tab: str, *inner: str) -> None:
    """Choose a tab of the WebUI by its name, and one inside of it."""
    page.locator("#tabs > .tab-nav > button", has_text=tab).click()
    for name in inner:
        page.locator("[id^=tabs_] > .tab-nav > button:visible", has_text=name).click()


def generate(page: Page) -> None:
    """Press Generate and wait until the job has ended."""
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_interrupt").wait_for(state="visible", timeout=JOB_MS)
    page.locator("#txt2img_interrupt").wait_for(state="hidden", timeout=JOB_MS)


def drawn(page: Page) -> list[bytes]:
    """The files in the gallery, in their order."""
    page.locator("#txt2img_gallery img").first.wait_for(timeout=WAIT_MS)
    sources = page.locator("#txt2img_gallery img").evaluate_all("images => images.map((image) => image.src)")
    return [urllib.request.urlopen(source, timeout=60).read() for source in dict.fromkeys(sources)]  # noqa: S310


def upload(page: Page, number: int, photo: Path) -> None:
    """Drop a photo on a unit, and wait until it stands among the unit's photos and the unit is on."""
    page.locator("#txt2img_faceid_units > .tab-nav > button").nth(number).click()
    page.locator(f"#txt2img_faceid_{number}_image input[type=file]").set_input_files(photo)
    page.locator(f"#txt2img_faceid_{number}_gallery img").first.wait_for(timeout=WAIT_MS)
    wait_until_on(page, number)


def wait_until_on(page: Page, number: int) -> None:
    """Wait until a unit is enabled."""
    box = page.locator(f"#txt2img_faceid_{number}_enabled input")
    page.wait_for_function("box => box.checked", arg=box.element_handle(), timeout=WAIT_MS)


def choose(page: Page, name: str, text: str) -> None:
    """Choose from one of txt2img's lists, by its id. Some are filled when they are first seen, which takes a moment."""
    control = page.locator(f"#tab_txt2img #{name}")
    option = control.locator("li", has_text=text).first
    for _ in range(CHOSEN_WITHIN_S):
        control.locator("input").click()
        control.locator("input").fill(text)
        page.wait_for_timeout(1000)
        if option.is_visible():
            break
        control.locator("input").blur()  # what was typed does not look at a list that came later
    option.click()


def value_of(control: Locator) -> str | bool:
    """What a control shows: whether it is ticked, what is chosen of several, or its text."""
    box = control.locator("input, textarea").first
    number = control.locator("input[type=number]")
    if box.get_attribute("type") == "checkbox":
        return box.is_checked()
    if box.get_attribute("type") == "radio":
        return control.locator("input:checked").input_value()
    return (number if number.count() else box).input_value()


def under_the_picture(page: Page) -> str:
    return str(page.locator("#html_log_txt2img, #html_info_txt2img").all_inner_texts())


def keep(page: Page, name: str) -> None:
    """Keep a screenshot, light and dark, where FACEID_SCREENSHOTS names a folder."""
    if folder := os.environ.get("FACEID_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
        page.evaluate("document.body.classList.add('dark')")
        page.screenshot(path=Path(folder) / f"{name}-dark.png", full_page=True)
        page.evaluate("document.body.classList.remove('dark')")
