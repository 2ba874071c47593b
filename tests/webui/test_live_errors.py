"""What cannot be drawn ends the job aloud, in the answer, and leaves the next job untouched."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from lib_faceid.likeness.meaning import LIKENESS_KEY
from tests.webui.server import Server

MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"wieght": 1}, "did you mean 'weight'"),
    "out of range": ({"weight": 7}, "0 to 2"),
    "not a number": ({"weight": "strong"}, "a number from 0 to 2"),
    "start after end": ({"start": 0.8, "end": 0.2}, "start must come before end"),
    "unknown adapter": ({"adapter": "nothing-like-it"}, "There is no adapter 'nothing-like-it'"),
    "adapter of another family": ({"adapter": "ip-adapter-faceid_sdxl"}, "is for SDXL"),
    "unknown variant": ({"variant": "plusv9"}, "There is no variant 'plusv9'"),
    "wrong variant": ({"variant": "portrait"}, "cannot be read as FaceID Portrait"),
    "not an image": ({"image": "bm90IGFuIGltYWdl"}, "Unit 0"),
    "not base64": ({"image": "???"}, "Unit 0"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_with_a_sentence(server: Server, person: dict[str, Any], name: str) -> None:
    change, sentence = MISTAKES[name]
    plain = server.txt2img().png
    answer = server.txt2img({**person, **change})
    assert answer.status == 422
    assert "images" not in answer.body
    assert sentence in answer.sentence
    assert "Unit 0" in answer.sentence
    assert "Traceback" not in answer.log
    assert server.txt2img().png == plain


def test_no_face_in_the_photo(server: Server, person: dict[str, Any], data_folder: Path) -> None:
    empty = base64.b64encode((data_folder / "photos" / "no_face.jpeg").read_bytes()).decode()
    answer = server.txt2img({**person, "image": empty})
    assert answer.status == 422
    assert "No face found" in answer.sentence
    assert "Use a photo where the whole head is visible" in answer.sentence


def test_an_enabled_unit_without_a_photo_is_named(server: Server) -> None:
    answer = server.txt2img({"enabled": True})
    assert "FaceID 0 is enabled but has no photo" in answer.log
    assert answer.info["extra_generation_params"] == {"FaceID 0": "ignored, it has no photo"}
    assert (answer.images[0] == server.txt2img().images[0]).all()


def test_a_face_that_another_extension_keeps_out_is_said(server: Server, person: dict[str, Any]) -> None:
    answer = server.txt2img(person, probe={"own_prompt": 1})
    assert "FaceID 0 was NOT applied: the UNet was given another prompt than the one that FaceID marked" in answer.log
    parameters = answer.info["extra_generation_params"]
    assert {name: value for name, value in parameters.items() if name != LIKENESS_KEY} == {"FaceID 0": "not applied"}
    answer = server.txt2img(person, probe={"own_prompt": 3})
    assert "FaceID 0: ip-adapter-faceid" in answer.log
    assert "FaceID was NOT applied in 2 of 4 steps" in answer.log


def test_unet_calls_of_another_extension_are_no_alarm(server: Server, person: dict[str, Any]) -> None:
    answer = server.txt2img(person, probe={"own_calls": True})
    assert (answer.images[0] == server.txt2img(person).images[0]).all()
    assert "NOT applied" not in answer.log
    assert "FaceID: Another extension called the UNet with prompts of its own" in answer.log


def test_an_error_in_the_middle_leaves_the_next_job_untouched(server: Server, person: dict[str, Any]) -> None:
    """A hires pass on a checkpoint of another family: the chosen adapter fits the first pass only."""
    plain = server.txt2img().png
    settings = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
    answer = server.txt2img(person, **settings, hr_checkpoint_name="mini_sdxl.safetensors")
    assert answer.status == 422, answer.sentence
    assert "is for SD 1.5, but the loaded checkpoint is SDXL" in answer.sentence
    after = server.txt2img(opts_sd_model_checkpoint="mini_sd15.safetensors")
    assert after.png == plain
