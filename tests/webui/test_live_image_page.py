"""Images as prompts at the page of a live WebUI: beside a face, with hires fix and a batch, and in img2img."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.webui.browsing import (
    JOB_MS,
    WAIT_MS,
    choose,
    drawn,
    generate,
    go_to,
    keep,
    open_page,
    under_the_picture,
    upload,
)
from tests.webui.server import Server
from tests.webui.test_live_images import PLUS, image, sunset  # noqa: F401 # pyright: ignore[reportUnusedImport]
from tests.webui.test_live_jobs import clean
from tests.webui.test_live_page import AS_IN_THE_PAGE, pixels

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

FACE = "ip-adapter-faceid_sd15"
OF_PEOPLE = ("face", "preset", "structure", "lora", "adetailer")
TWO_PASSES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7, "batch_size": 2}


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    """The page of the running WebUI, just opened."""
    page = open_page(browser, server)
    yield page
    page.close()


@pytest.fixture
def file(sunset: str, tmp_path: Path) -> Path:  # noqa: F811
    """The picture without anybody in it."""
    path = tmp_path / "sunset.png"
    path.write_bytes(base64.b64decode(sunset))
    return path


def is_for_images(page: Page, tab: str, number: int) -> None:
    """Choose that the reference of a unit is an image, and wait until the unit shows that."""
    unit = f"#{tab}_faceid_{number}"
    page.locator(f"#{tab}_faceid_units > .tab-nav > button").nth(number).click()
    page.locator(f"{unit}_purpose").get_by_label("image", exact=True).check()
    page.locator(f"{unit}_image_part").wait_for(state="visible", timeout=WAIT_MS)
    page.locator(f"{unit}_auto").get_by_text("Auto for SD 1.5 is now ip-adapter-plus_sd15").wait_for(timeout=WAIT_MS)


def test_an_image_alone_is_what_the_api_draws(page: Page, server: Server, image: dict[str, Any], file: Path) -> None:  # noqa: F811
    """The unit shows what it uses, and speaks of images."""
    is_for_images(page, "txt2img", 0)
    upload(page, 0, file)
    choose(page, "txt2img_faceid_0_adapter", PLUS)
    for name in OF_PEOPLE:
        assert not page.locator(f"#txt2img_faceid_0_{name}").first.is_visible(), name
    shown = page.locator("#txt2img_faceid_0").inner_text()
    for text in ("Add images…", "Weight of image 1", "Image 1", "Image weight", "Saved image", "Save image"):
        assert text in shown, text
    keep(page, "image-alone")
    generate(page)
    assert f"FaceID 0: {PLUS} (IP-Adapter Plus)" in under_the_picture(page)
    (one,) = drawn(page)
    assert np.array_equal(pixels(one), clean(server.txt2img(image, **AS_IN_THE_PAGE)).images[0])


def test_beside_a_face_with_hires_fix_and_a_batch(
    page: Page,
    server: Server,
    image: dict[str, Any],  # noqa: F811
    person: dict[str, Any],
    file: Path,
    data_folder: Path,
) -> None:
    upload(page, 0, data_folder / "photos" / "astronaut.png")
    choose(page, "txt2img_faceid_0_adapter", FACE)
    is_for_images(page, "txt2img", 1)
    upload(page, 1, file)
    choose(page, "txt2img_faceid_1_adapter", PLUS)
    page.locator("#txt2img_hr-visible-checkbox").check()
    page.locator("#txt2img_batch_size input[type=number]").fill("2")
    generate(page)
    keep(page, "image-beside-a-face-live")
    said = under_the_picture(page)
    assert f"FaceID 0: {FACE} (" in said
    assert f"FaceID 1: {PLUS} (IP-Adapter Plus)" in said
    wanted = clean(server.txt2img(person, image, **AS_IN_THE_PAGE, **TWO_PASSES)).images
    assert [pixels(one).tolist() for one in drawn(page)[-2:]] == [one.tolist() for one in wanted]


def test_in_img2img(page: Page, file: Path, data_folder: Path) -> None:
    """The picture that is drawn over is another one than the unit's."""
    go_to(page, "img2img")
    page.locator("#img2img_image input[type=file]").first.set_input_files(data_folder / "photos" / "astronaut.png")
    for name, value in {"steps": 4, "width": 128, "height": 128}.items():
        page.locator(f"#img2img_{name} input[type=number]").fill(str(value))
    page.locator("#img2img_faceid > .label-wrap").click()
    is_for_images(page, "img2img", 0)
    page.locator("#img2img_faceid_0_image input[type=file]").set_input_files(file)
    page.locator("#img2img_faceid_0_gallery img").first.wait_for(timeout=WAIT_MS)
    page.locator("#img2img_generate").click()
    page.locator("#img2img_gallery img").first.wait_for(timeout=JOB_MS)
    page.locator("#html_log_img2img, #html_info_img2img").get_by_text(f"FaceID 0: {PLUS}").first.wait_for(
        timeout=WAIT_MS
    )
    keep(page, "image-img2img")
