"""Who goes where, in a real WebUI: regions in every kind of pass, faces that are followed, one person per image."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.webui.server import Server
from tests.webui.test_live_jobs import SDXL, clean, difference, unit_for

HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
JOBS: dict[str, dict[str, Any]] = {
    "plain": {},
    "split": {"opts_batch_cond_uncond": False},
    "AND": {"prompt": "a person AND a tree :0.6", "batch_size": 2},
    "an odd size": {"width": 200, "height": 136},
    "hires fix": HIRES,
    "token merging": {"opts_token_merging_ratio": 0.5},
    "HyperTile": {"opts_hypertile_enable_unet": True, "width": 256, "height": 256},
    "SDXL": SDXL,
}


def encoded(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def luciano(data_folder: Path) -> str:
    return base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()


@pytest.mark.parametrize("name", JOBS)
def test_two_people_side_by_side(server: Server, person: dict[str, Any], luciano: str, name: str) -> None:
    """Each region acts, the order of the units does not matter, and both off is the plain picture's bytes."""
    settings = JOBS[name]
    left = unit_for(person, settings, region="left", feather=0)
    right = unit_for(person, settings, region="right", feather=0, image=luciano)
    both = clean(server.txt2img(left, right, **settings))
    assert difference(both, clean(server.txt2img(right, left, **settings))) <= 1
    assert difference(both, clean(server.txt2img(left, **settings))) > 0
    assert difference(both, clean(server.txt2img(unit_for(person, settings, image=luciano), **settings))) > 0
    off = [{**unit, "enabled": False} for unit in (left, right)]
    assert server.txt2img(*off, **settings).png == clean(server.txt2img(**settings)).png


def test_two_halves_of_a_person_are_the_person(server: Server, person: dict[str, Any]) -> None:
    halves = [{**person, "region": side, "lora": 0} for side in ("left", "right")]
    assert difference(clean(server.txt2img(*halves)), clean(server.txt2img({**person, "lora": 0}))) <= 1


def test_a_mask_is_a_box_where_it_is_one(server: Server, person: dict[str, Any]) -> None:
    mask = Image.new("L", (640, 640))
    mask.paste(255, (0, 0, 320, 640))
    drawn = clean(server.txt2img({**person, "mask": encoded(mask), "feather": 0}))
    assert difference(drawn, clean(server.txt2img({**person, "region": "left", "feather": 0}))) == 0
    assert "region: mask" in drawn.info["infotexts"][0]


def test_faces_of_the_init_image_are_followed(server: Server, person: dict[str, Any], photo: str) -> None:
    """img2img of a photo whose face is its upper middle: auto is neither everywhere nor nowhere."""
    settings = {"init_images": [photo], "denoising_strength": 0.6, "width": 256, "height": 256}
    server.img2img(**settings)
    auto, everywhere = (
        clean(server.img2img({**person, "region": region}, **settings)) for region in ("auto", "everywhere")
    )
    plain = clean(server.img2img(**settings))
    assert difference(auto, everywhere) > 0
    assert difference(auto, plain) > 0
    assert "faces for" not in auto.log


def test_auto_without_faces_says_so_and_stands_in_columns(server: Server, person: dict[str, Any], luciano: str) -> None:
    auto = [{**person, "region": "auto"}, {**person, "region": "auto", "image": luciano}]
    drawn = clean(server.txt2img(*auto, **HIRES))
    assert "Auto region: image 1 has 0 faces for 2 units" in drawn.log
    columns = [{**auto[0], "region": "left"}, {**auto[1], "region": "right"}]
    assert difference(drawn, clean(server.txt2img(*columns, **HIRES))) == 0


def test_an_inpainted_part_sees_its_part_of_the_region(server: Server, person: dict[str, Any], photo: str) -> None:
    """Only the left half is inpainted: the region on the left is all of it, the region on the right nothing."""
    mask = Image.new("L", (512, 512))
    mask.paste(255, (0, 0, 250, 512))
    settings = {
        "init_images": [photo], "mask": encoded(mask), "inpaint_full_res": True, "inpaint_full_res_padding": 0,
        "inpainting_fill": 1, "denoising_strength": 0.7, "width": 128, "height": 256,
    }  # fmt: skip
    server.img2img(**settings)
    units = {
        region: {**person, "region": region, "feather": 0, "lora": 0} for region in ("everywhere", "left", "right")
    }
    plain = clean(server.img2img(**settings))
    drawn = {region: clean(server.img2img(unit, **settings)) for region, unit in units.items()}
    assert difference(drawn["left"], drawn["everywhere"]) == 0
    assert difference(drawn["right"], plain) == 0
    assert difference(drawn["left"], plain) > 0


def test_every_image_of_a_batch_has_its_person(
    server: Server, person: dict[str, Any], photo: str, luciano: str
) -> None:
    """What the WebUI draws for image i of a batch is what it draws for seed + i alone, up to its own arithmetic."""
    several = {key: value for key, value in person.items() if key != "image"} | {"images": [photo, luciano]}
    batch = clean(server.txt2img({**several, "batch": "one each"}, batch_size=2, n_iter=2, seed=7))
    for at, image in enumerate((photo, luciano, photo, luciano)):
        alone = clean(server.txt2img({**person, "image": image}, seed=7 + at))
        assert np.abs(batch.images[at].astype(int) - alone.images[0].astype(int)).max() <= 2


def test_less_like_and_noise(server: Server, person: dict[str, Any], luciano: str) -> None:
    plain = clean(server.txt2img(person))
    for change in ({"negative_images": [luciano]}, {"noise": 0.5}):
        drawn = clean(server.txt2img({**person, **change}))
        assert difference(drawn, plain) > 0
        assert next(iter(change)) in drawn.info["infotexts"][0]


@pytest.mark.parametrize("region", ["lefft", "box 0 0 2 2"])
def test_a_region_that_is_none_ends_the_job_in_words(server: Server, person: dict[str, Any], region: str) -> None:
    answer = server.txt2img({**person, "region": region})
    assert answer.status == 422
    assert "region is" in answer.sentence
