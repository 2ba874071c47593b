"""Every kind of pass in a real WebUI: who acts in which steps, and that nothing of the picture reaches the person.

img2img, inpainting, outpainting, loopback, checkpoints made for inpainting, hires fix with everything of its own.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.webui.server import Answer, Server
from tests.webui.test_live_jobs import clean, difference

BACK = {"opts_sd_model_checkpoint": "mini_sd15.safetensors"}
INPAINTING = {"opts_sd_model_checkpoint": "mini_sd15_inpaint.safetensors"}
OTHER = "mini_sd15_other.safetensors"
HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent", **BACK}
OUTPAINTING = {"script_name": "poor man's outpainting", "script_args": [64, 4, 0, ["left"]]}
LOOPBACK = {"script_name": "loopback", "script_args": [2, 0.5, "Linear", "None"]}
MASKED = {"mask": True, "inpainting_fill": 1}
IMG2IMG: dict[str, dict[str, Any]] = {
    "img2img": {},
    "another size, cropped": {"width": 192, "height": 96, "resize_mode": 1},
    "inpaint": MASKED,
    "inpaint latent noise": {**MASKED, "inpainting_fill": 2},
    "inpaint all but the mask": {**MASKED, "inpainting_mask_invert": 1},
    "only masked": {**MASKED, "inpaint_full_res": True, "inpaint_full_res_padding": 8},
    "only masked, DDIM": {**MASKED, "inpaint_full_res": True, "sampler_name": "DDIM", "steps": 9},
    "batch": {**MASKED, "batch_size": 2, "n_iter": 2},
    "outpainting": OUTPAINTING,
    "loopback": LOOPBACK,
    "inpainting checkpoint": {**MASKED, **INPAINTING},
    "inpainting checkpoint, only masked": {**MASKED, **INPAINTING, "inpaint_full_res": True},
    "inpainting checkpoint, no mask": INPAINTING,
}
SECOND_PASS: dict[str, dict[str, Any]] = {
    "sampler": {"hr_sampler_name": "Heun", "hr_second_pass_steps": 3},
    "prompt": {"hr_prompt": "a statue", "hr_negative_prompt": "blurry, " * 60},
    "checkpoint": {"hr_checkpoint_name": OTHER},
    "upscaler": {"hr_upscaler": "Lanczos"},
    "all": {"hr_sampler_name": "DPM++ SDE", "hr_prompt": "a statue", "hr_checkpoint_name": OTHER},
}


@pytest.fixture(scope="module")
def pictures(server: Server, photo: str) -> dict[str, str]:
    """Two pictures to begin with: one that was drawn, and the very photo of the person, mirrored."""
    mirrored = ImageOps.mirror(Image.open(io.BytesIO(base64.b64decode(photo))).convert("RGB").resize((128, 128)))
    return {"drawn": clean(server.txt2img(seed=3, **BACK)).body["images"][0], "photo": encoded(mirrored)}


@pytest.fixture(scope="module")
def who(server: Server, person: dict[str, Any]) -> list[str]:
    """The person, as txt2img sees them."""
    clean(server.txt2img(person, **BACK))
    return server.calls()[0]["people"]


@pytest.mark.parametrize("name", IMG2IMG)
def test_img2img_of_every_kind(
    server: Server, person: dict[str, Any], pictures: dict[str, str], who: list[str], name: str
) -> None:
    settings = begun_with(pictures["drawn"], IMG2IMG[name])
    server.img2img(**settings)  # the WebUI encodes the picture with the random state that the job before left
    plain, drawn = clean(server.img2img(**settings)), clean(server.img2img(person, **settings))
    assert all(call["acted"] and call["people"] == who for call in server.calls())
    assert difference(plain, drawn) > 3
    assert clean(server.img2img({**person, "weight": 0}, **settings)).png == plain.png
    assert clean(server.img2img({**person, "enabled": False}, **settings)).png == plain.png


@pytest.mark.parametrize("name", ["inpaint", "only masked"])
def test_the_masked_part_alone_is_drawn(
    server: Server, person: dict[str, Any], pictures: dict[str, str], name: str
) -> None:
    settings = begun_with(pictures["drawn"], {**IMG2IMG[name], "mask_blur": 0})
    plain, drawn = clean(server.img2img(**settings)), clean(server.img2img(person, **settings))
    kept, masked = (
        np.abs(plain.images[0].astype(int) - drawn.images[0])[:, side] for side in (slice(64), slice(64, 128))
    )
    assert kept.max() == 0
    assert masked.max() > 3


def test_the_picture_does_not_become_the_person(
    server: Server, person: dict[str, Any], pictures: dict[str, str], who: list[str]
) -> None:
    """Whoever is in the picture that img2img begins with, the unit's photo says who is drawn."""
    for picture in pictures.values():
        for name in ("img2img", "only masked"):
            clean(server.img2img(person, **begun_with(picture, IMG2IMG[name])))
            assert {tuple(call["people"]) for call in server.calls()} == {tuple(who)}


@pytest.mark.parametrize("name", SECOND_PASS)
def test_the_second_pass_of_hires_fix_with_its_own(server: Server, person: dict[str, Any], name: str) -> None:
    settings = {**HIRES, **SECOND_PASS[name]}
    if "hr_checkpoint_name" in settings:  # the WebUI writes its hash into the metadata from its second use on
        clean(server.txt2img(**settings))
    plain = clean(server.txt2img(**settings))
    for which, acting in (("both", {False, True}), ("first", {False}), ("hires", {True})):
        drawn = clean(server.txt2img({**person, "hires": which}, **settings))
        assert {call["hires"] for call in server.calls() if call["acted"]} == acting
        assert all(call["acted"] for call in server.calls() if call["hires"] in acting)
        assert difference(plain, drawn) > 0
    assert clean(server.txt2img({**person, "weight": 0}, **settings)).png == plain.png


def test_the_steps_go_on_after_the_refiner_took_over(server: Server, person: dict[str, Any]) -> None:
    refined = {"refiner_checkpoint": OTHER, "refiner_switch_at": 0.5, "steps": 8, "sampler_name": "Heun", **BACK}
    drawn = clean(server.txt2img({**person, "start": 0.25, "end": 0.75, "fade": 0.1}, **refined))
    assert "steps 3-6 of 8" in drawn.log
    assert [call["step"] for call in server.calls() if call["acted"]] == [2, 2, 3, 3, 4, 4, 5, 5]
    clean(server.txt2img(**BACK))


def test_a_fade_is_another_picture(server: Server, person: dict[str, Any]) -> None:
    unit = {**person, "lora": 0, "start": 0.25}
    faded, whole = (clean(server.txt2img({**unit, "fade": fade}, steps=8, **BACK)) for fade in (0.3, 0))
    assert difference(faded, whole) > 0
    assert "fade: 0.3" in faded.info["infotexts"][0]
    assert "fade" not in whole.info["infotexts"][0]


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ SDE", "PLMS"])
def test_the_same_job_three_times_gives_three_identical_files(
    server: Server, person: dict[str, Any], sampler: str
) -> None:
    unit = {**person, "start": 0.2, "end": 0.8, "fade": 0.15}
    settings = {**HIRES, "sampler_name": sampler, "steps": 8, "hr_second_pass_steps": 5, "batch_size": 2}
    first, *others = (files(server.txt2img(unit, **settings)) for _ in range(3))
    assert others == [first, first]
    assert len(first) == 2


def begun_with(picture: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a job that begins with a picture; its mask is the right half."""
    mask = Image.new("L", (128, 128))
    mask.paste(255, (64, 0, 128, 128))
    masked = {"mask": encoded(mask)} if settings.get("mask") else {}
    return {"init_images": [picture], "denoising_strength": 0.7, **BACK, **settings, **masked}


def encoded(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def files(answer: Answer) -> list[bytes]:
    return clean(answer).png
