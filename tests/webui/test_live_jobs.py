"""Jobs through the HTTP API of a real WebUI. Pictures are compared and the log is read; a status proves nothing."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from tests.webui.server import Answer, Server

SDXL = {"opts_sd_model_checkpoint": "mini_sdxl.safetensors"}
JOBS: dict[str, dict[str, Any]] = {
    "plain": {},
    "split": {"opts_batch_cond_uncond": False},
    "long negative": {"negative_prompt": "blurry, " * 150},
    "long negative, split": {"negative_prompt": "blurry, " * 150, "opts_batch_cond_uncond": False},
    "long negative, padded": {"negative_prompt": "blurry, " * 150, "opts_pad_cond_uncond": True},
    "long prompt, padded as in v0": {"prompt": "a person, " * 60, "opts_pad_cond_uncond_v0": True},
    "NGMS": {"s_min_uncond": 4.0, "opts_s_min_uncond_all": True},
    "AND": {"prompt": "a person AND a tree :0.6 AND a house :1.2", "batch_size": 2},
    "Heun": {"sampler_name": "Heun"},
    "DPM++ SDE": {"sampler_name": "DPM++ SDE"},
    "DDIM": {"sampler_name": "DDIM"},
    "UniPC": {"sampler_name": "UniPC"},
    "hires fix": {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"},
    "batch 3 x 2": {"batch_size": 3, "n_iter": 2},
    "no CFG": {"cfg_scale": 1},
    "SDXL": SDXL,
    "SDXL, split": {**SDXL, "opts_batch_cond_uncond": False},
    "SDXL, long negative": {**SDXL, "negative_prompt": "blurry, " * 150},
}


def difference(one: Answer, other: Answer) -> int:
    """The largest difference of any channel of any pixel of any picture, 0 to 255."""
    pairs = list(zip(one.images, other.images, strict=True))
    return max(int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in pairs)


def clean(answer: Answer) -> Answer:
    """The answer, if nothing went wrong behind it."""
    assert answer.status == 200, answer.body
    assert "***" not in answer.log, answer.log
    assert "Traceback" not in answer.log, answer.log
    return answer


def unit_for(person: dict[str, Any], settings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    family = "sdxl" if "opts_sd_model_checkpoint" in settings else "sd15"
    return {**person, "adapter": f"ip-adapter-faceid_{family}", **changes}


@pytest.mark.parametrize("name", JOBS)
def test_the_person_changes_the_picture_and_weight_0_does_not(
    server: Server, person: dict[str, Any], name: str
) -> None:
    settings = JOBS[name]
    plain = clean(server.txt2img(**settings))
    drawn = clean(server.txt2img(unit_for(person, settings), **settings))
    off = clean(server.txt2img(unit_for(person, settings, weight=0), **settings))
    disabled = clean(server.txt2img(unit_for(person, settings, enabled=False), **settings))
    assert difference(plain, drawn) > 10
    assert all(np.any(a != b) for a, b in zip(plain.images, drawn.images, strict=True)), "a picture has no person"
    assert off.png == plain.png
    assert disabled.png == plain.png
    assert "FaceID 0: ip-adapter-faceid_" in drawn.log
    assert "FaceID 0" in drawn.info["infotexts"][0]


@pytest.mark.parametrize(
    "name",
    ["plain", "long negative", "AND", "NGMS", "batch 3 x 2", "hires fix", "SDXL", "SDXL, long negative"],
)
def test_rows_sent_apart_give_what_rows_sent_together_give(server: Server, person: dict[str, Any], name: str) -> None:
    settings = JOBS[name]
    apart = {**settings, "opts_batch_cond_uncond": False}
    unit = unit_for(person, settings)
    by_itself = difference(clean(server.txt2img(**settings)), clean(server.txt2img(**apart)))
    with_person = difference(clean(server.txt2img(unit, **settings)), clean(server.txt2img(unit, **apart)))
    assert with_person <= max(1, by_itself)


@pytest.mark.parametrize("lora", [0.0, 0.6])
@pytest.mark.parametrize("settings", [{}, SDXL], ids=["SD 1.5", "SDXL"])
def test_the_same_job_three_times_gives_three_identical_files(
    server: Server, person: dict[str, Any], settings: dict[str, Any], lora: float
) -> None:
    unit = unit_for(person, settings, lora=lora)
    first, *others = (clean(server.txt2img(unit, **settings)).png for _ in range(3))
    assert others == [first, first]


def test_the_lora_acts_and_is_gone_afterwards(server: Server, person: dict[str, Any]) -> None:
    plain = clean(server.txt2img())
    without = clean(server.txt2img({**person, "lora": 0}))
    with_lora = clean(server.txt2img({**person, "lora": 1.0}))
    assert difference(without, with_lora) > 5
    assert clean(server.txt2img()).png == plain.png
    assert clean(server.txt2img({**person, "lora": 0})).png == without.png


def test_start_and_end_choose_steps(server: Server, person: dict[str, Any]) -> None:
    plain, whole = clean(server.txt2img()), clean(server.txt2img({**person, "lora": 0}))
    first = clean(server.txt2img({**person, "lora": 0, "end": 0.5}))
    last = clean(server.txt2img({**person, "lora": 0, "start": 0.5}))
    assert min(difference(plain, one) for one in (whole, first, last)) > 0
    assert min(difference(whole, one) for one in (first, last)) > 0
    assert "steps 1-2 of 4" in first.log
    assert "steps 3-4 of 4" in last.log


@pytest.mark.parametrize("adapter", ["faceid", "faceid-plus", "faceid-plusv2", "faceid-portrait"])
def test_every_variant_of_sd15_draws(server: Server, person: dict[str, Any], adapter: str) -> None:
    drawn = clean(server.txt2img({**person, "adapter": f"ip-adapter-{adapter}_sd15"}))
    assert difference(clean(server.txt2img()), drawn) > 5


def test_structure_acts_on_plus_v2(server: Server, person: dict[str, Any]) -> None:
    low, high = (
        clean(server.txt2img({**person, "adapter": "ip-adapter-faceid-plusv2_sd15", "structure": value}))
        for value in (0.0, 1.5)
    )
    assert difference(low, high) > 0


def test_auto_takes_the_best_adapter_for_the_checkpoint(server: Server, person: dict[str, Any]) -> None:
    for settings, family in (({}, "sd15"), (SDXL, "sdxl")):
        drawn = clean(server.txt2img({"image": person["image"]}, **settings))
        assert f"ip-adapter-faceid-plusv2_{family} (FaceID Plus v2)" in drawn.log


def test_two_units_add_up_in_either_order(server: Server, person: dict[str, Any], data_folder: Any) -> None:
    other_photo = base64.b64encode((data_folder / "photos" / "Bryan.png").read_bytes()).decode()
    other = {**person, "image": other_photo, "weight": 0.5}
    one_way, other_way = clean(server.txt2img(person, other)), clean(server.txt2img(other, person))
    assert difference(one_way, other_way) <= 1
    assert difference(one_way, clean(server.txt2img(person))) > 0
