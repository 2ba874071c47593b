"""PhotoMaker gives what its authors' formulas give: rows of photos, fused with a text, in whole pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import photomaker_oracle as oracle
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor

from lib_faceid.encoders.features import ARCFACE, PIXELS
from lib_faceid.errors import FaceIDError, MismatchError, UnitError
from lib_faceid.faces.analyser import load_face_analyser
from lib_faceid.faces.packs import require_face_pack
from lib_faceid.hosts.diffusers.pipeline import Pipeline, load_pipeline
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature import write_photomaker
from lib_faceid.models.checkpoint import read_whole
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Photo, Unit

PROMPT = "a photo of a man img wearing a hat, city"
REQUEST = Request(PROMPT, negative="blurry", size_px=(64, 64), steps=2, cfg=5, seed=3)
VERSIONS = (1, 2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("photomaker")
    return {version: write_photomaker(folder / f"photomaker-v{version}.bin", version) for version in VERSIONS}


@pytest.fixture(scope="module")
def pipeline(miniature_checkpoint: Callable[[str], Path]) -> Pipeline:
    return load_pipeline(miniature_checkpoint("sdxl"))


@pytest.fixture(scope="module")
def photos(data_folder: Path) -> list[Path]:
    return [data_folder / "photos" / name for name in ("astronaut.png", "Luciano.png")]


@pytest.fixture(scope="module")
def models(files: dict[int, Path], face_models: Path) -> Models:
    def missing(*_: object) -> NoReturn:
        raise AssertionError("nobody needs it")

    pack = require_face_pack(face_models).detector.parent
    somebody = Identity(torch.randn(1, 512) * 20)
    return Models(lambda: list(files.values()), lambda: load_face_analyser(pack), missing, lambda _: somebody)


@pytest.fixture(scope="module")
def unit(photos: list[Path]) -> Unit:
    images = tuple(Photo(path) for path in photos)
    return Unit(enabled=True, images=images, variant="photomaker_v1", weight=1.0, lora=0.0, start=0.5)


def drawn(pipeline: Pipeline, models: Models, *units: Unit, request: Request = REQUEST) -> torch.Tensor:
    """The latents of the finished picture."""
    with pipeline.attached(Job(units, models)) as attached:
        return pipeline.sketch(request, request.steps, attached).latents


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().mean())


def halves(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    tensors = read_whole(path).tensors
    encoder, lora = (
        {key.removeprefix(half): one for key, one in tensors.items() if key.startswith(half)}
        for half in ("id_encoder.", "lora_weights.")
    )
    return encoder, lora


# ------------------------------------------------------------------------------------------------------------ formulas
@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
@pytest.mark.parametrize("version", VERSIONS)
def test_rows_and_fuse_are_the_authors(tmp_path: Path, version: int, suffix: str) -> None:
    path = write_photomaker(tmp_path / f"anything{suffix}", version, seed=5)
    adapter, (encoder, _) = load_adapter(path), halves(path)
    assert (adapter.variant.id, adapter.assumed, adapter.base) == (f"photomaker_v{version}", "", "SDXL")
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(3, 3, 224, 224, generator=generator)
    vectors = torch.randn(3, 512, generator=generator) if version == 2 else None
    own = adapter.image_proj(pixels) if vectors is None else adapter.image_proj(vectors, pixels)
    assert own.shape == (3, version, 2048)
    expected = oracle.id_rows(encoder, pixels, vectors)
    torch.testing.assert_close(own.flatten(0, 1), expected, atol=2e-5, rtol=1e-5)
    rows = torch.randn(3 * version, 2048, generator=generator)
    torch.testing.assert_close(adapter.fused(rows, expected), oracle.fused(encoder, rows, expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("version", VERSIONS)
def test_photos_are_read_as_the_authors_read_them(
    models: Models, unit: Unit, files: dict[int, Path], photos: list[Path], version: int
) -> None:
    (prepared,) = Job([replace(unit, variant=f"photomaker_v{version}")], models).prepare_for(2048)
    (reference,) = prepared.references
    pictures = [Image.open(path).convert("RGB") for path in photos]
    pixels = CLIPImageProcessor()(pictures, return_tensors="pt").pixel_values
    torch.testing.assert_close(reference.features[PIXELS].values, pixels, atol=1e-6, rtol=0)
    vectors = None
    if version == 2:
        vectors = reference.features[ARCFACE].values
        assert vectors.norm(dim=1).min() > 5, "raw, and not of length 1"
    adapter = load_adapter(files[version])
    expected = oracle.id_rows(halves(files[version])[0], pixels, vectors)
    torch.testing.assert_close(adapter.encode_rows(reference), expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_picture_is_the_authors(
    pipeline: Pipeline, models: Models, unit: Unit, files: dict[int, Path], version: int
) -> None:
    """Their loop: text alone up to start_merge_step, the fused text after it, the LoRA in all of the steps."""
    unit = replace(unit, variant=f"photomaker_v{version}", lora=1.0)
    job = Job([unit], models)
    (prepared,) = job.prepare(pipeline.unet)
    encoder, lora = halves(files[version])
    features = prepared.references[0].features
    vectors = features[ARCFACE].values if version == 2 else None
    ids = oracle.id_rows(encoder, features[PIXELS].values, vectors)
    theirs = copy.copy(pipeline._diffusers)
    theirs.unet = copy.deepcopy(pipeline.unet)
    oracle.merge_lora(theirs.unet, lora, 1.0)
    embeds, pooled = oracle.encode_prompt(theirs, PROMPT, ids, encoder)
    start_merge_step = 0

    def merge(_pipeline: Any, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step + 1 <= start_merge_step:
            return {}
        plain = tensors["prompt_embeds"], tensors["add_text_embeds"]
        return {
            "prompt_embeds": torch.cat([plain[0][:1], embeds]),
            "add_text_embeds": torch.cat([plain[1][:1], pooled]),
        }

    expected = theirs(
        prompt=PROMPT.replace(" img", ""), negative_prompt="blurry", width=64, height=64, num_inference_steps=2,
        guidance_scale=5.0, generator=torch.Generator("cpu").manual_seed(3), output_type="latent",
        callback_on_step_end=merge, callback_on_step_end_tensor_inputs=["prompt_embeds", "add_text_embeds"],
    ).images  # fmt: skip
    own = drawn(pipeline, models, unit)
    torch.testing.assert_close(own, expected, atol=3e-4, rtol=0)
    for change in ({"weight": 1e-6}, {"lora": 0.0}):
        other = drawn(pipeline, models, replace(unit, **change))
        assert difference(own, other) > 3e-3, change


# ---------------------------------------------------------------------------------------------------------- the prompt
def test_the_trigger_is_put_in_or_placed_by_hand(
    pipeline: Pipeline, models: Models, unit: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hand = drawn(pipeline, models, unit)
    put_in = drawn(pipeline, models, unit, request=replace(REQUEST, prompt=PROMPT.replace(" img", "")))
    assert torch.equal(by_hand, put_in)
    assert "The person is written at 'man'" in capsys.readouterr().out


def test_each_setting_matters_and_weight_0_is_off(pipeline: Pipeline, models: Models, unit: Unit) -> None:
    request = replace(REQUEST, prompt=PROMPT.replace(" img", ""))
    with_person = drawn(pipeline, models, unit, request=request)
    plain = drawn(pipeline, models, request=request)
    before = {name: one.clone() for name, one in pipeline.unet.state_dict().items()}
    for change in ({"start": 0.0}, {"lora": 1.0}, {"images": unit.images[:1]}):
        other = drawn(pipeline, models, replace(unit, **change), request=request)
        assert difference(other, with_person) > 1e-3, change
    assert torch.equal(drawn(pipeline, models, replace(unit, weight=0.0), request=request), plain)
    assert all(torch.equal(one, before[name]) for name, one in pipeline.unet.state_dict().items())
    assert not pipeline.unet._forward_pre_hooks


def test_two_people_are_written_in_order(pipeline: Pipeline, models: Models, unit: Unit) -> None:
    request = replace(REQUEST, prompt="a man img beside a woman img")
    one, other = (replace(unit, images=(photo,), start=0.0) for photo in unit.images)
    both, swapped = (drawn(pipeline, models, *units, request=request) for units in ((one, other), (other, one)))
    assert difference(both, swapped) > 1e-3
    for prompt in ("a man and a woman", "a man img and a woman"):
        with pytest.raises(UnitError, match="a man img and a woman img"):
            drawn(pipeline, models, one, other, request=replace(REQUEST, prompt=prompt))


@pytest.mark.parametrize(
    ("prompt", "negative", "sentence"),
    [
        ("a house by the sea", "", "no word for a person that the trigger word 'img' could follow"),
        ("a man", "blurry, img", "The negative prompt has the trigger word 'img'"),
        ("img, a man", "", "follows no word"),
        ("a man, img", "", "follows no word"),
        ("a man img and a boy img", "", "twice, and there is one person"),
        ("word " * 75 + "man img", "", "The prompt is too long"),
        ("word " * 74 + "man img", "", "The prompt is too long"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(
    pipeline: Pipeline, models: Models, unit: Unit, prompt: str, negative: str, sentence: str
) -> None:
    with pytest.raises(UnitError, match=sentence):
        drawn(pipeline, models, unit, request=replace(REQUEST, prompt=prompt, negative=negative))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"region": "left"}, "the region 'left' cannot hold"),
        ({"weight_type": "style transfer"}, "Set the weight type to 'linear'"),
        ({"noise": 0.3}, "Leave 'Less like' and the identity noise out"),
        ({"images": (), "person": "Ann"}, "a saved person has none"),
    ],
)
def test_settings_that_a_text_cannot_carry(models: Models, unit: Unit, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FaceIDError, match=f"^Unit 0: .*{sentence}"):
        Job([replace(unit, **change)], models).prepare_for(2048)


def test_bases_and_hosts(models: Models, unit: Unit) -> None:
    named = replace(unit, adapter="photomaker-v1", variant="Auto")
    with pytest.raises(MismatchError, match=r"photomaker-v1 is for SDXL, but the loaded checkpoint is SD 1\.5"):
        Job([named], models).prepare_for(768)
    with pytest.raises(FaceIDError, match="needs changed rows of the text conditioning, which a test cannot apply"):
        Job([named], replace(models, carries=frozenset({"tokens", "lora"}), host="a test")).prepare_for(2048)


def test_a_step_costs_nothing_more(pipeline: Pipeline, models: Models, unit: Unit) -> None:
    """The person is in the text, which is as long as it was."""
    from torch.utils.flop_counter import FlopCounterMode

    def each_step(*units: Unit) -> int:
        found: list[int] = []
        for steps in (1, 2):
            with FlopCounterMode(display=False) as counter:
                drawn(pipeline, models, *units, request=replace(REQUEST, steps=steps))
            found.append(counter.get_total_flops())
        return found[1] - found[0]

    unit = replace(unit, start=0.0)
    drawn(pipeline, models, unit)  # photos are read once
    assert each_step(unit) == each_step() > 0
