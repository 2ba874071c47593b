"""Images as prompts in a real WebUI: every layout, beside a face and in every pass; tags, plots, metadata, refusals."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.webui.beside.asked import controlnet
from tests.webui.beside.folders import checkouts, put_extensions, put_models
from tests.webui.beside.measuring import trouble
from tests.webui.beside.pictures import named_pictures
from tests.webui.beside.rows_controlnet import CONTROL, FACEID
from tests.webui.folder import ENCODERS
from tests.webui.server import Answer, Server
from tests.webui.test_live_jobs import SDXL, clean, difference

BASE, PLUS = "ip-adapter_sd15", "ip-adapter-plus_sd15"
HIRES = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
LABELS = {
    BASE: "IP-Adapter",
    "ip-adapter_sd15_vit-G": "IP-Adapter (ViT-bigG)",
    PLUS: "IP-Adapter Plus",
    "ip-adapter_sdxl": "IP-Adapter (ViT-bigG)",
    "ip-adapter_sdxl_vit-h": "IP-Adapter",
    "ip-adapter-plus_sdxl_vit-h": "IP-Adapter Plus",
}
PASSES: dict[str, dict[str, Any]] = {
    "txt2img": {},
    "cond and uncond apart": {"opts_batch_cond_uncond": False},
    "long negative": {"negative_prompt": "blurry, " * 150},
    "batch 2 x 2": {"batch_size": 2, "n_iter": 2},
    "hires fix": HIRES,
    "an odd size": {"width": 200, "height": 136},
    "SDXL": SDXL,
}


def encoded(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="session")
def sunset() -> str:
    """A picture without anybody in it: bands of colour, brighter to the right."""
    bands = np.array([(30, 20, 70), (200, 80, 40), (250, 190, 90), (20, 40, 60)])
    light = np.linspace(0.3, 1, 320)[None, :, None]
    return encoded(Image.fromarray((np.repeat(bands, 60, axis=0)[:, None] * light).astype(np.uint8)))


@pytest.fixture(scope="session")
def image(sunset: str) -> dict[str, Any]:
    """A unit whose reference is an image, strong enough to be seen."""
    return {"purpose": "image", "image": sunset, "adapter": PLUS, "weight": 0.8}


def fitting(unit: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The unit with the adapter of its kind for the checkpoint that the settings load."""
    names = {PLUS: "ip-adapter-plus_sdxl_vit-h", "ip-adapter-faceid_sd15": "ip-adapter-faceid_sdxl"}
    return {**unit, "adapter": names[unit["adapter"]]} if settings == SDXL else unit


@pytest.mark.parametrize("adapter", LABELS)
def test_every_layout_draws(server: Server, image: dict[str, Any], adapter: str) -> None:
    settings = SDXL if "sdxl" in adapter else {}
    drawn = clean(server.txt2img({**image, "adapter": adapter}, **settings))
    assert difference(clean(server.txt2img(**settings)), drawn) > 5
    assert f"FaceID 0: {adapter} ({LABELS[adapter]})" in drawn.log
    assert "1 image" in drawn.log


@pytest.mark.parametrize("name", PASSES)
def test_off_is_off_in_every_pass(server: Server, image: dict[str, Any], name: str) -> None:
    settings = PASSES[name]
    unit = fitting(image, settings)
    plain, drawn = clean(server.txt2img(**settings)), clean(server.txt2img(unit, **settings))
    assert all(np.any(a != b) for a, b in zip(plain.images, drawn.images, strict=True)), "a picture without the image"
    assert difference(plain, drawn) > 5
    for off in ({"weight": 0}, {"enabled": False}):
        assert clean(server.txt2img({**unit, **off}, **settings)).png == plain.png
    assert server.left_in_the_unet() == {"hooks": 0, "networks": []}


def test_in_img2img_and_on_a_masked_part(server: Server, image: dict[str, Any], photo: str) -> None:
    mask = Image.new("L", (512, 512))
    mask.paste(255, (256, 0, 512, 512))
    for more in ({}, {"mask": encoded(mask), "inpaint_full_res": True, "inpainting_fill": 1}):
        settings = {"init_images": [photo], "denoising_strength": 0.7, **more}
        server.img2img(**settings)  # the WebUI encodes the picture with the random state that the job before left
        plain, drawn = clean(server.img2img(**settings)), clean(server.img2img(image, **settings))
        assert difference(plain, drawn) > 3
        assert clean(server.img2img({**image, "weight": 0}, **settings)).png == plain.png


def test_each_pass_of_hires_fix_alone(server: Server, image: dict[str, Any]) -> None:
    plain = clean(server.txt2img(**HIRES))
    drawn = {which: clean(server.txt2img({**image, "hires": which}, **HIRES)) for which in ("both", "first", "hires")}
    pictures = [plain, *drawn.values()]
    assert all(difference(a, b) > 0 for i, a in enumerate(pictures) for b in pictures[:i])


@pytest.mark.parametrize("name", ["txt2img", "batch 2 x 2", "hires fix", "SDXL"])
def test_with_a_face_in_one_job(server: Server, image: dict[str, Any], person: dict[str, Any], name: str) -> None:
    """Both act, in either order, and each alone is another picture."""
    settings = PASSES[name]
    one, other = fitting(image, settings), fitting(person, settings)
    both = clean(server.txt2img(one, other, **settings))
    assert difference(both, clean(server.txt2img(other, one, **settings))) <= 1
    assert "FaceID 0: " in both.log
    assert "FaceID 1: " in both.log
    for alone in (one, other):
        assert difference(both, clean(server.txt2img(alone, **settings))) > 0
    off = clean(server.txt2img({**one, "weight": 0}, other, **settings))
    assert off.png == clean(server.txt2img({**one, "enabled": False}, other, **settings)).png


def test_in_regions_with_a_face(server: Server, image: dict[str, Any], person: dict[str, Any]) -> None:
    """One step, wide: the image changes its half most (convolutions carry some over), and two halves are the whole."""
    left, right = ({**image, "region": side, "feather": 0} for side in ("left", "right"))
    assert difference(clean(server.txt2img(left, right)), clean(server.txt2img(image))) <= 1
    wide = {"width": 256, "steps": 1}
    plain, drawn = clean(server.txt2img(**wide)), clean(server.txt2img(right, **wide))
    change = np.abs(plain.images[0].astype(float) - drawn.images[0]).mean(axis=(0, 2))
    assert change[192:].mean() > 1.5 * change[:64].mean()
    beside = clean(server.txt2img({**person, "region": "left"}, right))
    assert difference(beside, clean(server.txt2img({**person, "region": "left"}))) > 0
    assert difference(beside, clean(server.txt2img(right))) > 0


def test_images_of_a_batch_and_ways_to_combine(server: Server, image: dict[str, Any], photo: str, sunset: str) -> None:
    several = {key: value for key, value in image.items() if key != "image"} | {"images": [sunset, photo]}
    batch = clean(server.txt2img({**several, "batch": "one each"}, batch_size=2))
    for at, one in enumerate((sunset, photo)):
        alone = clean(server.txt2img({**image, "image": one}, seed=7 + at))
        assert np.abs(batch.images[at].astype(int) - alone.images[0]).max() <= 2
    drawn = {
        how: clean(server.txt2img({**several, "combine": how}))
        for how in ("average", "tokens", "concatenate", "add", "subtract")
    }
    for how, one in drawn.items():
        for other in [other for name, other in drawn.items() if name < how]:
            assert difference(one, other) > 0, how


def test_weight_types_negatives_noise_and_steps_change_the_picture(
    server: Server, image: dict[str, Any], photo: str
) -> None:
    changes: list[dict[str, Any]] = [
        {"weight_type": "style transfer"}, {"weight_type": "composition"}, {"negative_images": [photo]}, {"noise": 0.5},
        {"end": 0.5}, {"start": 0.5}, {"image_crop": "padded"}, {"image_crop": "whole"},
    ]  # fmt: skip
    drawn = [clean(server.txt2img(image)), *(clean(server.txt2img({**image, **change})) for change in changes)]
    assert all(difference(a, b) > 0 for i, a in enumerate(drawn) for b in drawn[:i])


@pytest.fixture
def saved(server: Server, sunset: str, photo: str) -> Iterator[None]:
    """A saved image and a saved person."""
    for body in ({"name": "Sunset", "image": sunset, "purpose": "image"}, {"name": "Eileen", "image": photo}):
        answer = server.post("/ip-adapter-faceid/faces", body)
        assert answer.status == 200, answer.body
    yield
    for path in (server.data / "models" / "faceid" / "faces").glob("*"):
        path.unlink()


@pytest.mark.usefixtures("saved")
def test_tags_draw_what_units_draw(server: Server, image: dict[str, Any], person: dict[str, Any]) -> None:
    named = {"purpose": "image", "person": "Sunset", "adapter": PLUS}
    tag = "<image:Sunset:0.6:adapter=ip-adapter-plus_sd15>"
    called = clean(server.txt2img(prompt=f"a person {tag}"))
    assert difference(called, clean(server.txt2img({**named, "weight": 0.6}))) == 0
    assert difference(called, clean(server.txt2img({**image, "weight": 0.6}))) == 0, "what was saved is what was seen"
    (text,) = called.info["infotexts"]
    assert tag in text
    assert "purpose: image" in text
    face = "<faceid:Eileen:0.8:adapter=ip-adapter-faceid_sd15>"
    both = clean(server.txt2img(prompt=f"a person {face} {tag}"))
    eileen = {"person": "Eileen", "adapter": person["adapter"], "weight": 0.8}
    assert difference(both, clean(server.txt2img(eileen, {**named, "weight": 0.6}))) <= 1
    for prompt in ("a person <image:Sunset:0.6>", f"a person {tag}"):
        assert "FaceID tag 0: ip-adapter-plus_sd15 (IP-Adapter Plus)" in clean(server.txt2img(prompt=prompt)).log


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("a person <image:Eileen:0.6>", "that is a saved person. Write <faceid:Eileen:0.8>"),
        ("a person <image:Sunst>", "Did you mean <image:Sunset:0.8>?"),
        ("a person <image:Sunset:0.6:adapter=ip-adapter-faceid_sd15>", "Prompt tag 0 (Sunset)"),
    ],
)
def test_a_wrong_tag_ends_the_job_with_a_sentence(server: Server, prompt: str, sentence: str) -> None:
    answer = server.txt2img(prompt=prompt)
    assert answer.status == 422, answer.body
    assert sentence in answer.body["detail"]
    assert "Traceback" not in answer.log


def test_a_plot_over_fields_of_an_image(server: Server, image: dict[str, Any]) -> None:
    info = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/sdapi/v1/script-info", timeout=60).read()
    (plot,) = [one for one in json.loads(info) if one["name"] == "x/y/z plot" and not one["is_img2img"]]
    axes = plot["args"][0]["choices"]
    crop, weight = axes.index("[FaceID 0] Image crop"), axes.index("[FaceID 0] Identity weight")
    values = [crop, "", ["square", "whole"], weight, "0,0.8", [], 0, "", []]
    arguments = [*values, False, True, False, True, False, False, False, 0, False]
    grid = clean(server.txt2img(image, script_name="x/y/z plot", script_args=arguments))
    cells = [(crop, weight) for weight in (0, 0.8) for crop in ("square", "whole")]
    for cell, (crop, weight) in zip(grid.images[-4:], cells, strict=True):
        alone = clean(server.txt2img({**image, "image_crop": crop, "weight": weight}))
        assert np.array_equal(cell, alone.images[0]), (crop, weight)


@pytest.mark.not_in("forge", why="its API answers any `infotext` with an error of its own")
def test_metadata_bring_the_unit_back_by_api(server: Server, image: dict[str, Any]) -> None:
    text = clean(server.txt2img({**image, "weight_type": "style transfer"})).info["infotexts"][0]
    for part in ("purpose: image", "weight type: style transfer", "variant: ip_adapter_plus"):
        assert part in text or part.replace(" ", "_", 1) in text, text
    again = clean(server.txt2img(infotext=text))
    assert "FaceID 0 is enabled but has no" in again.log


def test_an_adapter_for_the_other_purpose_is_refused_or_said(
    server: Server, image: dict[str, Any], person: dict[str, Any]
) -> None:
    sentences = {
        "ip-adapter-faceid_sd15 reads the person in its pictures.": {**image, "adapter": "ip-adapter-faceid_sd15"},
        "ip-adapter-plus_sd15 reads its pictures as they are, whoever is in them.": {**person, "adapter": PLUS},
    }
    for sentence, unit in sentences.items():
        answer = server.txt2img(unit)
        assert "Traceback" not in answer.log
        assert sentence in answer.log + answer.sentence


def test_a_missing_or_another_encoder_is_a_sentence(server: Server, image: dict[str, Any], photo: str) -> None:
    """Another encoder's file under the name is as good as none; put back, it draws again."""
    path = server.data / "models" / "clip_vision" / ENCODERS["clip_vit_h"]
    away = path.with_suffix(".away")
    before = clean(server.txt2img(image)).png
    fresh = {**image, "image": encoded(Image.new("RGB", (64, 64), (90, 140, 30)))}
    path.rename(away)
    try:
        missing = server.txt2img(fresh)
        path.write_bytes((path.parent / ENCODERS["clip_vit_bigg"]).read_bytes())
        another = server.txt2img(fresh)
    finally:
        away.replace(path)
    for answer in (missing, another):
        assert answer.status != 200
        assert "CLIP ViT-H" in answer.sentence
        assert "Unit 0" in answer.sentence
        assert "Traceback" not in answer.log
    assert clean(server.txt2img(image)).png == before


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, webui_dir: Path, data_dir: Path) -> Iterator[Server]:
    """Another WebUI, with sd-webui-controlnet."""
    if "sd-webui-controlnet" not in checkouts():
        pytest.skip("FACEID_WEBUI_EXTENSIONS names no checkout of sd-webui-controlnet: nothing was tested beside it")
    data = tmp_path_factory.mktemp("beside")
    put_models(data, data_dir)
    put_extensions(data, "sd-webui-faceid", [checkouts()["sd-webui-controlnet"]])
    server = Server(webui_dir, data)
    server.start("--ckpt", str(data / "models/Stable-diffusion/mini_sd15.safetensors"))
    yield server
    server.stop()


@pytest.mark.parametrize("theirs", [CONTROL, FACEID], ids=["ControlNet", "its own IP-Adapter"])
@pytest.mark.parametrize("settings", [{}, HIRES], ids=["txt2img", "hires fix"])
def test_beside_controlnet(
    beside: Server, image: dict[str, Any], data_folder: Path, theirs: dict[str, Any], settings: dict[str, Any]
) -> None:
    """The image acts beside a unit of ControlNet, that unit beside the image, and off is the plain picture's bytes."""
    named = named_pictures(data_folder / "photos")
    unit: dict[str, Any] = {**theirs}
    for key in ("image", "ipadapter_input"):
        if key in unit:
            unit[key] = named[unit[key]] if key == "image" else [named[one] for one in unit[key]]
    plain, ours = drawn(beside, settings), drawn(beside, settings, image)
    them, both = drawn(beside, settings, theirs=unit), drawn(beside, settings, image, theirs=unit)
    assert difference(them, both) > 0
    assert difference(ours, both) > 0
    assert difference(them, plain) > 0
    assert drawn(beside, settings, {**image, "weight": 0}, theirs=unit).png == them.png
    assert drawn(beside, settings, {**image, "enabled": False}).png == plain.png


def drawn(
    server: Server, settings: dict[str, Any], *units: dict[str, Any], theirs: dict[str, Any] | None = None
) -> Answer:
    """A job beside ControlNet, which adds its maps to the pictures: they are left out."""
    scripts = {"IP-Adapter FaceID": {"args": list(units)}} if units else {}
    job = {
        "prompt": "a person", "seed": 7, "steps": 3, "width": 128, "height": 128, "cfg_scale": 5,
        "sampler_name": "Euler", **settings, "alwayson_scripts": {**scripts, **(controlnet(theirs) if theirs else {})},
    }  # fmt: skip
    answer = server.post("/sdapi/v1/txt2img", job)
    assert answer.status == 200, answer.body
    assert not trouble(answer.log), answer.log
    return Answer(answer.status, {**answer.body, "images": answer.body["images"][:1]}, answer.log)
