"""Aim in a real WebUI: as one request, and by the button in the page, where nothing is changed until it is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from gallery import photo_of

from lib_faceid.likeness.aim import MOST_PROBES, TOLERANCE, Aim
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from tests.webui.browsing import JOB_MS, WAIT_MS, generate, keep, open_page, upload
from tests.webui.server import Server
from tests.webui.test_live_best import JOB
from tests.webui.test_live_jobs import clean
from tests.webui.test_live_likeness import WHO, miniature, photos, scores_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["miniature", "photos"]

TARGET = 0.35


@pytest.fixture
def unit(photos: dict[str, str]) -> dict[str, Any]:
    return {"image": photos[WHO[0]], "adapter": TRAINED_ADAPTER.stem, "weight": 1.2}


def test_a_request_is_drawn_with_the_smallest_weight_that_is_enough(miniature: Server, unit: dict[str, Any]) -> None:
    """The picture is the one of that weight alone; of the others nothing is left, not even a likeness."""
    answer = clean(miniature.txt2img(unit, {"aim": TARGET}, {"best_of": 4}, **JOB, batch_size=2, n_iter=2))
    told = answer.info["extra_generation_params"]["FaceID aim"]
    found = Aim.from_dict(told)
    assert found.proposed, told
    assert 2 <= len(found.probes) <= MOST_PROBES
    assert [told["unit"], told["field"], told["reached"]] == [0, "weight", True]
    assert 0 < found.proposed.value < 1.2
    assert len(answer.images) == 1
    (score,) = scores_in(answer)
    assert score["likeness"] == pytest.approx(found.proposed.likeness, abs=1e-3)
    assert score["likeness"] >= TARGET - TOLERANCE
    assert found.sentence() in answer.log
    assert found.sentence() in answer.info["infotexts"][0]
    alone = clean(miniature.txt2img({**unit, "weight": found.proposed.value}, **JOB))
    assert np.array_equal(alone.images[0], answer.images[0])


def test_what_cannot_be_is_said_and_leaves_nothing(miniature: Server, unit: dict[str, Any]) -> None:
    before = clean(miniature.txt2img(unit, **JOB)).png
    missed = clean(miniature.txt2img(unit, {"aim": 0.95, "by": "lora"}, **{**JOB, "steps": 2}))
    assert "NOT reached between lora 0 and 1.5" in missed.log
    for asked, words in (
        ({"aim": 0.5, "unit": 3}, "Unit 3 is off"),
        ({"aim": 0.5, "by": "noise"}, "'noise' cannot be aimed with"),
        ({"aim": 5}, "from 0 to 1"),
    ):
        refused = miniature.txt2img(unit, asked, **JOB)
        assert refused.status == 422
        assert words in refused.sentence
    assert clean(miniature.txt2img(unit, **JOB)).png == before


@pytest.fixture
def page(miniature: Server, browser: Browser) -> Iterator[Page]:
    """The page of a WebUI that has the miniature loaded."""
    before = miniature.get("/sdapi/v1/options")["sd_model_checkpoint"]
    miniature.post("/sdapi/v1/options", {"sd_model_checkpoint": "miniature.safetensors"})
    page = open_page(browser, miniature)
    yield page
    page.close()
    miniature.post("/sdapi/v1/options", {"sd_model_checkpoint": before})


@pytest.mark.browser
def test_the_button_shows_the_curve_and_a_click_takes_what_is_proposed(page: Page) -> None:
    for name, value in {"steps": "8", "cfg_scale": "2"}.items():
        page.locator(f"#txt2img_{name} input[type=number]").fill(value)
    page.locator("#txt2img_prompt textarea").fill(JOB["prompt"])
    upload(page, 0, photo_of(WHO[0]))
    weight = page.locator("#txt2img_faceid_0_weight input[type=number]")
    weight.fill("1.2")
    weight.blur()
    page.locator("#txt2img_faceid_aim > .label-wrap").click()
    target = page.locator("#txt2img_faceid_aim_target input[type=number]")
    target.fill(str(TARGET))
    target.blur()
    page.locator("#txt2img_faceid_aim_start").click()
    curve = page.locator("#txt2img_faceid_aim_state svg.faceid-aim-curve")
    curve.wait_for(timeout=JOB_MS)
    keep(page, "aim")
    assert curve.locator("circle").count() >= 2
    assert f"Likeness {TARGET}: weight" in page.locator("#txt2img_faceid_aim_state").first.inner_text()
    assert weight.input_value() == "1.2", "nothing is changed before it is accepted"
    assert page.locator("#txt2img_faceid_aim_request textarea").input_value() == ""
    take = page.locator("#txt2img_faceid_aim_take")
    proposed = take.inner_text().split()[-1]
    assert 0 < float(proposed) < 1.2
    take.click()
    is_taken = "([box, value]) => box.value === value"
    page.wait_for_function(is_taken, arg=[weight.element_handle(), proposed], timeout=WAIT_MS)
    generate(page)
    told = page.locator("#html_info_txt2img").first.inner_text()
    assert f"weight: {proposed}," in told
    assert "FaceID aim" not in told, "it was one search"
