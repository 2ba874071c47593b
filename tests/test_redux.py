"""FLUX Redux: the encoder and the embedder give what transformers and diffusers give; files and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
from diffusers.pipelines.flux.pipeline_flux_prior_redux import FluxPriorReduxPipeline
from flux_mini import clip, siglip, write_redux, write_siglip
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import SiglipImageProcessor

from lib_faceid.encoders.clip_vision import load_clip_vision
from lib_faceid.encoders.crops import crop
from lib_faceid.encoders.features import SIGLIP, FeatureKey
from lib_faceid.errors import FaceIDError, FileError, MismatchError, MissingModelError, WrongFamilyError
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.methods.redux.network import redux_projection
from lib_faceid.miniature import write_adapter
from lib_faceid.references.negative import Negative
from lib_faceid.references.reference import Features, Reference
from lib_faceid.units.unit import Unit


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_redux(tmp_path_factory.mktemp("redux") / "flux1-redux-dev.safetensors")


@pytest.fixture(scope="module")
def adapter(file: Path) -> Adapter:
    return load_adapter(file)


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_siglip(tmp_path_factory.mktemp("siglip") / "sigclip_vision_patch14_384.safetensors")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    rows, columns = np.mgrid[:90, :160]
    return np.stack([rows * 2, columns, (rows * columns) % 256], axis=2).astype(np.uint8)


def reference(*seeds: int, **settings: Any) -> Reference:
    values = torch.stack([torch.randn(729, 1152, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    return Reference({SIGLIP: Features(values, torch.zeros(729, 1152))}, **settings)


# ------------------------------------------------------------------------------------------- the encoder, the embedder
def test_siglip_sees_what_transformers_sees(encoder_file: Path, photo: np.ndarray) -> None:
    with torch.no_grad():
        pixels = SiglipImageProcessor(size={"height": 384, "width": 384})(Image.fromarray(photo), return_tensors="pt")
        theirs = siglip()(pixels["pixel_values"]).last_hidden_state
    encoder = load_clip_vision(encoder_file, encoder="siglip_so400m")
    ours = encoder.encode([crop(photo, "whole", size_px=encoder.image_px)], "last")
    assert ours.shape == (1, *SIGLIP.shape)
    assert (ours - theirs).abs().max() <= 1e-5
    assert not encoder.blank("last").any()


def test_the_whole_siglip_with_its_text_half_will_do(encoder_file: Path, tmp_path: Path, photo: np.ndarray) -> None:
    more = {"text_model.embeddings.token_embedding.weight": torch.zeros(3, 1152), "logit_scale": torch.zeros(1)}
    save_file(load_file(encoder_file) | more, tmp_path / "model.safetensors")
    found = [
        load_clip_vision(path, encoder="siglip_so400m").encode([photo], "last")
        for path in (encoder_file, tmp_path / "model.safetensors")
    ]
    assert torch.equal(*found)


def test_another_encoder_is_refused_by_name(miniature_clip: Path, encoder_file: Path) -> None:
    with pytest.raises(WrongFamilyError, match=r"is CLIP ViT-H .* SigLIP so400m .*384 px\) is needed"):
        load_clip_vision(miniature_clip, encoder="siglip_so400m")
    with pytest.raises(WrongFamilyError, match="is SigLIP so400m"):
        load_clip_vision(encoder_file)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tokens_are_diffusers_to_the_bit(dtype: torch.dtype) -> None:
    theirs: Any = ReduxImageEncoder(redux_dim=16, txt_in_features=32)
    theirs.to(dtype)
    network, some = redux_projection(theirs.state_dict()), torch.randn(2, 9, 16)
    with torch.no_grad():
        assert torch.equal(network(some), theirs.float()(some).image_embeds)


def test_the_flow_of_one_image_is_diffusers(adapter: Adapter, encoder_file: Path, photo: np.ndarray) -> None:
    """Text first, then the image; the prior takes prompt embeds only where some text encoder is there."""
    state = adapter.image_proj_state
    embedder = ReduxImageEncoder()
    embedder.redux_up, embedder.redux_down = nn.Linear(1152, 16), nn.Linear(16, 4096)
    embedder.load_state_dict(dict(state))
    processor = SiglipImageProcessor(size={"height": 384, "width": 384})
    prior: Any = FluxPriorReduxPipeline(siglip(), processor, embedder, text_encoder=clip())
    text, pooled = torch.randn(1, 512, 4096), torch.randn(1, 768)
    made = prior(Image.fromarray(photo), prompt_embeds=text, pooled_prompt_embeds=pooled)
    theirs: Tensor = made.prompt_embeds
    encoder = load_clip_vision(encoder_file, encoder="siglip_so400m")
    values = encoder.encode([crop(photo, "whole", size_px=384)], "last")
    ours = adapter.encode_context(Reference({SIGLIP: Features(values, torch.zeros(729, 1152))}))
    assert theirs.shape == (1, 512 + 729, 4096)
    assert (ours.tokens - theirs[0, 512:]).abs().max() <= 1e-5
    assert torch.equal(theirs[0, :512], text[0])


@pytest.mark.parametrize(("detail", "count"), [(27, 729), (13, 169), (9, 81), (6, 36), (5, 25), (1, 1)])
def test_a_coarser_grid(adapter: Adapter, detail: int, count: int) -> None:
    whole = adapter.encode_context(reference(1)).tokens
    found = adapter.encode_context(reference(1), {"detail": detail}).tokens
    assert found.shape == (count, 4096)
    if detail == 9:  # the mean of 3 x 3 tokens, by hand
        expected = whole.view(9, 3, 9, 3, 4096).mean(dim=(1, 3)).flatten(0, 1)
        assert (found - expected).abs().max() <= 1e-5
    if detail == 1:
        assert (found[0] - whole.mean(0)).abs().max() <= 1e-5


def test_several_images_follow_one_another_as_strong_as_their_weights(adapter: Adapter) -> None:
    both = adapter.encode_context(reference(1, 2, weights=(1.0, 0.5)), {"detail": 9})
    alone = [adapter.encode_context(reference(seed), {"detail": 9}).tokens for seed in (1, 2)]
    assert torch.allclose(both.tokens, torch.cat(alone), atol=1e-6)
    assert both.weights.tolist() == [1.0] * 81 + [0.5] * 81
    mixed = adapter.encode_context(reference(1, 2, weights=(3.0, 1.0), tokens="average"), {"detail": 9})
    assert torch.allclose(mixed.tokens, 0.75 * alone[0] + 0.25 * alone[1], atol=1e-6)
    assert mixed.weights.tolist() == [1.0] * 81


# ------------------------------------------------------------------------------------------------- files and refusals
def test_a_file_is_known_by_all_of_its_tensors(file: Path, tmp_path: Path) -> None:
    adapter = load_adapter(file)
    assert (adapter.variant.id, adapter.base, adapter.purpose, adapter.assumed) == ("redux", "FLUX.1", "image", "")
    state = load_file(file)
    inside = tmp_path / "diffusion_pytorch_model.safetensors"
    save_file({f"image_embedder.{name}": tensor for name, tensor in state.items()}, inside)
    assert load_adapter(inside).variant.id == "redux"
    for wrong in (state | {"more": torch.zeros(1)}, {name: t for name, t in state.items() if "bias" not in name}):
        save_file(wrong, tmp_path / "wrong.safetensors")
        with pytest.raises(FileError, match="is not an adapter"):
            load_adapter(tmp_path / "wrong.safetensors")
    with pytest.raises(MismatchError, match="cannot be read as FaceID Plus v2"):
        load_adapter(file, "plusv2")


def test_there_is_no_negative_side(adapter: Adapter) -> None:
    for negative in (Negative(noise=0.1), Negative(reference(2))):
        with pytest.raises(MismatchError, match=r"FLUX.1 draws without a negative side, .*noise at 0"):
            adapter.effects([reference(1)], {}, negative)


def nothing_here(*_: object) -> Any:
    raise AssertionError("nothing of this was to be asked for")


def models_with(files: Sequence[Path], saved: Reference | None = None, **more: Any) -> Models:
    settings: dict[str, Any] = {"carries": frozenset({"tokens", "lora", "context"}), **more}
    return Models(lambda: list(files), nothing_here, nothing_here, lambda _: saved or reference(1), **settings)


def prepared(unit: dict[str, Any], models: Models, dim: int = 4096) -> Any:
    settings: dict[str, Any] = {"enabled": True, "purpose": "image", "person": "sea", **unit}
    return Job([Unit(**settings)], models).prepare_for(dim)[0]


def test_a_job_takes_it_and_says_what_it_is_not(file: Path) -> None:
    found = prepared({}, models_with([file]))
    assert (found.adapter.name, found.contribution, found.tokens) == ("flux1-redux-dev", None, None)
    assert found.summary("in all steps").endswith("weight 0.80 · detail 9 · in all steps · in the context · sea")
    assert any("not the identity of anybody" in note for note in found.notes)


REFUSED: list[tuple[dict[str, Any], int, dict[str, Any], str]] = [
    ({"adapter": "flux1-redux-dev"}, 768, {}, "is for FLUX.1, but the loaded checkpoint is SD 1.5"),
    ({"weight_type": "style transfer"}, 4096, {}, "FLUX.1 has none. Set weight_type to 'linear'"),
    ({"noise": 0.2}, 4096, {}, "without a negative side"),
    ({}, 4096, {"carries": frozenset({"tokens"}), "host": "Forge"},
     "needs tokens in a transformer's context, which Forge cannot apply"),
    ({}, 768, {}, "No IP-Adapter adapter for SD 1.5 was found (found: flux1-redux-dev (FLUX.1))"),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "dim", "more", "sentence"), REFUSED, ids=[one[3][:30] for one in REFUSED])
def test_refused_in_words(file: Path, unit: dict[str, Any], dim: int, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FaceIDError) as caught:
        prepared(unit, models_with([file], **more), dim)
    assert sentence in str(caught.value)


def test_people_are_refused_on_flux(file: Path, faceid_file: Path) -> None:
    with pytest.raises(
        MissingModelError, match=r"No adapter for people exists for FLUX\.1\. .* takes images: .*not the id"
    ):
        prepared({"purpose": "person", "images": ("aGk=",), "person": ""}, models_with([file]))
    with pytest.raises(MismatchError, match=r"is for SD 1\.5, but the loaded checkpoint is FLUX\.1"):
        prepared({"adapter": faceid_file.name}, models_with([file, faceid_file]))


def test_what_was_saved_without_siglip_is_refused(file: Path) -> None:
    clip = FeatureKey("clip_vit_h", "projected")
    saved = Reference({clip: Features(torch.zeros(1, 1024), torch.zeros(1024))})
    with pytest.raises(MismatchError, match=r"FLUX Redux, which reads .*siglip_so400m.* was made without"):
        prepared({}, models_with([file], saved))


@pytest.fixture
def faceid_file(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "ip-adapter-faceid_sd15.bin", "faceid", "sd15")
