"""InstantID in a real WebUI, on the SDXL miniature: the adapter alone, with IdentityNet, in every pass; refusals."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_faceid.miniature import write_controlnet
from tests.webui.folder import IDENTITYNET, write_data_folder, write_instantid
from tests.webui.server import Server
from tests.webui.test_live_images import encoded
from tests.webui.test_live_jobs import clean, difference

ALONE = {"net_weight": 0.0}
HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
PASSES: dict[str, dict[str, Any]] = {
    "plain": {},
    "apart": {"opts_batch_cond_uncond": False},
    "batch 2 x 2": {"batch_size": 2, "n_iter": 2},
    "hires fix": HIRES,
    "an odd size": {"width": 200, "height": 136},
    "AND": {"prompt": "a person AND a tree :0.6"},
}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("instantid") / "data" / "models" / "ControlNet" / IDENTITYNET


@pytest.fixture(scope="module")
def served(webui_dir: Path, net: Path, data_folder: Path) -> Iterator[Server]:
    """A WebUI of its own: Auto would take these files in other tests."""
    data = write_data_folder(net.parents[2], data_folder)
    write_instantid(data / "models")
    server = Server(webui_dir, data)
    server.start("--ckpt", str(data / "models" / "Stable-diffusion" / "mini_sdxl.safetensors"))
    server.txt2img()  # what img2img adds to the first picture's noise depends on what was drawn before
    yield server
    server.stop()


@pytest.fixture(scope="module")
def somebody(photo: str) -> dict[str, Any]:
    return {"image": photo, "adapter": "ip-adapter_instant_id_sdxl", "weight": 0.8}


@pytest.mark.parametrize("name", PASSES)
def test_with_the_net_and_without_and_off_in_every_pass(served: Server, somebody: dict[str, Any], name: str) -> None:
    settings = PASSES[name]
    plain = clean(served.txt2img(**settings))
    alone = clean(served.txt2img(somebody | ALONE, **settings))
    both = clean(served.txt2img(somebody, **settings))
    assert difference(plain, alone) > 5
    assert difference(alone, both) > 5
    assert all(np.any(a != b) for a, b in zip(alone.images, both.images, strict=True)), "a picture without the net"
    assert "IdentityNet 0.80" in both.log
    assert "IdentityNet" not in alone.log
    assert clean(served.txt2img(somebody | {"weight": 0}, **settings)).png == plain.png
    assert served.left_in_the_unet() == {"hooks": 0, "networks": []}


def test_rows_apart_draw_what_rows_together_draw(served: Server, somebody: dict[str, Any]) -> None:
    apart = PASSES["apart"]
    by_itself = difference(clean(served.txt2img()), clean(served.txt2img(**apart)))
    drawn = clean(served.txt2img(somebody))
    assert difference(drawn, clean(served.txt2img(somebody, **apart))) <= max(1, by_itself)
    assert clean(served.txt2img(somebody)).png == drawn.png


def test_img2img_and_an_inpainted_part(served: Server, somebody: dict[str, Any], photo: str) -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[32:96, 32:96] = 255
    jobs: list[dict[str, Any]] = [
        {},
        {"mask": encoded(Image.fromarray(mask)), "inpaint_full_res": True, "inpaint_full_res_padding": 8},
    ]
    for more in jobs:
        settings = {"init_images": [photo], "denoising_strength": 0.95, "steps": 6, **more}
        served.txt2img()  # the picture is encoded with the random state that the job before left
        plain = clean(served.img2img(**settings))
        alone, both = (clean(served.img2img(somebody | how, **settings)) for how in (ALONE, {}))
        assert difference(plain, alone) > 0
        assert difference(alone, both) > 0
        served.txt2img()
        off = clean(served.img2img(somebody | {"weight": 0}, **settings))
        assert (difference(off, plain), off.info["infotexts"]) == (0, plain.info["infotexts"])
        assert off.png == plain.png


def test_two_people_have_a_net_each_in_their_regions(
    served: Server, somebody: dict[str, Any], data_folder: Path
) -> None:
    other = base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()
    left, right = somebody | {"region": "left", "feather": 0}, somebody | {"image": other, "region": "right"}
    wide = {"width": 256, "height": 128, "steps": 1}
    both = clean(served.txt2img(left, right, **wide))
    assert both.log.count("IdentityNet 0.80") == 2
    for how in ((left | ALONE, right), (left, right | ALONE)):
        assert difference(both, clean(served.txt2img(*how, **wide))) > 3


def test_pose_steps_and_what_the_metadata_say(served: Server, somebody: dict[str, Any], data_folder: Path) -> None:
    pose = base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()
    drawn = clean(served.txt2img(somebody))
    assert difference(drawn, clean(served.txt2img(somebody | {"pose": pose}))) > 0
    assert difference(drawn, clean(served.txt2img(somebody | {"keypoints": "region"}))) > 0
    half = clean(served.txt2img(somebody | {"net_end": 0.5, "net_weight": 0.6}))
    assert difference(drawn, half) > 1
    assert "net_weight: 0.6, net_end: 0.5" in half.info["infotexts"][0]
    line = half.info["extra_generation_params"]["FaceID 0"]
    again = {"image": somebody["image"]} | dict(part.split(": ") for part in line.split(", ") if ": " in part)
    assert again["variant"] == "instantid"


def test_the_recogniser_is_its_own_and_fields_are_taken_by_the_plot(served: Server, somebody: dict[str, Any]) -> None:
    drawn = clean(served.txt2img(somebody))
    assert "recogniser" not in drawn.log
    status = served.get("/ip-adapter-faceid/status")
    rows = {row["label"]: row["status"] for row in status["rows"]}
    assert rows["IdentityNet for SDXL"] == "found"
    assert rows["InstantID for SDXL"] == "found"


def test_what_cannot_be_drawn_is_a_sentence(
    served: Server, somebody: dict[str, Any], net: Path, data_folder: Path
) -> None:
    nobody = base64.b64encode((data_folder / "photos" / "no_face.jpeg").read_bytes()).decode()
    refused = served.txt2img(somebody | {"pose": nobody})
    assert refused.status == 422
    assert "No face found in the pose photo" in refused.sentence
    whole, kept = net.read_bytes(), net.with_suffix(".kept")
    alone = clean(served.txt2img(somebody | ALONE))
    net.rename(kept)
    try:
        without = clean(served.txt2img(somebody))
        assert without.png[0][-100:] == alone.png[0][-100:]
        assert difference(without, alone) == 0
        assert "IdentityNet is not here, so the adapter draws alone" in without.log
        net.write_bytes(whole[:5000])
        damaged = served.txt2img(somebody)
        assert damaged.status == 422
        assert "identitynet_sdxl.safetensors is" in damaged.sentence
        write_controlnet(net, "sd15")
        foreign = served.txt2img(somebody)
        assert foreign.status == 422 or "ControlNet for another UNet" in foreign.sentence
        assert "is a ControlNet for another UNet" in foreign.sentence
    finally:
        kept.replace(net)
    assert difference(clean(served.txt2img(somebody)), alone) > 5
