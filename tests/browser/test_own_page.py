"""What only our own page does: a picture is seen while it is drawn, metadata come back, nothing leaves this machine."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driving import (
    DRAW_MS,
    UNIT,
    WAIT_MS,
    add,
    choose,
    drop,
    element,
    is_value,
    keep,
    number,
    open_part,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

STEPS = 30


def settings(page: Page, **values: object) -> None:
    """Fill in numbers of the request."""
    if not page.locator("#txt2img_steps input[type=number]").is_visible():
        page.locator("#faceid_picture .label-wrap").first.click()
    for name, value in values.items():
        box = page.locator(f"#txt2img_{name} input").first
        box.fill(str(value))
        box.blur()


def drawn(page: Page) -> str:
    """Press Generate; the metadata below the picture."""
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_interrupt:not([disabled])").wait_for(timeout=WAIT_MS)
    page.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    return page.locator("#html_info_txt2img .faceid-parameters").inner_text()


def file_of(page: Page, address: str) -> bytes:
    """The first picture of the gallery, as a browser saves it."""
    source = page.locator("#txt2img_gallery img").first.get_attribute("src")
    assert source
    url = source if source.startswith("http") else f"{address}{source}"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own server
        return answer.read()


def read_back(page: Page, text: str) -> None:
    if not page.locator("#faceid_metadata textarea").is_visible():
        page.locator("#faceid_reading .label-wrap").first.click()
    page.locator("#faceid_metadata textarea").fill(text)
    page.locator("#paste").click()


def test_a_picture_is_seen_while_it_is_drawn(page: Page) -> None:
    """The steps are counted, the picture so far changes, and Generate waits for the end."""
    settings(page, steps=STEPS, seed=5)
    page.locator("#txt2img_generate").click()
    so_far = page.locator("#faceid_state img")
    so_far.wait_for(timeout=DRAW_MS)
    first = so_far.get_attribute("src")
    assert page.locator("#txt2img_generate").is_disabled()
    keep(page, "page-live")
    page.wait_for_function("first => document.querySelector('#faceid_state img')?.src !== first", arg=first)
    progress = page.locator("#faceid_state").get_by_text(f"of {STEPS}").or_(page.locator("#txt2img_gallery img"))
    progress.first.wait_for(timeout=DRAW_MS)  # the next look, or already the picture
    page.locator("#txt2img_generate:not([disabled])").wait_for(timeout=DRAW_MS)
    assert page.locator("#faceid_state img").count() == 0
    assert page.locator("#txt2img_interrupt").is_disabled()
    assert f"Steps: {STEPS}, " in page.locator("#html_info_txt2img .faceid-parameters").inner_text()


@pytest.mark.one_gradio
def test_stop_says_at_which_step(page: Page) -> None:
    settings(page, steps=100)
    page.locator("#txt2img_generate").click()
    page.locator("#faceid_state img").wait_for(timeout=DRAW_MS)
    page.locator("#txt2img_interrupt").click(force=True)  # the preview above moves it
    said = page.locator("#faceid_state").get_by_text("Stopped: ")
    said.wait_for(timeout=WAIT_MS)
    assert re.match(r"Stopped: Picture 1 of 1, step \d+ of 100\. 0 finished pictures are kept\.", said.inner_text())
    keep(page, "page-stopped")


def test_metadata_bring_back_the_unit_and_the_very_same_picture(
    page: Page, address: str, photos: Path, tmp_path: Path
) -> None:
    """From the file as it was saved, in a page that was changed; the photos are still there."""
    add(page, photos / "Paul.jpeg", photos / "Paul2.jpeg")
    settings(page, steps=4, seed=11)
    page.locator("#txt2img_prompt textarea").fill('a "portrait", oil: 50%')
    choose(page, "combine", "median")
    number(page, "weight").fill("1.1")
    number(page, "weight").blur()
    told = drawn(page)
    path = tmp_path / "picture.png"
    path.write_bytes(file_of(page, address))
    settings(page, steps=9, seed=12)
    page.locator("#txt2img_prompt textarea").fill("something else")
    choose(page, "combine", "average")
    number(page, "weight").fill("0.3")
    element(page, "enabled").locator("input").uncheck()
    page.locator("#faceid_reading .label-wrap").first.click()
    page.locator(".faceid-buttons:has(#faceid_open) input[type=file]").set_input_files(path)
    page.locator(f"{UNIT}_enabled input:checked").wait_for(timeout=WAIT_MS)
    is_value(page, "weight", "1.1")
    assert page.locator("#txt2img_prompt textarea").input_value() == 'a "portrait", oil: 50%'
    missing = element(page, "missing").element_handle()  # gradio's clock stands in it while it works
    page.wait_for_function("part => part.innerText.trim() === ''", arg=missing, timeout=WAIT_MS)
    assert drawn(page) == told
    assert hashlib.sha256(file_of(page, address)).digest() == hashlib.sha256(path.read_bytes()).digest()


@pytest.mark.one_gradio
def test_a_pasted_picture_finds_the_saved_person_or_says_what_is_missing(page: Page, photos: Path) -> None:
    drop(page, photos / "Chris.jpeg")
    settings(page, steps=2, seed=3)
    told = drawn(page)
    element(page, "remove").click()
    page.locator(f"{UNIT}_cards .faceid-card").wait_for(state="detached", timeout=WAIT_MS)
    read_back(page, told)
    missing = element(page, "missing")
    missing.get_by_text("The picture was made from a photo that is not here (").wait_for(timeout=WAIT_MS)
    keep(page, "page-missing")
    add(page, photos / "Chris.jpeg")  # by the other way: a browser does not see the same file come twice by one
    missing.get_by_text("not here").wait_for(state="detached", timeout=WAIT_MS)
    open_part(page, "save_person")
    element(page, "name").locator("input, textarea").fill("Another friend")
    element(page, "save").click()
    element(page, "saved_message").get_by_text("Saved as 'Another friend'").wait_for(timeout=DRAW_MS)
    element(page, "remove").click()
    page.locator(f"{UNIT}_cards .faceid-card").wait_for(state="detached", timeout=WAIT_MS)
    read_back(page, told.replace("ip-adapter-faceid-plusv2_sd15", "ip-adapter-of-mine"))
    missing.get_by_text("ip-adapter-of-mine, which is not here").wait_for(timeout=WAIT_MS)
    assert "photo" not in missing.inner_text()
    assert element(page, "person").locator("input").input_value() == "Another friend"


def test_a_face_is_marked_by_two_clicks(page: Page, photos: Path) -> None:
    drop(page, photos / "no_face.jpeg")
    element(page, "mark").click()
    picture = element(page, "marking").locator("img")
    picture.wait_for(timeout=WAIT_MS)
    for x, y, then in ((0.25, 0.2, "opposite corner"), (0.75, 0.8, "was marked by hand")):
        page.wait_for_timeout(1000)  # the picture has its place
        side = picture.bounding_box()
        assert side is not None
        px = min(side["width"], side["height"])  # the photo is square, and centred
        left, top = (side["width"] - px) / 2, (side["height"] - px) / 2
        picture.click(position={"x": left + x * px, "y": top + y * px})
        page.locator(UNIT).get_by_text(then).first.wait_for(timeout=WAIT_MS)
    words = element(page, "face").locator("input").input_value().split()
    assert words[0] == "box"
    assert [float(word) for word in words[1:]] == pytest.approx([0.25, 0.2, 0.75, 0.8], abs=0.02)
    assert "marked by hand" in element(page, "cards").inner_text()


def test_no_photo_lies_on_the_disk_in_gradio_3_but_the_thumbnails_that_are_shown(
    page: Page, photos: Path, folder: Path
) -> None:
    """What is left while the page runs; the whole folder goes with it (the fixture `address` looks)."""

    def lying() -> list[Path]:
        (private,) = folder.glob("faceid-page-*")
        return [path for path in private.rglob("*") if path.is_file()]

    before = lying()
    add(page, photos / "Paul.jpeg", photos / "Paul2.jpeg")
    if element(page, "webcam").is_visible():  # gradio 3
        assert not {path.read_bytes() for path in lying()} & {path.read_bytes() for path in photos.iterdir()}
    assert len(lying()) > len(before)
    page.locator(f"{UNIT}_gallery button.thumbnail-item").first.click()
    element(page, "clear").click()
    page.locator(f"{UNIT}_cards .faceid-card").first.wait_for(state="detached", timeout=WAIT_MS)
    if element(page, "webcam").is_visible():
        assert len(lying()) <= len(before)


def test_the_page_asks_no_other_machine_for_anything(browser: Browser, address: str, photos: Path) -> None:
    """Neither while it loads nor in use. What the browser is told to fetch, and refuses, would count too."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.goto(address, wait_until="load")
    page.locator("#txt2img_faceid_0_enabled input").wait_for(timeout=60_000)
    drop(page, photos / "Paul.jpeg")
    page.wait_for_timeout(3000)
    hinted = page.evaluate("[...document.querySelectorAll('link[href], script[src]')].map(one => one.href || one.src)")
    context.close()
    own = (address, address.replace("http", "ws"), "data:", "blob:")
    assert len(asked) > 5
    assert [url for url in [*asked, *hinted] if not url.startswith(own)] == []


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_another_sites_page_gets_no_answer(address: str, headers: dict[str, str]) -> None:
    """Neither the page nor what its buttons do; its own browser is in all the other tests."""
    for path, body in (("/", None), ("/config", None), ("/run/predict", b"{}"), ("/upload", b"")):
        told = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(f"{address}{path}", body, told)  # noqa: S310 - our own server
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)  # noqa: S310 - our own server
        assert refused.value.code == 403, path


def test_no_file_of_the_working_folder_is_served(address: str, folder: Path) -> None:
    """gradio 3 serves everything below it: checkpoints, saved people, whatever else lies there."""
    (folder / "notes.txt").write_text("mine")
    models = sorted(path for path in (folder / "models").rglob("*.*") if path.is_file())
    for path in (folder / "notes.txt", models[0]):
        for spelled in (str(path), str(path.relative_to(folder)), f"{folder}/none/../{path.relative_to(folder)}"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{address}/file={spelled}", timeout=30)  # noqa: S310 - our own server
            assert refused.value.code == 403, spelled
