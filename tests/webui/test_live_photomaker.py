"""PhotoMaker in a real WebUI, on the SDXL miniature: written into every kind of prompt, in every pass; refusals."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_faceid.miniature import write_photomaker
from tests.webui.folder import write_data_folder
from tests.webui.server import Server
from tests.webui.test_live_images import encoded
from tests.webui.test_live_jobs import clean, difference

HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
MAN = {"prompt": "a photo of a man img in a hat"}
EMPHASIS = {"prompt": "a (photo:0.8) of a (man:1.3) img in a [hat]"}
CASES: dict[str, dict[str, Any]] = {
    "plain": MAN,
    "apart": MAN | {"opts_batch_cond_uncond": False},
    "batch 2 x 2": MAN | {"batch_size": 2, "n_iter": 2},
    "hires fix": MAN | HIRES,
    "hires fix, its own prompt": MAN | HIRES | {"hr_prompt": "a tree BREAK a (king:1.2) in a hat"},
    "without uncond": MAN | {"cfg_scale": 1},
    "emphasis": EMPHASIS,
    "AND": {"prompt": "a tree AND a man img in a hat :0.8"},
    "BREAK": {"prompt": "a tree BREAK a man img in a hat"},
    "in turn": {"prompt": "a [man:king:0.5] img in a [hat|cap]"},
    "long": {"prompt": "very fine " * 36 + "a man img, " + "detailed " * 60},
    "another sampler": MAN | {"sampler_name": "Heun", "steps": 3},
}


@pytest.fixture(scope="module")
def served(webui_dir: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A WebUI of its own: Auto would take these files in other tests."""
    data = write_data_folder(tmp_path_factory.mktemp("photomaker") / "data", data_folder)
    for version in (1, 2):
        write_photomaker(data / "models" / "faceid" / f"photomaker-v{version}.bin", version)
    server = Server(webui_dir, data)
    server.start("--ckpt", str(data / "models" / "Stable-diffusion" / "mini_sdxl.safetensors"))
    server.txt2img()  # what img2img adds to the first picture's noise depends on what was drawn before
    yield server
    server.stop()


@pytest.fixture(scope="module")
def somebody(photo: str) -> dict[str, Any]:
    return {"image": photo, "adapter": "photomaker-v1", "weight": 1.0, "lora": 0.0}


@pytest.mark.parametrize("name", CASES)
def test_written_in_every_prompt_and_pass_and_off(served: Server, somebody: dict[str, Any], name: str) -> None:
    settings = CASES[name]
    plain = clean(served.txt2img(**settings | {"prompt": settings["prompt"].replace(" img", "")}))
    off = clean(
        served.txt2img(somebody | {"weight": 0}, **settings | {"prompt": settings["prompt"].replace(" img", "")})
    )
    assert off.png == plain.png
    drawn = clean(served.txt2img(somebody, **settings))
    assert all(np.any(a != b) for a, b in zip(plain.images, drawn.images, strict=True)), "a picture without the person"
    assert "PhotoMaker v1" in drawn.log
    assert "NOT applied" not in drawn.log
    assert served.left_in_the_unet() == {"hooks": 0, "networks": []}


def test_img2img_and_an_inpainted_part(served: Server, somebody: dict[str, Any], photo: str) -> None:
    mask = np.zeros((512, 512), np.uint8)
    mask[100:400, 100:400] = 255
    part = {"mask": encoded(Image.fromarray(mask)), "inpaint_full_res": True, "inpainting_fill": 1}
    for more in ({}, part):
        settings = {"init_images": [photo], "denoising_strength": 0.95, "prompt": "a man in a hat", "steps": 6, **more}
        served.txt2img()  # the picture is encoded with the random state that the job before left
        plain = clean(served.img2img(**settings))
        drawn = clean(served.img2img(somebody, **settings))
        assert difference(plain, drawn) > 0
        assert "NOT applied" not in drawn.log
        served.txt2img()
        assert clean(served.img2img(somebody | {"weight": 0}, **settings)).png == plain.png


def test_what_the_emphasis_does(served: Server, somebody: dict[str, Any]) -> None:
    """Ignored, it does nothing to anybody; else it does."""
    ignored = {"opts_emphasis": "Ignore"}
    flat = clean(served.txt2img(somebody, **ignored, prompt="a photo of a man img in a hat"))
    drawn = clean(served.txt2img(somebody, **ignored, prompt="a (photo:0.8) of a (man:1.3) img in a [hat]"))
    assert difference(flat, drawn) == 0
    ways = [clean(served.txt2img(somebody, **EMPHASIS, opts_emphasis=one)) for one in ("No norm", "Original")]
    assert all(difference(flat, one) > 0 for one in ways)


def test_versions_photos_start_and_the_lora(served: Server, somebody: dict[str, Any], data_folder: Path) -> None:
    other = base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()
    drawn = clean(served.txt2img(somebody, **MAN))
    assert clean(served.txt2img(somebody, **MAN)).png == drawn.png
    both = {"images": [somebody["image"], other]}
    second = {"adapter": "photomaker-v2"}
    for change in (second, {"lora": 1.0}, {"weight": 0.4}, {"start": 0.6}, both, {"image": other}):
        unit = {key: one for key, one in somebody.items() if key != "image" or "images" not in change} | change
        assert difference(drawn, clean(served.txt2img(unit, **MAN))) > 0, change
    batch = both | {"batch": "one each"}
    unit = {key: one for key, one in somebody.items() if key != "image"} | batch
    images = clean(served.txt2img(unit, batch_size=2, **MAN)).images
    alone = clean(served.txt2img(somebody, batch_size=2, **MAN)).images
    assert np.abs(images[0].astype(int) - alone[0]).mean() < 1
    assert np.any(images[1] != alone[1])


def test_the_trigger_is_put_in(served: Server, somebody: dict[str, Any]) -> None:
    by_hand = clean(served.txt2img(somebody, **MAN))
    put_in = clean(served.txt2img(somebody, prompt=MAN["prompt"].replace(" img", "")))
    assert difference(by_hand, put_in) == 0
    assert "written at 'man' (img stands behind it)" in put_in.log
    assert "man img" not in put_in.info["infotexts"][0].split("Negative")[0].split("Steps")[0]
    # Before the start the prompt is that without the trigger, to the byte.
    late = {"start": 0.99, "end": 1.0}
    assert difference(clean(served.txt2img(somebody | late, **MAN, steps=4)), clean(
        served.txt2img(prompt=MAN["prompt"].replace(" img", ""), steps=4))) == 0  # fmt: skip


def test_two_people_in_one_prompt_and_between_ands(served: Server, somebody: dict[str, Any], data_folder: Path) -> None:
    other = somebody | {"image": base64.b64encode((data_folder / "photos" / "Luciano.png").read_bytes()).decode()}
    for prompt in ("a man img and a king img", "a man img AND a king img"):
        one = clean(served.txt2img(somebody, other, prompt=prompt))
        assert difference(one, clean(served.txt2img(other, somebody, prompt=prompt))) > 0, prompt


@pytest.mark.parametrize(
    ("settings", "unit", "sentence"),
    [
        ({"prompt": "a house"}, {}, "no word for a person"),
        ({"prompt": "a man img", "negative_prompt": "img"}, {}, "The negative prompt has the trigger word"),
        ({"prompt": "img, a man"}, {}, "follows no word"),
        ({"prompt": "a man img, a king img"}, {}, "twice, and there is one person"),
        ({"prompt": "a man"}, {"region": "left"}, "the region 'left' cannot hold"),
        ({"prompt": "a man", "opts_sd_model_checkpoint": "mini_sd15.safetensors"}, {}, "is for SDXL, but"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(
    served: Server, somebody: dict[str, Any], settings: dict[str, Any], unit: dict[str, Any], sentence: str
) -> None:
    refused = served.txt2img(somebody | unit, **settings)
    assert refused.status == 422
    assert sentence in refused.sentence
