"""A control row on our own page: a net and a picture, what was applied, and the settings back."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lib_faceid.miniature import write_checkpoint, write_controlnet
from tests.browser.driving import WAIT_MS, choose, generate, keep, visit
from tests.browser.serving import own_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
ROW = "#faceid_control_0"


@pytest.fixture(scope="module")
def address(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with one net, and no adapter."""
    folder = tmp_path_factory.mktemp("control-page")
    write_checkpoint(folder / "models" / "Stable-diffusion" / "miniature_sd15.safetensors", "sd15")
    write_controlnet(folder / "models" / "ControlNet" / "pose.safetensors", "sd15")
    with own_page(folder, "--units", "1") as address:
        yield address


def test_a_picture_is_followed_and_said_to_be(browser: Browser, address: str, tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "pose.png")
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    visit(page, address)
    page.locator("#faceid_picture .label-wrap").first.click()
    for name, value in (("steps", 2), ("width", 64), ("height", 64), ("seed", 5)):
        box = page.locator(f"#txt2img_{name} input").first
        box.fill(str(value))
        box.blur()
    page.locator("#faceid_control .label-wrap").first.click()
    page.locator(f"{ROW}_picture input[type=file]").first.set_input_files(tmp_path / "pose.png")
    page.locator(f"{ROW}_picture img").first.wait_for(timeout=WAIT_MS)
    said = refused(page)
    assert "there is a picture, and no ControlNet is chosen" in said
    assert not serious(page)
    choose(page, "net", "pose", ROW)
    choose(page, "hint", "edges", ROW)
    strength = page.locator(f"{ROW}_strength input").first
    strength.fill("0.6")
    strength.blur()
    page.wait_for_function("() => !document.querySelector('#faceid_hint').innerText.trim()", timeout=WAIT_MS)
    said = generate(page)
    keep(page, "page-control")
    assert "FaceID control 0: pose · edges · strength 0.60 · steps 1-2 of 2" in said
    metadata = page.locator("#html_info_txt2img .faceid-parameters").inner_text()
    choose(page, "net", "None", ROW)
    page.locator("#faceid_reading .label-wrap").first.click()
    page.locator("#faceid_metadata textarea").fill(metadata)
    page.locator("#paste").click()
    page.get_by_text("It followed a picture by a ControlNet").wait_for(timeout=WAIT_MS)
    assert page.locator(f"{ROW}_net input").first.input_value() == "pose"
    assert page.locator(f"{ROW}_strength input").first.input_value() == "0.6"
    page.close()


def test_a_reload_keeps_the_row_and_says_that_the_picture_is_gone(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "pose.png")
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    visit(page, address)
    page.wait_for_function("() => window.faceidKeep", timeout=WAIT_MS)
    page.locator("#faceid_control .label-wrap").first.click()
    choose(page, "net", "pose", ROW)
    page.locator(f"{ROW}_picture input[type=file]").first.set_input_files(tmp_path / "pose.png")
    page.locator(f"{ROW}_picture img").first.wait_for(timeout=WAIT_MS)
    strength = page.locator(f"{ROW}_strength input").first
    strength.fill("0.6")
    strength.blur()
    page.wait_for_function("() => sessionStorage['faceid:faceid_control_0_strength'] === '0.6'", timeout=WAIT_MS)
    page.wait_for_function("() => sessionStorage['faceid:faceid_control_0_picture'] === 'true'", timeout=WAIT_MS)
    assert page.evaluate("Object.values(sessionStorage).join('').length") < 1000, "no picture is in it"
    page.evaluate("delete window.faceidKeep")
    visit(page, address)
    gone = page.locator("#faceid_control_gone").get_by_text("Control 0: its picture is not kept")
    gone.wait_for(timeout=WAIT_MS)
    page.locator("#faceid_control .label-wrap").first.click()
    assert page.locator(f"{ROW}_net input").first.input_value() == "pose"
    assert page.locator(f"{ROW}_strength input").first.input_value() == "0.6"
    page.locator(f"{ROW}_picture input[type=file]").first.set_input_files(tmp_path / "pose.png")
    gone.wait_for(state="detached", timeout=WAIT_MS)
    page.close()


def refused(page: Page) -> str:
    """Press Generate; the error."""
    page.locator("#txt2img_generate").click()
    error = page.locator("#faceid_state .faceid-notice, #faceid_state [class*=error]").first
    error.wait_for(timeout=WAIT_MS)
    return page.locator("#faceid_state").first.inner_text()


def serious(page: Page) -> list[str]:
    """What Deque's axe-core finds serious in the rows, once our script has named what gradio has just made."""
    page.wait_for_timeout(1000)
    page.add_script_tag(content=files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run('#faceid_control')")["violations"]
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]
