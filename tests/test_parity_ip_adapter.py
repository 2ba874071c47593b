"""IP-Adapter image prompts: diffusers' `load_ip_adapter` is the oracle, from the image's pixels to the prediction.

diffusers prepares the image embeds itself (CLIPImageProcessor, `prepare_ip_adapter_image_embeds`), with the same random
encoder; nothing else is shared.
"""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import IMAGE_FILES, SD15, SDXL, image_parts_of, write
from contributions import contribution
from oracle import load_pipeline
from parity import SCALE, Case, Measure, World, apart, put_zeros_for_uncond
from PIL import Image
from torch import Tensor, nn
from unets import call, inputs

from lib_faceid.effects.bank import forget_all
from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.effects.lora import merge_lora
from lib_faceid.encoders.clip_vision import ClipVision, load_clip_vision
from lib_faceid.encoders.features import FeatureKey
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.pictures.requested import BASE64_ONLY
from lib_faceid.references.images import join_images
from lib_faceid.references.negative import Negative
from lib_faceid.references.reference import Features, Reference
from lib_faceid.units.layer_weights import LayerWeights
from lib_faceid.units.unit import Photo, Unit

pytest.importorskip("diffusers", reason="diffusers is the oracle")
pytest.importorskip("peft", reason="diffusers needs peft for the adapters' LoRA")

TOLERANCE = 1e-4  # max abs, float32
TOLD_APART = 1e-2
BASE, PLUS, FULL = "ip-adapter_sd15", "ip-adapter-plus_sd15", "ip-adapter-full-face_sd15"


def picture(seed: int) -> Image.Image:
    """An image that is no square: what is cut off shows."""
    small = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    return Image.fromarray(small).resize((360, 240), Image.Resampling.BICUBIC)


@lru_cache
def as_text(seed: int) -> str:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def nothing_here() -> Any:
    raise AssertionError("no face was to be looked for")


class Images(World):
    """Adapters, encoders, and the oracle: one at a time, as it is a whole UNet."""

    def __init__(self, folder: Path, encoders: dict[str, Path]) -> None:
        super().__init__(folder)
        self._encoders = encoders
        self._oracle: tuple[str, Any] | None = None

    @lru_cache  # noqa: B019 - lives as long as the module
    def image_adapter(self, name: str) -> Adapter:
        return load_adapter(write(image_parts_of(name), self._folder / f"{name}.safetensors"))

    @lru_cache  # noqa: B019
    def encoder(self, name: str) -> ClipVision:
        return load_clip_vision(self._encoders[name], encoder=name)

    def reference(self, name: str, seeds: Sequence[int] = (1,), combine: str = "average") -> Reference:
        """Return images as a unit's are read."""
        unit = Unit(
            enabled=True, purpose="image", images=tuple(Photo(as_text(seed)) for seed in seeds), combine=combine
        )
        keys = [read.key for read in self.image_adapter(name).variant.reads]
        encoders = {key: self.encoder(key.encoder) for key in keys}
        return join_images(unit, encoders, "square", BASE64_ONLY, nothing_here).identity

    def image(self, name: str, seeds: Sequence[int] = (1,), combine: str = "average", **more: Any) -> Contribution:
        return contribution(self.image_adapter(name), [self.reference(name, seeds, combine)], SCALE, **more)

    def host(self, name: str, kind: str) -> nn.Module:
        return self.unet("sdxl" if IMAGE_FILES[name][1] == SDXL else kind)

    def oracle(self, name: str) -> Any:
        if self._oracle is None or self._oracle[0] != name:
            pipeline = load_pipeline(self.host(name, "diffusers"), [image_parts_of(name)])
            self._oracle = name, self.seeing(pipeline, name)
        return self._oracle[1]

    def seeing(self, pipeline: Any, name: str) -> Any:
        from transformers import CLIPImageProcessor

        (read,) = self.image_adapter(name).variant.reads
        pipeline.image_encoder, pipeline.feature_extractor = (
            self.encoder(read.key.encoder)._model,  # the module of transformers itself
            CLIPImageProcessor(),
        )
        return pipeline

    def expected(self, name: str, seeds: Sequence[int] = (1,), scale: Any = SCALE) -> Tensor:
        """Return what diffusers predicts for an uncond and a cond row."""
        pipeline = self.oracle(name)
        pipeline.set_ip_adapter_scale(scale)
        embeds = embeds_of(pipeline, seeds)
        return call(pipeline.unet, inputs(IMAGE_FILES[name][1]), added_cond_kwargs={"image_embeds": embeds})


@torch.no_grad()
def embeds_of(pipeline: Any, seeds: Sequence[int]) -> list[Tensor]:
    return pipeline.prepare_ip_adapter_image_embeds([[picture(seed) for seed in seeds]], None, "cpu", 1, True)


def ours(unet: nn.Module, *contributions: Contribution) -> Tensor:
    with inject(unet, contributions) as injection:
        injection.set_rows((0, 1))
        return call(unet, inputs(contributions[0].effect.weights.cross_attention_dim))


@pytest.fixture(scope="module")
def world(miniature_clip: Path, miniature_bigg: Path) -> Iterator[Images]:
    encoders = {"clip_vit_h": miniature_clip, "clip_vit_bigg": miniature_bigg}
    with tempfile.TemporaryDirectory(prefix="faceid-parity-") as folder, torch.random.fork_rng():
        yield Images(Path(folder), encoders)


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """A wrong control must not get the right keys and values that an earlier test has left."""
    forget_all()


@pytest.mark.parametrize("name", IMAGE_FILES)
def test_same_picture_as_diffusers(world: Images, name: str, measure: Measure) -> None:
    variant, cross_dim, _ = IMAGE_FILES[name]
    assert world.image_adapter(name).variant.id == variant
    expected = world.expected(name)
    for kind in ("ldm", "diffusers") if cross_dim == SD15 else ("sdxl",):
        unet = world.host(name, kind)
        got = ours(unet, world.image(name))
        effect = (got - call(unet, inputs(cross_dim))).abs().amax(dim=(1, 2, 3))
        measure(difference=apart(got, expected), uncond_effect=effect[0].item(), effect=effect[1].item())
        assert apart(got, expected) < TOLERANCE, kind
        assert effect.min() > TOLD_APART, "an adapter without an effect proves nothing"


# Each control is wrong in one way, and the same comparison must tell it apart.


def with_features(world: Images, name: str, change: Callable[[FeatureKey, Features], Features]) -> Contribution:
    right = world.reference(name)
    changed = replace(right, features={key: change(key, one) for key, one in right.features.items()})
    return contribution(world.image_adapter(name), [changed], SCALE)


def test_another_layer_of_the_encoder_is_told_apart(world: Images, measure: Measure) -> None:
    from transformers import CLIPImageProcessor

    pixels: Tensor = CLIPImageProcessor()(picture(1), return_tensors="pt").pixel_values
    with torch.no_grad():
        layers = world.encoder("clip_vit_h")._model(pixels, output_hidden_states=True).hidden_states

    def from_layer(number: int) -> float:
        wrong = with_features(world, PLUS, lambda _, one: one._replace(values=layers[number].float()))
        return apart(ours(world.unet("ldm"), wrong), world.expected(PLUS))

    found = {"last": from_layer(-1), "penultimate": from_layer(-2), "first": from_layer(-3)}
    measure(**found)
    assert found["penultimate"] < TOLERANCE
    assert min(found["last"], found["first"]) > 10 * TOLERANCE


@pytest.mark.parametrize("name", [BASE, PLUS, FULL])
def test_normalised_features_are_told_apart(world: Images, name: str, measure: Measure) -> None:
    def normalised(_: FeatureKey, one: Features) -> Features:
        return one._replace(values=nn.functional.normalize(one.values, dim=-1))

    got, expected = ours(world.unet("ldm"), with_features(world, name, normalised)), world.expected(name)
    measure(cond=apart(got[1], expected[1]), uncond=apart(got[0], expected[0]))
    assert apart(got[1], expected[1]) > 10 * TOLERANCE
    assert apart(got[0], expected[0]) < TOLERANCE


@pytest.mark.parametrize("name", [BASE, PLUS, FULL])
def test_zero_tokens_as_uncond_are_told_apart(
    world: Images, name: str, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_zeros_for_uncond(monkeypatch)
    got, expected = ours(world.unet("ldm"), world.image(name)), world.expected(name)
    measure(uncond=apart(got[0], expected[0]), cond=apart(got[1], expected[1]))
    assert apart(got[0], expected[0]) > 10 * TOLERANCE
    assert apart(got[1], expected[1]) < TOLERANCE


@pytest.mark.parametrize("name", [PLUS, FULL])
def test_zeros_for_hidden_states_of_zero_pixels_are_told_apart(world: Images, name: str, measure: Measure) -> None:
    wrong = with_features(world, name, lambda _, one: one._replace(blank=torch.zeros_like(one.blank)))
    got, expected = ours(world.unet("ldm"), wrong), world.expected(name)
    measure(uncond=apart(got[0], expected[0]), cond=apart(got[1], expected[1]))
    assert apart(got[0], expected[0]) > 10 * TOLERANCE
    assert apart(got[1], expected[1]) < TOLERANCE


# ----------------------------------------------------------------------------------------------- style, composition
# The examples of diffusers' documentation for SDXL, and what the same blocks are in SD 1.5.
STYLE, LAYOUT = {"up": {"block_0": [0.0, SCALE, 0.0]}}, {"down": {"block_2": [0.0, SCALE]}}


@pytest.mark.parametrize(
    ("weight_type", "scale"),
    [("style transfer", STYLE), ("composition", LAYOUT), ("style and composition", {**STYLE, **LAYOUT})],
)
def test_weight_types_are_diffusers_scales_by_block(
    world: Images, weight_type: str, scale: dict[str, Any], measure: Measure
) -> None:
    name = "ip-adapter_sdxl_vit-h"
    expected, even = world.expected(name, scale=scale), world.expected(name)
    got = ours(world.unet("sdxl"), world.image(name, layers=LayerWeights(weight_type)))
    measure(difference=apart(got, expected), from_linear=apart(got, even))
    assert apart(got, expected) < TOLERANCE
    assert apart(got, even) > TOLD_APART


# ------------------------------------------------------------------------------------------------ a person and an image
@pytest.mark.parametrize("name", [BASE, PLUS])
def test_a_person_and_an_image_at_once(world: Images, name: str, measure: Measure) -> None:
    case = Case("faceid")
    pipeline = load_pipeline(world.unet("diffusers"), [world.parts(case.key), image_parts_of(name)])
    pipeline.set_ip_adapter_scale([SCALE, 0.5])
    pipeline.set_adapters(["faceid_0"], adapter_weights=[0.6])
    vectors = nn.functional.normalize(case.person.id_embeddings, dim=-1)
    person = torch.stack([torch.zeros_like(vectors), vectors])
    (image,) = embeds_of(world.oracle(name), (1,))
    expected = call(pipeline.unet, inputs(), added_cond_kwargs={"image_embeds": [person, image]})
    both = world.contribution(case), contribution(world.image_adapter(name), [world.reference(name)], 0.5)
    for kind in ("ldm", "diffusers"):
        unet = world.unet(kind)
        with ExitStack() as stack:
            stack.enter_context(merge_lora(unet, world.adapter(case), 0.6))
            got, turned, alone = ours(unet, *both), ours(unet, *both[::-1]), ours(unet, both[0])
        measure(difference=apart(got, expected), order=apart(turned, expected), image_effect=apart(alone, expected))
        assert max(apart(got, expected), apart(turned, expected)) < TOLERANCE
        assert apart(alone, expected) > TOLD_APART


# ------------------------------------------------------------------------------------------------------- several images
@pytest.mark.parametrize("name", [BASE, PLUS, FULL])
def test_concatenated_images_are_diffusers_list_of_images(world: Images, name: str, measure: Measure) -> None:
    expected, first = world.expected(name, (1, 2, 3)), world.expected(name)
    got = ours(world.unet("ldm"), world.image(name, (1, 2, 3), "concatenate"))
    measure(difference=apart(got, expected), from_one=apart(got, first))
    assert apart(got, expected) < TOLERANCE
    assert apart(got, first) > 10 * TOLERANCE


@pytest.mark.parametrize("name", [BASE, PLUS])
def test_averaged_images_are_diffusers_with_averaged_embeds(world: Images, name: str, measure: Measure) -> None:
    pipeline = world.oracle(name)
    pipeline.set_ip_adapter_scale(SCALE)
    (embeds,) = embeds_of(pipeline, (1, 2, 3))  # [2, images, ...]
    mean = embeds.mean(dim=1, keepdim=True)
    expected = call(pipeline.unet, inputs(), added_cond_kwargs={"image_embeds": [mean]})
    got = ours(world.unet("ldm"), world.image(name, (1, 2, 3)))
    measure(difference=apart(got, expected), from_one=apart(got, world.expected(name)))
    assert apart(got, expected) < TOLERANCE
    assert apart(got, world.expected(name)) > 10 * TOLERANCE


# ------------------------------------------------------------------------------------------------ the negative side
@pytest.mark.parametrize("name", [BASE, PLUS])
def test_a_negative_image_is_diffusers_with_its_embeds_as_uncond(world: Images, name: str, measure: Measure) -> None:
    pipeline = world.oracle(name)
    pipeline.set_ip_adapter_scale(SCALE)
    (embeds,), (other,) = embeds_of(pipeline, (1,)), embeds_of(pipeline, (2,))
    expected = call(pipeline.unet, inputs(), added_cond_kwargs={"image_embeds": [torch.stack([other[1], embeds[1]])]})
    got = ours(world.unet("ldm"), world.image(name, negative=Negative(world.reference(name, (2,)))))
    plain = ours(world.unet("ldm"), world.image(name))
    measure(difference=apart(got, expected), uncond=apart(got[0], plain[0]), cond=apart(got[1], plain[1]))
    assert apart(got, expected) < TOLERANCE
    assert apart(got[0], plain[0]) > 10 * TOLERANCE
    assert torch.equal(got[1], plain[1])


@pytest.mark.parametrize("name", [BASE, PLUS, FULL])
def test_noise_changes_uncond_only(world: Images, name: str, measure: Measure) -> None:
    plain = ours(world.unet("ldm"), world.image(name))
    got = ours(world.unet("ldm"), world.image(name, negative=Negative(noise=0.5)))
    measure(uncond=apart(got[0], plain[0]), cond=apart(got[1], plain[1]))
    assert apart(got[0], plain[0]) > 10 * TOLERANCE
    assert torch.equal(got[1], plain[1])
