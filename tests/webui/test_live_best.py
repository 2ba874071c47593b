"""The best of several seeds in a real WebUI: the chosen picture is that of its seed, for fewer UNet calls."""

from __future__ import annotations

import base64
import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from gallery import photo_of
from PIL import Image

from lib_faceid.faces.analyser import FaceAnalyser, largest
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from lib_faceid.pictures.photo import read_photo
from lib_faceid.units.job_options import INFOTEXT_KEY
from tests.webui.server import Answer, Server, kind_of
from tests.webui.test_live_jobs import clean
from tests.webui.test_live_likeness import BLUE, WHO, likeness, miniature, photos, scores_in
from training.captions import caption

__all__ = ["miniature", "photos"]

STEPS = 8
JOB: dict[str, Any] = {
    "opts_sd_model_checkpoint": "miniature.safetensors",
    "prompt": caption(BLUE),
    "steps": STEPS,
    "cfg_scale": 2,
    "sampler_name": "Euler",
    "seed": 1000,
}
HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.5, "hr_upscaler": "Latent"}
FOUR = {"best_of": 4}
JOBS: dict[str, dict[str, Any]] = {
    "DDIM": {"sampler_name": "DDIM"},
    "ancestral": {"sampler_name": "Euler a"},
    "several steps in mind": {"sampler_name": "DPM++ 2M"},
    "two calls a step, noise of its own": {"sampler_name": "DPM++ SDE"},
    "hires fix": {"sampler_name": "Euler a", **HIRES},
    "AND": {"prompt": f"{caption(BLUE)} AND a person :0.3"},
}


@pytest.fixture(scope="module")
def unit(photos: dict[str, str]) -> dict[str, Any]:
    return {"image": photos[WHO[0]], "adapter": TRAINED_ADAPTER.stem}


def seeds_of(answer: Answer) -> list[int]:
    return answer.info["all_seeds"]


def told(answer: Answer, image: int = 0) -> str:
    found = re.search(rf'{INFOTEXT_KEY}: "([^"]*)"', answer.info["infotexts"][image])
    return found[1] if found else ""


def calls_of(server: Server) -> tuple[int, int]:
    """The UNet calls of the last job's first and second pass."""
    is_hires = [one["hires"] for one in server.calls()]
    return is_hires.count(False), is_hires.count(True)


@pytest.mark.parametrize("name", JOBS)
def test_the_chosen_picture_is_that_of_its_seed(miniature: Server, unit: dict[str, Any], name: str) -> None:
    job = JOB | JOBS[name]
    best = clean(miniature.txt2img(unit, FOUR, **job))
    first_pass, second_pass = calls_of(miniature)
    (seed,) = seeds_of(best)
    assert seed in range(1000, 1004)
    assert f"Seed: {seed}" in best.info["infotexts"][0]
    assert f"UNet calls: {first_pass}" in told(best)
    assert "FaceID: the best: 4 seeds tried, 2 dropped on the way" in best.log
    plain = clean(miniature.txt2img(unit, **{**job, "seed": seed}))
    assert np.array_equal(plain.images[0], best.images[0])
    of_one = calls_of(miniature)
    assert of_one[0] < first_pass < 4 * of_one[0]
    assert of_one[1] == second_pass
    assert not told(plain)


def test_batches_and_what_is_kept(miniature: Server, unit: dict[str, Any]) -> None:
    options = {"best_of": 3, "keep": 2}
    best = clean(miniature.txt2img(unit, options, **JOB, batch_size=2, n_iter=2))
    seeds = seeds_of(best)
    assert len(seeds) == 8
    own = [range(1000 + 3 * image, 1003 + 3 * image) for image in range(4)]
    # The batch of the images 0 and 1, its second best, then that of 2 and 3.
    assert [next(at for at, tried in enumerate(own) if seed in tried) for seed in seeds] == [0, 1, 0, 1, 2, 3, 2, 3]
    assert len(set(seeds)) == 8
    pictures = best.images[-8:]
    infotexts = [told(best, len(best.images) - 8 + at) for at in range(8)]
    assert [one.split(", ")[1] for one in infotexts] == [f"first seed: {own[at][0]}" for at in (0, 1, 0, 1, 2, 3, 2, 3)]
    for at in (1, 2):
        plain = clean(miniature.txt2img(unit, **{**JOB, "seed": seeds[at]}))
        apart = np.abs(plain.images[0].astype(int) - pictures[at]).max()
        assert apart <= kind_of(miniature.webui).is_forge  # there a batch of two is rounded otherwise than a single one


def test_a_target_and_seeds_that_are_all_finished(miniature: Server, unit: dict[str, Any]) -> None:
    easy = clean(miniature.txt2img(unit, {"best_of": 4, "likeness_target": 0.01}, **JOB))
    assert len(miniature.calls()) == STEPS
    assert "the target 0.01 was reached" in easy.log
    adaptive = clean(miniature.txt2img(unit, {"best_of": 2}, **{**JOB, "sampler_name": "DPM adaptive"}))
    assert "every seed is drawn to its end" in adaptive.log


def test_img2img(miniature: Server, unit: dict[str, Any]) -> None:
    begun = clean(miniature.txt2img(**JOB)).images[0]
    file = io.BytesIO()
    Image.fromarray(begun).save(file, "PNG")
    init = {"init_images": [base64.b64encode(file.getvalue()).decode()], "denoising_strength": 0.75}
    job = {**JOB, "sampler_name": "Euler a", **init}
    best = clean(miniature.img2img(unit, FOUR, **job))
    (seed,) = seeds_of(best)
    plain = clean(miniature.img2img(unit, **{**job, "seed": seed}))
    assert np.array_equal(plain.images[0], best.images[0])


def test_off_is_as_without_and_what_cannot_be_is_refused(miniature: Server, unit: dict[str, Any]) -> None:
    plain = clean(miniature.txt2img(unit, **JOB))
    off = clean(miniature.txt2img(unit, {"best_of": 1}, **JOB))
    assert off.png == plain.png
    assert len(miniature.calls()) == STEPS
    nobody = miniature.txt2img(FOUR, **JOB)
    assert nobody.status == 422
    assert "best_of" in nobody.sentence
    refined = {"refiner_checkpoint": "mini_sd15.safetensors", "refiner_switch_at": 0.5}
    refused = miniature.txt2img(unit, FOUR, **JOB, **refined)
    assert refused.status == 422
    assert "refiner" in refused.sentence
    wrong = miniature.txt2img(unit, {"best_of": 65}, **JOB)
    assert wrong.status == 422
    assert clean(miniature.txt2img(unit, **JOB)).png == plain.png


def test_the_gallery_is_sorted_where_a_setting_says_so(
    miniature: Server, unit: dict[str, Any], analyser: FaceAnalyser
) -> None:
    """By the likeness to the photo that was sent: a person's other photos would put close pictures otherwise."""
    photo = largest(analyser.detect(read_photo(photo_of(WHO[0])))).id_embedding
    photo = photo / np.linalg.norm(photo)
    job = {**JOB, "n_iter": 4}
    drawn = clean(miniature.txt2img(unit, **job))
    by_likeness = clean(miniature.txt2img(unit, **job, opts_faceid_sort_gallery=True))
    grid = len(drawn.images) - 4
    seen = [likeness(Answer(200, {"images": [one]}, ""), analyser, photo) for one in by_likeness.body["images"][grid:]]
    # To the digits that a score keeps: two of these pictures are 4e-6 apart, in a range of 0.07.
    assert all(first >= second - 1e-4 for first, second in pairwise(seen)), seen
    assert seen[0] > seen[-1] + 0.01
    by_seed = {one["seed"]: one["likeness"] for one in scores_in(by_likeness)}
    assert [by_seed[seed] for seed in seeds_of(by_likeness)] == pytest.approx(seen, abs=1e-3)
    assert seeds_of(by_likeness) != sorted(seeds_of(by_likeness)) == seeds_of(drawn)
    for at, seed in enumerate(seeds_of(by_likeness)):
        assert f"Seed: {seed}," in by_likeness.info["infotexts"][grid + at]
        assert np.array_equal(by_likeness.images[grid + at], drawn.images[grid + seed - 1000])


def wait_until_at_work(server: Server, earlier: list[dict[str, Any]]) -> None:
    """Wait for twenty UNet calls of a job. Until it begins, the server tells of the job before, which had these."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if len(calls := server.calls()) >= 20 and calls != earlier:
            return
        time.sleep(0.1)


def test_skipped_it_takes_the_best_so_far_and_the_next_batch_is_searched_for(
    miniature: Server, unit: dict[str, Any]
) -> None:
    job, earlier = {**JOB, "steps": 30, "n_iter": 2}, miniature.calls()
    with ThreadPoolExecutor(1) as thread:
        drawing = thread.submit(miniature.txt2img, unit, {"best_of": 6}, **job)
        wait_until_at_work(miniature, earlier)
        miniature.post("/sdapi/v1/skip", {})
        answer = clean(drawing.result(timeout=300))
    (first,) = re.findall(r"the best of image 1: .*", answer.log)
    (second,) = re.findall(r"the best of image 2: .*", answer.log)
    assert "interrupted" in first
    assert "interrupted" not in second
    assert "6 seeds tried" in second
    assert len(answer.images) - answer.info["index_of_first_image"] == 2
    plain = clean(miniature.txt2img(unit, **{**job, "n_iter": 1, "seed": seeds_of(answer)[1]}))
    assert np.array_equal(plain.images[0], answer.images[-1])


def test_hires_fix_finishes_the_best_of_each_image_alone(miniature: Server, unit: dict[str, Any]) -> None:
    """Of two batches of two images: as many calls in the second pass as without trying any."""
    job = {**JOB, **HIRES, "batch_size": 2, "n_iter": 2}
    best = clean(miniature.txt2img(unit, {"best_of": 3}, **job))
    first_pass, second_pass = calls_of(miniature)
    seeds = seeds_of(best)
    assert [seed in range(1000 + 3 * image, 1003 + 3 * image) for image, seed in enumerate(seeds)] == [True] * 4
    clean(miniature.txt2img(unit, **job))
    plain_first, plain_second = calls_of(miniature)
    assert second_pass == plain_second
    # A batch is one call for both images, and candidates are drawn one by one.
    assert plain_first < first_pass < 3 * 2 * plain_first
    alone = clean(miniature.txt2img(unit, **{**job, "batch_size": 1, "n_iter": 1, "seed": seeds[3]}))
    apart = np.abs(alone.images[0].astype(int) - best.images[-1]).max()
    assert apart <= 1, "a batch of two is computed in another order than one picture"


def test_interrupted_it_takes_the_best_so_far(miniature: Server, unit: dict[str, Any]) -> None:
    before = clean(miniature.txt2img(unit, **JOB)).png
    earlier = miniature.calls()
    with ThreadPoolExecutor(1) as thread:
        job = thread.submit(miniature.txt2img, unit, {"best_of": 64}, **{**JOB, "steps": 30})
        wait_until_at_work(miniature, earlier)
        miniature.post("/sdapi/v1/interrupt", {})
        answer = job.result(timeout=300)
    assert "interrupted" in clean(answer).log
    assert len(answer.images) == 1
    assert clean(miniature.txt2img(unit, **JOB)).png == before
