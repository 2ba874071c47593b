"""FLUX Redux in a real Forge, on a miniature of FLUX.1 [dev] that it loads as any checkpoint: every kind of job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.flux_mini import write_redux, write_siglip
from tests.webui.flux_folder import write_flux, write_flux_repos
from tests.webui.folder import write_data_folder
from tests.webui.forge_repos import FOLDER
from tests.webui.server import Answer, Server
from tests.webui.test_live_images import encoded, sunset
from tests.webui.test_live_jobs import clean, difference

__all__ = ["encoded", "sunset"]

CAT = {"prompt": "a cat in the rain", "cfg_scale": 1, "scheduler": "Simple"}
HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
CASES: dict[str, dict[str, Any]] = {
    "txt2img": {},
    "batch 2 x 2": {"batch_size": 2, "n_iter": 2},
    "hires fix": HIRES,
    "an odd size": {"width": 200, "height": 136},
    "a negative side": {"cfg_scale": 3, "negative_prompt": "a dog", "batch_size": 2},
    "AND": {"prompt": "a cat in the rain AND a red house :0.6"},
    "schnell": {"opts_sd_model_checkpoint": "flux1-schnell-mini.safetensors"},
    "another sampler": {"sampler_name": "DPM++ 2M", "steps": 3},
}
pytestmark = pytest.mark.not_in("webui", "forge_classic", "reforge", why="it has no FLUX.1")


@pytest.fixture(scope="module")
def served(webui_dir: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A WebUI of its own: to it, every FLUX.1 is the miniature."""
    data = write_data_folder(tmp_path_factory.mktemp("redux") / "data", data_folder)
    write_flux_repos(data / FOLDER)
    models = data / "models"
    flux = write_flux(models / "Stable-diffusion" / "flux1-mini.safetensors")
    shutil.copy(flux, flux.with_name("flux1-kontext-mini.safetensors"))
    write_flux(flux.with_name("flux1-schnell-mini.safetensors"), schnell=True)
    write_redux(models / "faceid" / "flux1-redux-dev.safetensors")
    write_siglip(models / "clip_vision" / "sigclip_vision_patch14_384.safetensors")
    server = Server(webui_dir, data)
    server.start("--ckpt", str(flux))
    clean(server.txt2img(**CAT))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def image(sunset: str) -> dict[str, Any]:
    return {"purpose": "image", "image": sunset, "adapter": "flux1-redux-dev", "weight": 0.8}


@pytest.fixture(scope="module")
def other() -> str:
    """Another picture: noise."""
    return encoded(Image.fromarray(np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)))


def drawn(server: Server, *units: dict[str, Any], **settings: Any) -> Answer:
    return clean(server.txt2img(*units, **{**CAT, **settings}))


def apart(one: Answer, other: Answer) -> NDArray[np.float64]:
    """The difference of the first pictures at each place, 0 to 255."""
    return np.abs(one.images[0].astype(float) - other.images[0].astype(float)).mean(2)


@pytest.mark.parametrize("name", CASES)
def test_it_acts_and_weight_0_and_off_are_the_plain_bytes(served: Server, image: dict[str, Any], name: str) -> None:
    plain = drawn(served, **CASES[name])
    for off in ({"weight": 0}, {"enabled": False}):
        assert drawn(served, image | off, **CASES[name]).png == plain.png
    found = drawn(served, image, **CASES[name])
    print(f"{name}: {difference(plain, found)}")
    assert difference(plain, found) > 5
    assert "FaceID 0: flux1-redux-dev (FLUX Redux) · 1 image · weight 0.80 · detail 9" in found.log
    assert "in the context" in found.log
    assert "flux1-redux-dev" in found.info["infotexts"][0]
    assert drawn(served, **CASES[name]).png == plain.png
    assert served.left_in_the_unet() == {"hooks": 0, "networks": []}


def test_img2img(served: Server, image: dict[str, Any], other: str) -> None:
    settings = {**CAT, "init_images": [other], "denoising_strength": 0.8}
    plain = clean(served.img2img(**settings))
    assert clean(served.img2img(image | {"weight": 0}, **settings)).png == plain.png
    assert difference(plain, clean(served.img2img(image, **settings))) > 5


def test_more_weight_and_more_detail_are_more_of_the_image(served: Server, image: dict[str, Any]) -> None:
    plain = drawn(served)
    moved = [apart(plain, drawn(served, image | {"weight": weight})).mean() for weight in (0.05, 0.4, 1, 2)]
    print(moved)
    assert moved == sorted(moved)
    few, many = (apart(plain, drawn(served, image | {"detail": detail, "weight": 1})).mean() for detail in (3, 27))
    assert few < many


def test_a_region_keeps_to_its_side(served: Server, image: dict[str, Any], other: str) -> None:
    plain = drawn(served)
    left = drawn(served, image | {"weight": 2, "region": "left", "feather": 0})
    moved = apart(plain, left)
    half = moved.shape[1] // 2
    print(moved[:, :half].mean(), moved[:, half:].mean())
    assert moved[:, :half].mean() > 1.5 * moved[:, half:].mean()
    right = {**image, "image": other, "weight": 2, "region": "right", "feather": 0}
    both = drawn(served, image | {"weight": 2, "region": "left", "feather": 0}, right)
    assert apart(left, both)[:, half:].mean() > 1.5 * apart(left, both)[:, :half].mean()
    assert "region: left" in both.info["infotexts"][0]
    mask = Image.new("L", (640, 640))
    mask.paste(255, (0, 0, 320, 640))
    assert difference(left, drawn(served, image | {"weight": 2, "mask": encoded(mask), "feather": 0})) == 0


def test_several_images_and_units(served: Server, image: dict[str, Any], other: str) -> None:
    one = drawn(served, image)
    images = {**{key: value for key, value in image.items() if key != "image"}, "images": [image["image"], other]}
    both = drawn(served, images | {"combine": "concatenate"})
    two = drawn(served, image, image | {"image": other})
    assert difference(one, both) > 0
    assert difference(both, two) <= 2, "the same tokens in the same order"


def test_an_image_for_each_picture_of_a_batch(served: Server, image: dict[str, Any], other: str) -> None:
    """Each picture is the one that it is where its image is everybody's."""
    images = {**{key: value for key, value in image.items() if key != "image"}, "images": [image["image"], other]}
    found = drawn(served, images | {"batch": "one each"}, batch_size=2).images
    first, second = (drawn(served, image | {"image": one}, batch_size=2).images for one in (image["image"], other))
    assert np.abs(found[0].astype(int) - first[0]).max() <= 2
    assert np.abs(found[1].astype(int) - second[1]).max() <= 2
    assert np.abs(found[0].astype(int) - second[0]).max() > 5


def test_it_acts_in_its_steps(served: Server, image: dict[str, Any]) -> None:
    late = drawn(served, image | {"start": 0.5})
    assert "steps 3-4 of 4" in late.log
    assert difference(late, drawn(served, image)) > 0
    never = drawn(served, image | {"hires": "hires"})
    assert difference(never, drawn(served)) == 0
    assert "FaceID 0: not applied" in never.info["infotexts"][0]


def test_a_failing_job_leaves_nothing(served: Server, image: dict[str, Any]) -> None:
    plain = drawn(served)
    assert served.txt2img(image, probe={"fail_at_call": 2}, **CAT).status == 500
    assert served.left_in_the_unet() == {"hooks": 0, "networks": []}
    assert drawn(served).png == plain.png


def test_refused_in_a_sentence(served: Server, image: dict[str, Any], photo: str) -> None:
    asked: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "No adapter for people exists for FLUX.1": ({"image": photo}, {}),
        "FLUX.1 draws without a negative side": (image | {"noise": 0.3}, {}),
        "reads a picture beside the prompt (Kontext)": (
            image, {"opts_sd_model_checkpoint": "flux1-kontext-mini.safetensors"},
        ),
        "is for FLUX.1, but the loaded checkpoint is SD 1.5": (
            image, {"opts_sd_model_checkpoint": "mini_sd15.safetensors"},
        ),
    }  # fmt: skip
    for sentence, (unit, settings) in asked.items():
        answer = served.txt2img(unit, **CAT, **settings)
        assert answer.status == 422, answer.body
        assert sentence in answer.sentence


def test_sd15_after_flux_and_back(served: Server, image: dict[str, Any]) -> None:
    """The same job with another checkpoint takes that one's adapter, and the next one FLUX.1's again."""
    before = drawn(served, image)
    auto, sd15 = image | {"adapter": "Auto"}, {"opts_sd_model_checkpoint": "mini_sd15.safetensors"}
    assert difference(drawn(served, **sd15), drawn(served, auto, **sd15)) > 5
    assert drawn(served, auto).png == before.png


def test_a_saved_image_by_a_tag(served: Server, image: dict[str, Any], sunset: str) -> None:
    saved = served.post("/ip-adapter-faceid/faces", {"name": "Sunset", "image": sunset, "purpose": "image"})
    assert saved.status == 200, saved.body
    called = drawn(served, prompt=f"{CAT['prompt']} <image:Sunset:0.8:adapter=flux1-redux-dev>")
    assert difference(called, drawn(served, image)) <= 1, "what is saved is rounded"


@pytest.mark.not_in("forge_neo", why="its plot takes one argument more")
def test_a_plot_over_the_detail(served: Server, image: dict[str, Any]) -> None:
    (plot,) = [
        one for one in served.get("/sdapi/v1/script-info") if one["name"] == "x/y/z plot" and not one["is_img2img"]
    ]
    axis = plot["args"][0]["choices"].index("[FaceID 0] Image detail")
    nothing = [0, "", []]
    arguments = [axis, "3,27", [], *nothing, *nothing, False, True, False, True, False, False, False, 0, False]
    grid = drawn(served, image, script_name="x/y/z plot", script_args=arguments)
    for cell, detail in zip(grid.images[-2:], (3, 27), strict=True):
        assert np.array_equal(cell, drawn(served, image | {"detail": detail}).images[0])


@pytest.mark.not_in("forge_neo", why="it has no MultiDiffusion")
def test_tiles_show_their_part_of_the_region(served: Server, image: dict[str, Any]) -> None:
    """Two tiles side by side, of which one lies in the region. The VAE, which looks at all, moves the other too."""
    unit = image | {"weight": 2, "region": "left", "feather": 0}
    found: list[Answer] = []
    for units in ([], [unit], [unit | {"region": "right"}]):
        scripts = {
            "MultiDiffusion Integrated": {"args": [True, "MultiDiffusion", 128, 128, 0, 4]},
            **({"IP-Adapter FaceID": {"args": units}} if units else {}),
        }
        body = {**CAT, "seed": 7, "steps": 4, "width": 256, "height": 128, "sampler_name": "Euler"}
        found.append(clean(served.post("/sdapi/v1/txt2img", {**body, "alwayson_scripts": scripts})))
    plain, left, right = found
    assert "acted everywhere" not in left.log
    half = apart(plain, left).shape[1] // 2
    moved = [[apart(plain, one)[:, part].mean() for part in (slice(half), slice(half, None))] for one in (left, right)]
    print(moved)
    assert moved[0][0] > 1.5 * moved[0][1]
    assert moved[1][1] > 1.5 * moved[1][0]
