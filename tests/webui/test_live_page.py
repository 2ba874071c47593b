"""A person at the page: a real Chromium uploads a photo, presses Generate and reads what is under the picture."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.units.infotext import WRITTEN
from lib_faceid.units.unit import FIELDS
from tests.other_values import other
from tests.webui.browsing import (
    WAIT_MS,
    choose,
    drawn,
    generate,
    go_to,
    keep,
    open_page,
    under_the_picture,
    upload,
    value_of,
    wait_until_on,
)
from tests.webui.folder import write_data_folder
from tests.webui.server import Server
from tests.webui.test_live_api import PREFIX, ask
from tests.webui.test_live_jobs import clean

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

# What the job of `open_page` has, in the API's words.
AS_IN_THE_PAGE = {"sampler_name": "DPM++ 2M", "scheduler": "Automatic", "cfg_scale": 5.5, "hr_cfg": 5.5}


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    """The page of the running WebUI, just opened."""
    page = open_page(browser, server)
    yield page
    page.close()


@pytest.fixture
def photo_file(data_folder: Path) -> Path:
    return data_folder / "photos" / "astronaut.png"


def test_an_upload_enables_the_unit_and_the_job_says_what_was_applied(
    page: Page, photo_file: Path, server: Server, photo: str
) -> None:
    """And the API draws the very same file."""
    upload(page, 0, photo_file)
    keep(page, "1-uploaded")
    generate(page)
    assert "FaceID 0: ip-adapter-faceid-plusv2_sd15 (FaceID Plus v2)" in under_the_picture(page)
    keep(page, "2-drawn")
    assert drawn(page) == clean(server.txt2img({"image": photo}, **AS_IN_THE_PAGE)).png


def test_metadata_bring_the_unit_back(page: Page, photo_file: Path) -> None:
    """After a change, "Read generation parameters" of the last job restores what the unit had."""
    upload(page, 0, photo_file)
    generate(page)
    weight = page.locator("#txt2img_faceid_0_weight input[type=number]")
    weight.fill("1.7")
    weight.blur()
    page.locator("#txt2img_faceid_0_enabled input").uncheck()
    page.locator("#txt2img_prompt textarea").fill("")
    page.locator("#txt2img_tools #paste").click()
    wait_until_on(page, 0)
    assert weight.input_value() == "0.8"


def send_to_txt2img(page: Page, picture: Path) -> None:
    """Upload a picture under PNG Info, and press "Send to txt2img"."""
    go_to(page, "PNG Info")
    page.locator("#pnginfo_image input[type=file]").set_input_files(picture)
    page.locator("#tab_pnginfo").get_by_text("FaceID 0").first.wait_for(timeout=WAIT_MS)
    page.locator("#tab_pnginfo #txt2img_tab").click()
    wait_until_on(page, 0)


def test_png_info_sends_the_whole_unit_to_the_page_and_with_its_photo_the_same_file_is_drawn(
    page: Page, photo_file: Path, server: Server, photo: str, tmp_path: Path
) -> None:
    unit = {name: other(FIELDS[name]) for name in WRITTEN}
    unit |= {"adapter": "ip-adapter-faceid-plusv2_sd15", "variant": "plusv2", "face": "1", "hires": "first"}
    picture = tmp_path / "drawn.png"
    picture.write_bytes(clean(server.txt2img({"image": photo, **unit}, **AS_IN_THE_PAGE)).png[0])
    upload(page, 1, photo_file)  # whom the picture was drawn without
    page.locator("#txt2img_prompt textarea").fill("something else")
    send_to_txt2img(page, picture)
    assert not page.locator("#txt2img_faceid_1_enabled input").is_checked()
    page.locator("#txt2img_faceid_units > .tab-nav > button").nth(0).click()
    page.locator("#txt2img_faceid_0").get_by_text("made from an image that is not here").wait_for(timeout=WAIT_MS)
    page.locator("#txt2img_faceid_0_advanced > .label-wrap").click()
    shown = {name: value_of(page.locator(f"#txt2img_faceid_0_{name}").first) for name in unit}
    assert shown == {name: f"{value:g}" if isinstance(value, float) else value for name, value in unit.items()}
    keep(page, "4-sent")
    upload(page, 0, photo_file)
    generate(page)
    assert drawn(page) == [picture.read_bytes()]


def test_png_info_finds_a_saved_person(page: Page, server: Server, photo: str, tmp_path: Path) -> None:
    picture = tmp_path / "drawn.png"
    picture.write_bytes(clean(server.txt2img({"image": photo}, **AS_IN_THE_PAGE)).png[0])
    status, saved = ask(server, f"{PREFIX}/faces", {"name": "Eileen", "images": [photo]})
    assert status == 200, saved
    try:
        send_to_txt2img(page, picture)
        assert value_of(page.locator("#txt2img_faceid_0_person").first) == "Eileen"
        generate(page)
        (again,) = drawn(page)
        assert np.array_equal(pixels(again), pixels(picture.read_bytes()))  # they carry the hashes of different sources
    finally:
        ask(server, f"{PREFIX}/faces/Eileen", method="DELETE")


def test_a_plot_over_the_weight(page: Page, photo_file: Path, server: Server, photo: str) -> None:
    upload(page, 0, photo_file)
    choose(page, "script_list", "X/Y/Z plot")
    # The WebUI's callback writes back what stood in the values when the type was chosen: it must have done so. It hides
    # them for a type that is chosen from a list, and shows them again.
    values = page.locator("#script_txt2img_xyz_plot_x_values textarea")
    choose(page, "script_txt2img_xyz_plot_x_type", "Sampler")
    values.wait_for(state="hidden", timeout=WAIT_MS)
    choose(page, "script_txt2img_xyz_plot_x_type", "[FaceID 0] Identity weight")
    values.wait_for(state="visible", timeout=WAIT_MS)
    values.fill("0, 0.8, 1.2")
    page.locator("#script_txt2img_xyz_plot_include_lone_images input").check()
    generate(page)
    keep(page, "5-plot")
    wanted = [
        clean(server.txt2img({"image": photo, "weight": weight}, **AS_IN_THE_PAGE)).images[0]
        for weight in (0, 0.8, 1.2)
    ]
    assert [pixels(one).tolist() for one in drawn(page)[-3:]] == [one.tolist() for one in wanted]


@pytest.fixture
def german(webui_dir: Path, tmp_path: Path, data_folder: Path) -> Iterator[Server]:
    """A WebUI whose setting says so from the start: its page takes the language up when it is made."""
    server = Server(webui_dir, write_data_folder(tmp_path / "data", data_folder), config={"localization": "de_DE"})
    server.start("--ckpt", str(server.data / "models/Stable-diffusion/mini_sd15.safetensors"))
    yield server
    server.stop()


def test_the_page_is_german_where_the_setting_says_so(german: Server, browser: Browser) -> None:
    """By the WebUI's own mechanism: the labels that it translates itself, and our sentences."""
    page = open_page(browser, german)
    unit = page.locator("#txt2img_faceid_0")
    for text in ("Aktivieren", "Gewicht der Identität", "Gespeicherte Person"):
        unit.get_by_text(text, exact=True).first.wait_for(timeout=WAIT_MS)
    keep(page, "6-german")
    page.close()


def pixels(file: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def test_a_photo_without_a_face_ends_the_job_in_red(page: Page, data_folder: Path) -> None:
    upload(page, 1, data_folder / "photos" / "no_face.jpeg")
    generate(page)
    error = page.locator("#html_log_txt2img .error, #txt2img_results .error").first
    error.wait_for(timeout=10_000)
    assert "Unit 1: No face found" in error.inner_text()
    page.wait_for_function("document.querySelector('#html_log_txt2img .error.faceid-failed')", timeout=10_000)
    red, green, blue = (int(part) for part in re.findall(r"\d+", error.evaluate("e => getComputedStyle(e).color"))[:3])
    assert red > 2 * green
    assert red > 2 * blue
    keep(page, "3-no-face")
