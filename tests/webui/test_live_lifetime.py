"""Whatever happens to a job, the next plain one is the very same file, and nothing is left in the UNet."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.webui.server import Answer, Server
from tests.webui.test_live_jobs import clean, difference

HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
NOTHING = {"hooks": 0, "networks": []}


@pytest.fixture
def untouched(server: Server) -> Any:
    """Compare the plain job, and what is in the UNet, before and after the test."""
    plain = clean(server.txt2img()).png
    assert server.left_in_the_unet() == NOTHING
    yield
    assert server.left_in_the_unet() == NOTHING
    assert clean(server.txt2img()).png == plain


@pytest.mark.usefixtures("untouched")
def test_after_a_job(server: Server, person: dict[str, Any]) -> None:
    clean(server.txt2img(person, person, **HIRES))


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("call", [1, 3])
def test_after_an_error_in_the_unet(server: Server, person: dict[str, Any], call: int) -> None:
    answer = server.txt2img(person, probe={"fail_at_call": call})
    assert answer.status == 500
    assert "the probe was asked to fail" in answer.sentence


@pytest.mark.usefixtures("untouched")
def test_after_an_interrupt(server: Server, person: dict[str, Any]) -> None:
    answers: list[Answer] = []
    job = threading.Thread(target=lambda: answers.append(server.txt2img(person, steps=150)))
    job.start()
    time.sleep(3)
    server.post("/sdapi/v1/interrupt", {})
    job.join(timeout=120)
    assert answers
    assert answers[0].status == 200


@pytest.mark.usefixtures("untouched")
def test_a_job_inside_the_job_is_plain(server: Server, person: dict[str, Any]) -> None:
    """What ADetailer does: the inner job asked for nobody, and gets nobody (the LoRA is the prompt's business)."""
    unit = {**person, "lora": 0}
    nested = clean(server.txt2img(unit, probe={"nested": True}))
    assert difference(nested, clean(server.txt2img())) == 0


@pytest.mark.usefixtures("untouched")
def test_a_job_inside_the_job_does_not_end_it(server: Server, person: dict[str, Any]) -> None:
    """The second picture of a batch count is drawn after the first one's inner job."""
    unit = {**person, "lora": 0}
    apart = clean(server.txt2img(unit, n_iter=2))
    assert difference(apart, clean(server.txt2img(n_iter=2))) > 5
    nested = clean(server.txt2img(unit, n_iter=2, probe={"nested": True}))
    assert "NOT applied" not in nested.log
    assert len(nested.images) == 2


@pytest.mark.usefixtures("untouched")
def test_a_hires_checkpoint_of_another_family(server: Server, person: dict[str, Any]) -> None:
    """The chosen adapter fits the first pass only; Auto chooses anew."""
    other = {**HIRES, "hr_checkpoint_name": "mini_sdxl.safetensors"}
    back = {"opts_sd_model_checkpoint": "mini_sd15.safetensors"}
    answer = server.txt2img(person, **other)
    assert answer.status == 422, answer.sentence
    assert "ip-adapter-faceid_sd15 is for SD 1.5, but the loaded checkpoint is SDXL" in answer.sentence
    clean(server.txt2img(**back))
    drawn = clean(server.txt2img({"image": person["image"]}, **other))
    assert difference(drawn, clean(server.txt2img(**other, **back))) > 5
    clean(server.txt2img(**back))


@pytest.mark.usefixtures("untouched")
def test_a_refiner_of_the_same_family_draws_the_person_too(server: Server, person: dict[str, Any]) -> None:
    refiner = {"refiner_checkpoint": "mini_sd15_other.safetensors", "refiner_switch_at": 0.5}
    back = {"opts_sd_model_checkpoint": "mini_sd15.safetensors"}
    plain = clean(server.txt2img(**refiner, **back))
    late = clean(server.txt2img({**person, "start": 0.5}, **refiner, **back))
    assert difference(plain, late) > 0
    clean(server.txt2img(**back))


@pytest.mark.usefixtures("untouched")
def test_a_refiner_without_faceid_is_said(server: Server, person: dict[str, Any]) -> None:
    refiner = {"refiner_checkpoint": "mini_sdxl.safetensors", "refiner_switch_at": 0.5}
    back = {"opts_sd_model_checkpoint": "mini_sd15.safetensors"}
    answer = clean(server.txt2img(person, **refiner, **back))
    assert "FaceID stopped where the refiner took over" in answer.log
    clean(server.txt2img(**back))


@pytest.mark.not_in(
    "forge", "forge_classic", "forge_neo", "reforge", why="there LoRAs are patches of the UNet, taken out with the job"
)
def test_the_lora_is_merged_once_for_jobs_that_are_alike(server: Server, person: dict[str, Any]) -> None:
    def merged(*units: dict[str, Any], **settings: Any) -> int:
        before = server.merged_layers()
        clean(server.txt2img(*units, **settings))
        return server.merged_layers() - before

    merged()
    once = merged({**person, "lora": 0.6})
    assert once > 0
    assert merged({**person, "lora": 0.6}, seed=8, steps=6) == 0
    assert merged({**person, "lora": 0.6}, **HIRES) == 0
    assert merged({**person, "lora": 0.5}) == once
    assert merged() == 0
