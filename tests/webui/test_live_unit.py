"""What a unit can say, through a real WebUI: photos, faces, passes, plots, metadata, and what failure means."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.webui.server import Server
from tests.webui.test_live_jobs import clean, difference

HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}


@pytest.fixture
def photos(data_folder: Path) -> dict[str, str]:
    """The test photos by name, as base64."""
    return {path.name: base64.b64encode(path.read_bytes()).decode() for path in (data_folder / "photos").iterdir()}


def test_several_photos_are_another_picture_than_one(
    server: Server, person: dict[str, Any], photos: dict[str, str]
) -> None:
    unit = {name: value for name, value in person.items() if name != "image"}
    one = clean(server.txt2img({**unit, "images": [photos["Paul.jpeg"]]}))
    both = clean(
        server.txt2img({**unit, "images": [photos["Paul.jpeg"], {"image": photos["Paul2.jpeg"], "weight": 2}]})
    )
    assert difference(one, both) > 0
    assert "refs: " in both.info["infotexts"][0]


def test_a_photo_without_a_face_beside_a_good_one_is_named(
    server: Server, person: dict[str, Any], photos: dict[str, str]
) -> None:
    unit = {name: value for name, value in person.items() if name != "image"}
    drawn = clean(server.txt2img({**unit, "images": [photos["astronaut.png"], photos["no_face.jpeg"]]}))
    assert "1 of 2 references used" in drawn.log
    assert difference(drawn, clean(server.txt2img(person))) == 0


def test_a_face_of_a_group_by_its_number(server: Server, person: dict[str, Any], photos: dict[str, str]) -> None:
    unit = {**person, "image": photos["solvay_conference_1927.png"]}
    second, third = (clean(server.txt2img({**unit, "face": number})) for number in ("2", "3"))
    assert difference(second, third) > 0
    answer = server.txt2img({**unit, "face": "99"})
    assert answer.status == 422
    assert "There is no face 99" in answer.sentence


def test_the_passes_of_hires_fix(server: Server, person: dict[str, Any]) -> None:
    plain = clean(server.txt2img(**HIRES))
    drawn = {which: clean(server.txt2img({**person, "hires": which}, **HIRES)) for which in ("both", "first", "hires")}
    pictures = [plain, *drawn.values()]
    assert all(difference(a, b) > 0 for i, a in enumerate(pictures) for b in pictures[:i])
    only_hires = {**person, "hires": "hires"}
    assert clean(server.txt2img()).png == server.txt2img({**only_hires, "enabled": False}).png


def test_a_plot_over_the_weight(server: Server, person: dict[str, Any]) -> None:
    info = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/sdapi/v1/script-info", timeout=60).read()
    (plot,) = [one for one in json.loads(info) if one["name"] == "x/y/z plot" and not one["is_img2img"]]
    axes = plot["args"][0]["choices"]
    nothing = [0, "", []]
    weight = [axes.index("[FaceID 0] Identity weight"), "0,0.8", []]
    arguments = [*weight, *nothing, *nothing, False, True, False, True, False, False, False, 0, False]
    grid = server.txt2img(person, script_name="x/y/z plot", script_args=arguments)
    assert "Traceback" not in grid.log, grid.log
    without, drawn = grid.images[-2:]
    assert np.array_equal(without, clean(server.txt2img()).images[0])
    assert np.array_equal(drawn, clean(server.txt2img(person)).images[0])


@pytest.mark.not_in("forge", why="its API fails by itself on any request with an infotext")
def test_metadata_bring_the_unit_back_by_api(server: Server, person: dict[str, Any]) -> None:
    """Without a photo it can only say that it is on and has none; the page's own test brings the photo."""
    text = clean(server.txt2img({**person, "weight": 1.1})).info["infotexts"][0]
    assert "weight: 1.1" in text
    again = clean(server.txt2img(infotext=text))
    assert "FaceID 0 is enabled but has no photo and no saved person: ignored." in again.log


def test_drawing_without_the_person_where_the_user_wants_that(
    server: Server, person: dict[str, Any], photos: dict[str, str]
) -> None:
    setting = {"opts_faceid_on_failure": "Draw without the person"}
    answer = clean(server.txt2img({**person, "image": photos["no_face.jpeg"]}, **setting))
    assert "Drawn WITHOUT the person" in answer.log
    assert "skipped" in answer.info["infotexts"][0]
    assert np.array_equal(answer.images[0], clean(server.txt2img()).images[0])
