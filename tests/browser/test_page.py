"""A person at our own page: photos, previews, settings, people, pictures."""

from __future__ import annotations

from importlib.resources import files
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
    generate,
    is_value,
    keep,
    number,
    open_part,
    visit,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_from_a_photo_to_a_picture(page: Page, photos: Path) -> None:
    """Upload -> enabled and previewed -> weight -> generate -> the picture arrives, and says what was applied."""
    drop(page, photos / "Paul.jpeg")
    page.locator(f"{UNIT}_enabled input:checked").wait_for(timeout=WAIT_MS)
    assert "good" in element(page, "cards").inner_text()
    assert element(page, "image").locator("img").count() == 0, "the zone is free for the next photo"
    page.locator("#txt2img_faceid > .label-wrap span[data-faceid-active='1 unit']").wait_for(timeout=WAIT_MS)
    page.locator("#txt2img_faceid .tab-nav > button.faceid-active").wait_for(timeout=WAIT_MS)
    number(page, "weight").fill("1.2")
    number(page, "weight").blur()
    told = generate(page)
    assert "FaceID 0: ip-adapter-faceid-plusv2_sd15" in told
    assert "weight 1.20" in told
    keep(page, "page-drawn")


@pytest.mark.one_gradio
def test_a_unit_that_is_off_stays_off_and_draws_nobody(page: Page, photos: Path) -> None:
    drop(page, photos / "Paul.jpeg")
    page.locator(f"{UNIT}_enabled input:checked").wait_for(timeout=WAIT_MS)
    element(page, "enabled").locator("input").click()
    drop(page, photos / "Paul2.jpeg")
    assert not element(page, "enabled").locator("input").is_checked()
    assert "No unit is on" in generate(page)


def test_each_photo_has_its_own_weight_and_can_be_removed(page: Page, photos: Path) -> None:
    add(page, photos / "Paul.jpeg", photos / "Paul2.jpeg", photos / "Chris.jpeg")
    assert "another person" in element(page, "cards").inner_text()
    element(page, "gallery").locator("button.thumbnail-item").nth(1).click()
    page.get_by_text("Weight of photo 2").wait_for(timeout=WAIT_MS)
    number(page, "photo_weight").fill("2")
    number(page, "photo_weight").blur()
    page.wait_for_timeout(1000)
    open_part(page, "advanced")
    choose(page, "clip_crop", "head")  # anything that shows the photos anew
    element(page, "cards").locator("text=weight 2").wait_for(timeout=WAIT_MS)
    element(page, "remove").click()
    page.locator(f"{UNIT}_cards .faceid-card").nth(2).wait_for(state="detached", timeout=WAIT_MS)
    assert "weight 2" not in element(page, "cards").inner_text()


@pytest.mark.one_gradio
def test_a_preset_sets_the_sliders_and_ones_own_can_be_saved(page: Page) -> None:
    choose(page, "preset", "Follow prompt & style")
    for name, value in {"weight": "0.7", "structure": "0.6", "lora": "0.5", "start": "0.2", "end": "1"}.items():
        is_value(page, name, value)
    number(page, "weight").fill("1.1")
    number(page, "weight").blur()
    open_part(page, "advanced")
    element(page, "preset_name").locator("input, textarea").fill("My own")
    element(page, "preset_save").click()
    element(page, "preset_message").get_by_text("Saved as 'My own'").wait_for(timeout=WAIT_MS)
    choose(page, "preset", "Balanced")
    is_value(page, "weight", "0.8")
    choose(page, "preset", "My own")
    is_value(page, "weight", "1.1")


@pytest.mark.one_gradio
def test_a_person_is_saved_and_drawn_without_the_photos(page: Page, photos: Path) -> None:
    drop(page, photos / "Paul.jpeg")
    open_part(page, "save_person")
    element(page, "name").locator("input, textarea").fill("A friend")
    element(page, "save").click()
    said = element(page, "saved_message").get_by_text("Saved as 'A friend'")
    said.wait_for(timeout=DRAW_MS)
    place, button = said.bounding_box(), element(page, "save").bounding_box()
    assert place
    assert button
    assert 0 < place["y"] - button["y"] < 120, "the answer stands below its button"
    second = "#txt2img_faceid_1"
    page.locator("#txt2img_faceid_units button", has_text="Unit 1").first.click()
    choose(page, "person", "A friend", second)  # every list has the name, with nothing refreshed
    choose(page, "person", "", second)
    page.locator("#txt2img_faceid_units button", has_text="Unit 0").first.click()
    element(page, "remove").click()
    page.locator(f"{UNIT}_cards .faceid-card").wait_for(state="detached", timeout=WAIT_MS)
    choose(page, "person", "A friend")
    keep(page, "page-person")
    told = generate(page)
    assert "FaceID 0: ip-adapter-faceid-plusv2_sd15" in told
    assert " · A friend" in told, "who draws is told who was drawn"
    metadata = page.locator("#html_info_txt2img .faceid-parameters").inner_text()
    assert "FaceID 0: " in metadata
    assert "A friend" not in metadata, "a picture tells nobody who is in it"


@pytest.mark.one_gradio
def test_a_face_of_a_group_is_chosen_by_its_number(page: Page, photos: Path) -> None:
    drop(page, photos / "solvay_conference_1927.png")
    card = page.locator(f"{UNIT}_cards .faceid-card")
    assert "of 29" in card.inner_text()
    choose(page, "face", "2")
    card.get_by_text("face 2 of 29").wait_for(timeout=WAIT_MS)
    page.locator(f"{UNIT}_gallery button.thumbnail-item").first.click()
    keep(page, "page-group")
    assert "FaceID 0: ip-adapter-faceid" in generate(page)


@pytest.mark.one_gradio
def test_a_photo_without_a_face_says_so_at_once_and_ends_the_job_with_a_sentence(page: Page, photos: Path) -> None:
    drop(page, photos / "no_face.jpeg")
    card = page.locator(f"{UNIT}_cards .faceid-card").inner_text()
    assert "no face" in card
    assert "Use a photo where the whole head is visible" in card
    page.locator("#txt2img_generate").click()
    error = page.locator("#faceid_state [role=alert]")
    error.wait_for(timeout=DRAW_MS)
    assert "No face found" in error.inner_text()
    keep(page, "page-no-face")


@pytest.mark.one_gradio
def test_stop_ends_the_job_keeps_what_is_finished_and_leaves_the_next_job_alone(page: Page, photos: Path) -> None:
    drop(page, photos / "Paul.jpeg")
    page.locator("#faceid_picture .label-wrap").first.click()
    count = page.locator("#txt2img_count input[type=number]")
    count.fill("8")
    count.blur()
    page.locator("#txt2img_generate").click()
    finished = page.locator("#txt2img_gallery button.thumbnail-item")
    finished.first.wait_for(timeout=DRAW_MS)
    page.locator("#txt2img_interrupt").click(force=True)  # the preview above moves it
    page.locator("#faceid_state").get_by_text("Stopped").wait_for(timeout=DRAW_MS)
    assert 1 <= finished.count() < 8
    count.fill("1")
    count.blur()
    page.locator("#txt2img_generate").click()
    page.locator("#faceid_state").get_by_text("Stopped").wait_for(state="detached", timeout=WAIT_MS)
    page.locator("#html_info_txt2img").get_by_text("FaceID 0: ").first.wait_for(timeout=DRAW_MS)
    assert finished.count() == 1


@pytest.mark.one_gradio
def test_sliders_are_those_that_the_adapter_uses(page: Page) -> None:
    element(page, "auto").get_by_text("Auto for SD 1.5 is now").wait_for(timeout=WAIT_MS)
    assert element(page, "structure").is_visible()
    choose(page, "adapter", "ip-adapter-faceid-portrait_sd15.bin")
    element(page, "structure").wait_for(state="hidden", timeout=WAIT_MS)
    element(page, "lora").wait_for(state="hidden", timeout=WAIT_MS)
    choose(page, "adapter", "ip-adapter-faceid_sd15.bin")
    element(page, "lora").wait_for(state="visible", timeout=WAIT_MS)
    assert not element(page, "structure").is_visible()


def purpose(page: Page, name: str) -> None:
    """Choose what the reference is for, once the page has looked at what is here."""
    element(page, "auto").get_by_text("Auto for SD 1.5 is now").wait_for(timeout=WAIT_MS)
    element(page, "purpose").get_by_label(name, exact=True).check()


@pytest.mark.one_gradio
def test_an_image_is_a_prompt_without_any_face(page: Page, photos: Path) -> None:
    """Only what an image uses is shown; what the encoder sees is shown; style sets the weight type; it is drawn."""
    purpose(page, "image")
    for name in ("face", "preset", "structure", "lora"):
        element(page, name).wait_for(state="hidden", timeout=WAIT_MS)
    element(page, "image_part").wait_for(state="visible", timeout=WAIT_MS)
    element(page, "auto").get_by_text("ip-adapter-plus_sd15").wait_for(timeout=WAIT_MS)
    page.get_by_text("Save image").first.wait_for(timeout=WAIT_MS)
    drop(page, photos / "no_face.jpeg")
    card = page.locator(f"{UNIT}_cards .faceid-card").inner_text()
    assert "square" in card
    assert "face" not in card
    element(page, "image_part").get_by_label("style", exact=True).check()
    open_part(page, "advanced")
    assert not element(page, "adetailer").is_visible()
    assert element(page, "image_crop").is_visible()
    page.wait_for_function(
        "(unit) => document.querySelector(`${unit}_weight_type input`).value === 'style transfer'", arg=UNIT,
        timeout=WAIT_MS,
    )  # fmt: skip
    choose(page, "image_crop", "padded")
    page.locator(f"{UNIT}_cards .faceid-card").get_by_text("padded").wait_for(timeout=WAIT_MS)
    keep(page, "page-image")
    told = generate(page)
    assert "FaceID 0: ip-adapter-plus_sd15 (IP-Adapter Plus)" in told
    assert "style transfer" in told
    purpose(page, "person")
    element(page, "preset").wait_for(state="visible", timeout=WAIT_MS)
    assert not element(page, "image_part").is_visible()
    page.locator(f"{UNIT}_cards .faceid-card").get_by_text("no face", exact=True).wait_for(timeout=WAIT_MS)


@pytest.mark.one_gradio
def test_an_image_is_saved_and_called_by_the_prompt(page: Page, photos: Path) -> None:
    purpose(page, "image")
    page.get_by_text("Save image").first.wait_for(timeout=WAIT_MS)
    drop(page, photos / "no_face.jpeg")
    open_part(page, "save_person")
    element(page, "name").locator("input, textarea").fill("Some place")
    element(page, "save").click()
    element(page, "saved_message").get_by_text("<image:Some place:0.8>").wait_for(timeout=DRAW_MS)
    element(page, "enabled").locator("input").uncheck()
    page.locator("#txt2img_prompt textarea").fill("a harbour <image:Some place:0.6>")
    assert "FaceID tag 0: ip-adapter-plus_sd15" in generate(page)


def test_the_camera_takes_a_photo_and_is_asked_for_only_then(page: Page) -> None:
    assert page.locator("video").count() == 0
    zone, own_button = element(page, "image"), element(page, "webcam")
    if own_button.is_visible():  # gradio 3
        own_button.click()
    else:
        zone.locator("button[aria-label='Capture from camera']").click()
        zone.get_by_text("Access Webcam").click(timeout=WAIT_MS)
    page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0", timeout=WAIT_MS)
    zone.locator("button:visible:has(svg)").first.click()
    page.locator(f"{UNIT}_cards .faceid-card").wait_for(timeout=WAIT_MS)
    if own_button.is_visible():
        own_button.click()
        zone.locator("video").wait_for(state="detached", timeout=WAIT_MS)


def test_which_one_says_what_each_is_for_and_how_to_measure(page: Page) -> None:
    which = page.locator("#txt2img_faceid_which")
    which.locator(".label-wrap").click()
    which.locator("table").wait_for(timeout=WAIT_MS)
    text = which.inner_text()
    for part in ("The person in the photo, in any scene and style.", "FaceID Plus v2 for SD 1.5", "evaluate --people"):
        assert part in text
    keep(page, "page-which")


def test_the_setup_is_checked_and_a_licence_is_shown_before_a_download(page: Page) -> None:
    setup = page.locator("#txt2img_faceid_setup")
    setup.locator(".label-wrap").click()
    setup.locator("table").wait_for(timeout=WAIT_MS)
    assert "CLIP ViT-H" in setup.inner_text()
    page.locator("#txt2img_faceid_setup_model input").click()
    page.locator("#txt2img_faceid_setup_model li").nth(1).click()
    page.locator("#txt2img_faceid_setup_licence").first.get_by_text("SHA-256").wait_for(timeout=WAIT_MS)
    page.locator("#txt2img_faceid_setup_download").click()
    setup.get_by_text("Read the licence and accept it first.").wait_for(timeout=WAIT_MS)
    keep(page, "page-setup")
    page.locator("#txt2img_faceid_setup_copy").click()
    text = page.locator("#txt2img_faceid_setup_diagnostics textarea")
    text.wait_for(timeout=WAIT_MS)
    assert "torch: " in text.input_value()


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (380, "light"),
        (1400, "dark"),
        pytest.param(380, "dark", marks=pytest.mark.one_gradio),
        pytest.param(1400, "light", marks=pytest.mark.one_gradio),
    ],
)
def test_nothing_sticks_out(page: Page, address: str, photos: Path, width: int, theme: str) -> None:
    visit(page, f"{address}/?__theme={theme}")
    page.set_viewport_size({"width": width, "height": 900})
    add(page, photos / "Paul.jpeg", photos / "Paul2.jpeg")
    open_part(page, "advanced")
    page.locator("#txt2img_faceid_setup > .label-wrap").click()
    page.locator("#txt2img_faceid_setup table").wait_for(timeout=WAIT_MS)
    keep(page, f"page-{width}-{theme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_can_be_reached_by_the_keyboard(page: Page, photos: Path) -> None:
    """Tab visits the controls of a unit, in the order in which they stand."""
    add(page, photos / "Paul.jpeg", photos / "Paul2.jpeg")
    element(page, "enabled").locator("input").focus()
    visited: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        visited.append(page.evaluate("document.activeElement?.closest('[id^=txt2img_faceid_0_]')?.id ?? ''"))
    order = list(dict.fromkeys(name.removeprefix("txt2img_faceid_0_") for name in visited if name))
    wanted = ["upload", "cards", "combine", "person", "preset", "adapter", "weight", "structure", "lora"]
    assert [name for name in order if name in wanted] == wanted


FOLDS = (
    "#faceid_picture", "#faceid_reading", "#txt2img_faceid_search", "#txt2img_faceid_setup", "#faceid_aim",
    "#txt2img_faceid_template", "#txt2img_faceid_diagnosis", "#faceid_journal_panel",
)  # fmt: skip


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.one_gradio)])
def test_axe_finds_nothing_serious(page: Page, address: str, photos: Path, theme: str) -> None:
    """Deque's axe-core reads the page as it stands in the browser."""
    visit(page, f"{address}/?__theme={theme}")
    drop(page, photos / "Paul.jpeg")
    for part in ("advanced", "region_panel", "save_person"):
        open_part(page, part)
    for part in FOLDS:
        page.locator(f"{part} > .label-wrap").first.click()
    page.locator("#txt2img_faceid_setup table").wait_for(timeout=WAIT_MS)
    page.wait_for_timeout(500)
    page.add_script_tag(content=files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, [(one["id"], one["help"], [node["html"] for node in one["nodes"]][:5]) for one in serious]
