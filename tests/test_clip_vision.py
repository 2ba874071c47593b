"""The image encoder gives what transformers' own classes give, from every layout, and refuses other encoders."""

from __future__ import annotations

import gc
import shutil
import sys
import time
import weakref
from contextlib import nullcontext
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from lib_faceid.encoders import clip_vision
from lib_faceid.encoders.clip_vision import Output, check_clip_vision, load_clip_vision, preprocess
from lib_faceid.encoders.features import FeatureKey
from lib_faceid.errors import FileError, MissingModelError, MissingPackageError, UnitError, WrongFamilyError
from lib_faceid.miniature import write_clip_vision
from lib_faceid.models.image_encoders import encoder_in

OUTPUTS: tuple[Output, ...] = ("penultimate", "projected")
Seen: TypeAlias = dict[Output, Tensor]


@pytest.fixture(scope="module")
def crop_rgb() -> np.ndarray:
    rows, columns = np.mgrid[:224, :224]
    return np.stack([rows, columns, (rows * columns) % 256], axis=2).astype(np.uint8)


@pytest.fixture(scope="module", params=["clip_vit_h", "clip_vit_bigg"])
def encoder(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it runs with both encoders."""
    return request.param


@pytest.fixture(scope="module")
def file(encoder: str, miniature_clip: Path, miniature_bigg: Path) -> Path:
    """The miniature of that encoder."""
    return {"clip_vit_h": miniature_clip, "clip_vit_bigg": miniature_bigg}[encoder]


@pytest.fixture(scope="module")
def tensors(file: Path) -> dict[str, Tensor]:
    return load_file(file)


@pytest.fixture(scope="module")
def seen(encoder: str, file: Path, crop_rgb: np.ndarray) -> Seen:
    """Both outputs of the miniature as it is."""
    clip = load_clip_vision(file, encoder=encoder)
    return {output: clip.encode([crop_rgb], output) for output in OUTPUTS}


@pytest.fixture(scope="module")
def theirs(encoder: str, tensors: dict[str, Tensor]) -> CLIPVisionModelWithProjection:
    """transformers' own class, with the sizes of the published configuration and the miniature's weights."""
    hidden_size, projection_dim = {"clip_vit_h": (1280, 1024), "clip_vit_bigg": (1664, 1280)}[encoder]
    config = CLIPVisionConfig(
        hidden_size=hidden_size,
        intermediate_size=tensors["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=2,
        num_attention_heads=16,
        projection_dim=projection_dim,
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
    )
    model = CLIPVisionModelWithProjection(config).eval()
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not missing
    assert set(unexpected) <= {"vision_model.embeddings.position_ids"}
    return model


# --------------------------------------------------------------------------------------------------------- equality
@pytest.mark.parametrize("size", [(224, 224), (300, 224), (112, 112), (500, 333), (37, 91)])
def test_preprocessing_is_that_of_transformers(size: tuple[int, int]) -> None:
    image_rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    expected = CLIPImageProcessor()(image_rgb, return_tensors="pt")["pixel_values"][0]
    assert torch.allclose(preprocess(image_rgb), expected, rtol=0, atol=1e-6)


def test_both_outputs_are_those_of_transformers(
    encoder: str, file: Path, crop_rgb: np.ndarray, theirs: CLIPVisionModelWithProjection
) -> None:
    crops = [crop_rgb, np.ascontiguousarray(crop_rgb[::-1])]
    clip = load_clip_vision(file, encoder=encoder)
    hidden, embeds = clip.encode(crops), clip.encode(crops, "projected")
    pixel_values = CLIPImageProcessor()(crops, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        output = theirs(pixel_values, output_hidden_states=True)
        normed_twice = theirs.vision_model.post_layernorm(output.hidden_states[-2])
        unnormed = theirs.visual_projection(output.last_hidden_state[:, 0])
    assert (hidden.shape, hidden.dtype) == ((2, *FeatureKey(encoder, "penultimate").shape), torch.float32)
    assert (embeds.shape, embeds.dtype) == ((2, *FeatureKey(encoder, "projected").shape), torch.float32)
    assert not hidden.requires_grad
    assert not embeds.requires_grad
    assert torch.allclose(hidden, output.hidden_states[-2], rtol=0, atol=2e-5)
    assert torch.allclose(embeds, output.image_embeds, rtol=0, atol=2e-5)
    for other in (output.hidden_states[-1], output.hidden_states[-3], normed_twice):
        assert not torch.allclose(hidden, other, rtol=0, atol=1e-2)
    for other in (unnormed, torch.nn.functional.normalize(output.image_embeds, dim=-1)):
        assert not torch.allclose(embeds, other, rtol=0, atol=1e-2)


def test_pixels_that_are_normalised_twice_are_noticed(
    encoder: str, file: Path, crop_rgb: np.ndarray, theirs: CLIPVisionModelWithProjection
) -> None:
    pixels = preprocess(crop_rgb)
    mean, std = (torch.tensor(values)[:, None, None] for values in (clip_vision.MEAN, clip_vision.STD))
    clip = load_clip_vision(file, encoder=encoder)
    with torch.no_grad():
        output = theirs(((pixels - mean) / std)[None], output_hidden_states=True)
    assert not torch.allclose(clip.encode([crop_rgb]), output.hidden_states[-2], rtol=0, atol=1e-2)
    assert not torch.allclose(clip.encode([crop_rgb], "projected"), output.image_embeds, rtol=0, atol=1e-2)


def test_blank_is_of_zeros_after_normalisation(encoder: str, file: Path, theirs: CLIPVisionModelWithProjection) -> None:
    clip = load_clip_vision(file, encoder=encoder)
    with torch.no_grad():
        expected = theirs(torch.zeros(1, 3, 224, 224), output_hidden_states=True).hidden_states[-2][0]
    assert torch.allclose(clip.blank(), expected, rtol=0, atol=2e-5)
    assert clip.blank() is clip.blank()
    black = clip.encode([np.zeros((224, 224, 3), np.uint8)])[0]
    assert not torch.allclose(clip.blank(), black, rtol=0, atol=1e-2)


def test_blank_image_embeds_are_zeros(encoder: str, file: Path) -> None:
    """As in diffusers: `uncond_image_enc_hidden_states = torch.zeros_like(image_embeds)`, not the embeds of zeros."""
    blank = load_clip_vision(file, encoder=encoder).blank("projected")
    assert torch.equal(blank, torch.zeros(FeatureKey(encoder, "projected").shape))


def test_red_is_not_blue(miniature_clip: Path, crop_rgb: np.ndarray) -> None:
    assert preprocess(np.full((224, 224, 3), (255, 0, 0), np.uint8))[0].min() > 1.9
    clip = load_clip_vision(miniature_clip)
    swapped = clip.encode([np.ascontiguousarray(crop_rgb[:, :, ::-1])])
    assert not torch.allclose(clip.encode([crop_rgb]), swapped, rtol=0, atol=1e-2)


def test_the_batch_and_a_hosts_autocast_make_no_difference(miniature_clip: Path, crop_rgb: np.ndarray) -> None:
    clip = load_clip_vision(miniature_clip)
    for output in OUTPUTS:
        alone = clip.encode([crop_rgb], output)
        with torch.autocast("cpu", torch.bfloat16):
            together = clip.encode([crop_rgb, crop_rgb], output)
        assert torch.equal(together, alone.expand_as(together))
    assert clip.encode([]).shape == (0, 257, 1280)
    assert clip.encode([], "projected").shape == (0, 1024)


# ---------------------------------------------------------------------------------------------------------- layouts
def renamed(tensors: dict[str, Tensor], layout: str) -> dict[str, Tensor]:
    if layout == "bare":
        return {name.removeprefix("vision_model."): tensor for name, tensor in tensors.items()}
    if layout == "prefixed":
        return {f"image_encoder.{name}": tensor for name, tensor in tensors.items()}
    if layout == "half":
        return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    if layout == "without position_ids":
        return {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
    text = {"text_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(8, 8), "logit_scale": torch.zeros(())}
    return tensors | text | {"text_model.embeddings.token_embedding.weight": torch.zeros(9, 8)}


@pytest.mark.parametrize(
    ("layout", "suffix"),
    [
        ("bare", ".safetensors"),
        ("prefixed", ".safetensors"),
        ("half", ".safetensors"),
        ("without position_ids", ".safetensors"),
        ("with a text model", ".safetensors"),
        ("with a text model", ".pth"),
    ],
)
def test_layouts(
    layout: str, suffix: str, encoder: str, tensors: dict[str, Tensor], seen: Seen, crop_rgb: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"clip{suffix}"
    save = torch.save if suffix == ".pth" else save_file
    save(renamed(tensors, layout), path)
    assert encoder_in(path) == encoder
    found = load_clip_vision(path, encoder=encoder)
    assert {parameter.dtype for parameter in found._model.parameters()} == {torch.float32}
    atol = 0.05 if layout == "half" else 0
    for output, expected in seen.items():
        assert torch.allclose(found.encode([crop_rgb], output), expected, rtol=0, atol=atol)
    clip_vision.unload()


def test_loading_draws_nothing_at_random(miniature_clip: Path) -> None:
    clip_vision.unload()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    load_clip_vision(miniature_clip)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_host_that_loads_a_checkpoint_meanwhile_does_no_harm(
    miniature_clip: Path, crop_rgb: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The WebUI puts a `load_state_dict` of its own into torch for that time, which knows no `assign`."""
    expected = load_clip_vision(miniature_clip).encode([crop_rgb])
    clip_vision.unload()
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda module, state_dict, strict=True: None)
    assert torch.equal(load_clip_vision(miniature_clip).encode([crop_rgb]), expected)
    clip_vision.unload()


def test_kept_until_unload(miniature_clip: Path) -> None:
    clip = load_clip_vision(miniature_clip)
    assert load_clip_vision(miniature_clip) is clip
    assert clip.device == torch.device("cpu")
    assert clip.source == str(miniature_clip)
    clip_vision.unload()
    assert load_clip_vision(miniature_clip) is not clip


# ----------------------------------------------------------------------------------------------------------- errors
def in_open_clip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The names of open_clip, where queries, keys and values are one tensor."""
    vision = {name.removeprefix("vision_model."): t for name, t in tensors.items()}
    renamed: dict[str, Tensor] = {
        "class_embedding": vision["embeddings.class_embedding"],
        "positional_embedding": vision["embeddings.position_embedding.weight"],
        "conv1.weight": vision["embeddings.patch_embedding.weight"],
        "proj": vision["visual_projection.weight"].T,
    }
    parts = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj"}
    parts |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    for kind in ("weight", "bias"):
        renamed[f"ln_pre.{kind}"] = vision[f"pre_layrnorm.{kind}"]
        renamed[f"ln_post.{kind}"] = vision[f"post_layernorm.{kind}"]
        for layer in range(2):
            old, new = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
            qkv = [vision[f"{old}.self_attn.{which}_proj.{kind}"] for which in "qkv"]
            renamed[f"{new}.attn.in_proj_{kind}"] = torch.cat(qkv)
            renamed |= {f"{new}.{theirs}.{kind}": vision[f"{old}.{ours}.{kind}"] for ours, theirs in parts.items()}
    text = {"transformer.resblocks.0.mlp.c_fc.weight": torch.zeros(8, 8), "logit_scale": torch.ones(1)}
    return {f"{prefix}{name}": tensor.contiguous() for name, tensor in renamed.items()} | (text if prefix else {})


@pytest.mark.parametrize("prefix", ["visual.", "model.visual.", ""])
def test_the_layout_of_open_clip(
    prefix: str, encoder: str, tensors: dict[str, Tensor], seen: Seen, crop_rgb: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "open_clip_pytorch_model.safetensors"
    save_file(in_open_clip(tensors, prefix), path)
    assert encoder_in(path) == encoder
    found = load_clip_vision(path, encoder=encoder)
    for output, expected in seen.items():
        assert torch.allclose(found.encode([crop_rgb], output), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("layout", ["transformers", "open_clip"])
def test_a_file_without_projection_gives_hidden_states_alone(
    layout: str, miniature_clip: Path, crop_rgb: np.ndarray, tmp_path: Path
) -> None:
    expected = load_clip_vision(miniature_clip).encode([crop_rgb])
    tensors = load_file(miniature_clip)
    tensors = tensors if layout == "transformers" else in_open_clip(tensors, "visual.")
    projection = {"transformers": "visual_projection.weight", "open_clip": "visual.proj"}[layout]
    path = tmp_path / "model.safetensors"
    save_file({name: tensor for name, tensor in tensors.items() if name != projection}, path)
    assert check_clip_vision(miniature_clip) == ""
    assert check_clip_vision(path).startswith("It has no visual_projection.weight: ")
    clip = load_clip_vision(path)
    assert not clip.has_projection
    assert torch.allclose(clip.encode([crop_rgb]), expected, rtol=0, atol=2e-5)
    for call in (lambda: clip.encode([], "projected"), lambda: clip.blank("projected")):
        with pytest.raises(
            FileError, match=r"model\.safetensors has no visual_projection\.weight, .* Use models/image"
        ):
            call()


def test_a_replaced_file_is_read_again(miniature_clip: Path, crop_rgb: np.ndarray, tmp_path: Path) -> None:
    path = write_clip_vision(tmp_path / "model.safetensors", seed=1, feed_forward=64)
    first = load_clip_vision(path)
    assert load_clip_vision(path) is first
    shutil.copy(miniature_clip, path)
    second = load_clip_vision(path)
    assert (second.source, second.fingerprint == first.fingerprint) == (first.source, False)
    assert torch.equal(second.encode([crop_rgb]), load_clip_vision(miniature_clip).encode([crop_rgb]))


def test_one_of_each_kind_is_kept(miniature_clip: Path, miniature_bigg: Path) -> None:
    vit_h = load_clip_vision(miniature_clip)
    bigg = load_clip_vision(miniature_bigg, encoder="clip_vit_bigg")
    assert (vit_h.encoder, bigg.encoder) == ("clip_vit_h", "clip_vit_bigg")
    assert load_clip_vision(miniature_clip) is vit_h
    assert load_clip_vision(miniature_bigg, encoder="clip_vit_bigg") is bigg
    clip_vision.unload()
    assert load_clip_vision(miniature_bigg, encoder="clip_vit_bigg") is not bigg


def test_it_is_freed_after_use(miniature_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_vision, "FREED_AFTER_S", 0.2)
    clip_vision.unload()
    first = load_clip_vision(miniature_clip)
    assert load_clip_vision(miniature_clip) is first
    freed = weakref.ref(first)
    del first
    time.sleep(0.6)
    gc.collect()
    assert freed() is None


def refused(tensors: dict[str, Tensor], path: Path, error: type[Exception], encoder: str = "clip_vit_h") -> str:
    save_file(tensors, path)
    with pytest.raises(error) as caught:
        load_clip_vision(path, encoder=encoder)
    with pytest.raises(error) if error is WrongFamilyError else nullcontext():
        check_clip_vision(path, encoder)
    folder = {"clip_vit_h": "models", "clip_vit_bigg": "sdxl_models"}[encoder]
    assert str(caught.value).startswith(f"{path.name} is ")
    assert str(caught.value).endswith(f"Use {folder}/image_encoder/model.safetensors of h94/IP-Adapter.")
    return str(caught.value)


@pytest.mark.parametrize(
    ("width", "name"), [(1024, "CLIP ViT-L/14"), (1408, "CLIP ViT-g/14"), (768, "CLIP ViT-B"), (999, "another image")]
)
def test_other_encoders_are_refused_by_name(width: int, name: str, encoder: str, tmp_path: Path) -> None:
    tensors = {"vision_model.embeddings.class_embedding": torch.zeros(width)}
    text = refused(tensors, tmp_path / "model.safetensors", WrongFamilyError, encoder)
    label = {"clip_vit_h": "CLIP ViT-H (width 1280", "clip_vit_bigg": "CLIP ViT-bigG (width 1664"}[encoder]
    assert f"is {name}" in text
    assert f"(width {width}); {label}, pictures of 224 px) is needed" in text


def test_each_encoder_is_refused_where_the_other_is_needed(miniature_clip: Path, miniature_bigg: Path) -> None:
    with pytest.raises(WrongFamilyError, match=r"is CLIP ViT-bigG \(width 1664\); CLIP ViT-H .* is needed"):
        load_clip_vision(miniature_bigg)
    with pytest.raises(WrongFamilyError, match=r"is CLIP ViT-H \(width 1280\); CLIP ViT-bigG .* is needed"):
        load_clip_vision(miniature_clip, encoder="clip_vit_bigg")
    with pytest.raises(UnitError, match="encoder is 'clip_vit_x'; one of clip_vit_h, clip_vit_bigg, siglip_so400m was"):
        load_clip_vision(miniature_clip, encoder="clip_vit_x")
    with pytest.raises(UnitError, match="output is 'embeds'; one of penultimate, projected was expected"):
        load_clip_vision(miniature_clip).blank("embeds")  # pyright: ignore[reportArgumentType]


def test_another_picture_size_is_refused(encoder: str, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    name = "vision_model.embeddings.position_embedding.weight"
    larger = tensors | {name: torch.zeros(577, tensors[name].shape[1])}
    text = refused(larger, tmp_path / "a.safetensors", WrongFamilyError, encoder)
    assert "is a CLIP for pictures of another size" in text
    assert "positions (577, " in text


def test_other_open_clip_and_other_files_are_refused(tmp_path: Path) -> None:
    open_clip = {"visual.conv1.weight": torch.zeros(1024, 3, 14, 14), "visual.class_embedding": torch.zeros(1024)}
    assert "is CLIP ViT-L/14" in refused(open_clip, tmp_path / "a.safetensors", WrongFamilyError)
    resnet = {"conv1.weight": torch.zeros(8, 3, 2, 2)}
    assert "not a CLIP image encoder" in refused(resnet, tmp_path / "c.safetensors", WrongFamilyError)
    lora = {"lora_unet_mid.lora_down.weight": torch.zeros(8, 8)}
    assert "not a CLIP image encoder" in refused(lora, tmp_path / "b.safetensors", WrongFamilyError)
    siglip = {"vision_model.embeddings.patch_embedding.weight": torch.zeros(1152, 3, 14, 14)}
    assert "is a SigLIP for pictures of another size" in refused(siglip, tmp_path / "d.safetensors", WrongFamilyError)


def test_incomplete_files_are_refused(encoder: str, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    name = "vision_model.encoder.layers.1.mlp.fc2.weight"
    lacking = {key: tensor for key, tensor in tensors.items() if key != name}
    assert f"1 missing, 0 unknown, 0 of another shape, first {name}" in refused(
        lacking, tmp_path / "a.safetensors", FileError, encoder
    )
    misshapen = tensors | {name: torch.zeros(3, 3)}
    assert f"0 missing, 0 unknown, 1 of another shape, first {name}" in refused(
        misshapen, tmp_path / "b.safetensors", FileError, encoder
    )
    shallow = {key: tensor for key, tensor in tensors.items() if ".layers.1." not in key}
    assert "layers.1." in refused(shallow, tmp_path / "c.safetensors", FileError, encoder)
    other = tensors | {"visual_projection.weight": torch.zeros(768, 8)}
    assert "1 of another shape, first visual_proj" in refused(other, tmp_path / "d.safetensors", FileError, encoder)


def test_missing_file_and_package(miniature_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match="does not exist"):
        load_clip_vision(tmp_path / "gone.safetensors")
    monkeypatch.setenv("FACEID_CLIP_VISION", str(tmp_path / "gone.safetensors"))
    with pytest.raises(MissingModelError, match=r"gone\.safetensors"):
        load_clip_vision()
    clip_vision.unload()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r'Run: ".*" -m pip install transformers'):
        load_clip_vision(miniature_clip)
