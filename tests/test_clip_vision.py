"""The image encoder gives what transformers' own classes give, from every layout, and refuses other encoders."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from lib_faceid.encoders import clip_vision
from lib_faceid.encoders.clip_vision import load_clip_vision, preprocess
from lib_faceid.errors import FileError, MissingModelError, MissingPackageError, WrongFamilyError


@pytest.fixture
def crop_rgb() -> np.ndarray:
    rows, columns = np.mgrid[:224, :224]
    return np.stack([rows, columns, (rows * columns) % 256], axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def tensors(miniature_clip: Path) -> dict[str, Tensor]:
    return load_file(miniature_clip)


@pytest.fixture(scope="module")
def theirs(tensors: dict[str, Tensor]) -> CLIPVisionModelWithProjection:
    """transformers' own class, filled with the miniature's weights."""
    config = CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=tensors["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=2,
        num_attention_heads=16,
        projection_dim=1024,
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


def test_hidden_states_are_those_of_transformers(
    miniature_clip: Path, crop_rgb: np.ndarray, theirs: CLIPVisionModelWithProjection
) -> None:
    crops = [crop_rgb, np.ascontiguousarray(crop_rgb[::-1])]
    ours = load_clip_vision(miniature_clip).encode(crops)
    pixel_values = CLIPImageProcessor()(crops, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        output = theirs(pixel_values, output_hidden_states=True)
    assert (ours.shape, ours.dtype, ours.requires_grad) == ((2, 257, 1280), torch.float32, False)
    assert torch.allclose(ours, output.hidden_states[-2], rtol=0, atol=2e-5)
    for other in (output.hidden_states[-1], output.hidden_states[-3], output.last_hidden_state):
        assert not torch.allclose(ours, other, rtol=0, atol=1e-2)


def test_uncond_is_of_zeros_after_normalisation(miniature_clip: Path, theirs: CLIPVisionModelWithProjection) -> None:
    clip = load_clip_vision(miniature_clip)
    with torch.no_grad():
        expected = theirs(torch.zeros(1, 3, 224, 224), output_hidden_states=True).hidden_states[-2][0]
    assert torch.allclose(clip.blank(), expected, rtol=0, atol=2e-5)
    assert clip.blank() is clip.blank()
    black = clip.encode([np.zeros((224, 224, 3), np.uint8)])[0]
    assert not torch.allclose(clip.blank(), black, rtol=0, atol=1e-2)


def test_red_is_not_blue(miniature_clip: Path, crop_rgb: np.ndarray) -> None:
    assert preprocess(np.full((224, 224, 3), (255, 0, 0), np.uint8))[0].min() > 1.9
    clip = load_clip_vision(miniature_clip)
    swapped = clip.encode([np.ascontiguousarray(crop_rgb[:, :, ::-1])])
    assert not torch.allclose(clip.encode([crop_rgb]), swapped, rtol=0, atol=1e-2)


def test_the_batch_and_a_hosts_autocast_make_no_difference(miniature_clip: Path, crop_rgb: np.ndarray) -> None:
    clip = load_clip_vision(miniature_clip)
    alone = clip.encode([crop_rgb])
    with torch.autocast("cpu", torch.bfloat16):
        together = clip.encode([crop_rgb, crop_rgb])
    assert torch.equal(together, alone.expand(2, -1, -1))
    assert clip.encode([]).shape == (0, 257, 1280)


# ---------------------------------------------------------------------------------------------------------- layouts
def renamed(tensors: dict[str, Tensor], layout: str) -> dict[str, Tensor]:
    vision = {name.removeprefix("vision_model."): t for name, t in tensors.items() if name.startswith("vision")}
    if layout == "bare":
        return vision
    if layout == "prefixed":
        return {f"image_encoder.{name}": tensor for name, tensor in tensors.items()}
    if layout == "half":
        return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    if layout == "without position_ids":
        return {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
    text = {"text_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(8, 8), "logit_scale": torch.zeros(())}
    return tensors | text | {"text_model.embeddings.token_embedding.weight": torch.zeros(9, 8)}


@pytest.mark.parametrize("layout", ["bare", "prefixed", "half", "without position_ids", "with a text model"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_layouts(
    layout: str, suffix: str, miniature_clip: Path, tensors: dict[str, Tensor], crop_rgb: np.ndarray, tmp_path: Path
) -> None:
    expected = load_clip_vision(miniature_clip).encode([crop_rgb])
    path = tmp_path / f"clip{suffix}"
    if suffix == ".pth":
        torch.save(renamed(tensors, layout), path)
    else:
        save_file(renamed(tensors, layout), path)
    found = load_clip_vision(path)
    assert {parameter.dtype for parameter in found._model.parameters()} == {torch.float32}
    atol = 0.05 if layout == "half" else 0
    assert torch.allclose(found.encode([crop_rgb]), expected, rtol=0, atol=atol)
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
    vision = {name.removeprefix("vision_model."): t for name, t in tensors.items() if name.startswith("vision")}
    renamed: dict[str, Tensor] = {
        "class_embedding": vision["embeddings.class_embedding"],
        "positional_embedding": vision["embeddings.position_embedding.weight"],
        "conv1.weight": vision["embeddings.patch_embedding.weight"],
        "proj": torch.zeros(1280, 1024),
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
    prefix: str, miniature_clip: Path, tensors: dict[str, Tensor], crop_rgb: np.ndarray, tmp_path: Path
) -> None:
    expected = load_clip_vision(miniature_clip).encode([crop_rgb])
    save_file(in_open_clip(tensors, prefix), tmp_path / "open_clip_pytorch_model.safetensors")
    found = load_clip_vision(tmp_path / "open_clip_pytorch_model.safetensors").encode([crop_rgb])
    assert torch.allclose(found, expected, rtol=0, atol=2e-5)


def test_it_is_freed_after_use(miniature_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_vision, "FREED_AFTER_S", 0.2)
    clip_vision.unload()
    first = load_clip_vision(miniature_clip)
    assert load_clip_vision(miniature_clip) is first
    time.sleep(0.6)
    assert clip_vision._load.cache_info().currsize == 0
    monkeypatch.undo()
    assert load_clip_vision(miniature_clip) is not first


def refused(tensors: dict[str, Tensor], path: Path, error: type[Exception]) -> str:
    save_file(tensors, path)
    with pytest.raises(error) as caught:
        load_clip_vision(path)
    assert str(caught.value).startswith(f"{path.name} is ")
    assert str(caught.value).endswith("Use models/image_encoder/model.safetensors of h94/IP-Adapter.")
    return str(caught.value)


@pytest.mark.parametrize(
    ("width", "name"), [(1024, "CLIP ViT-L/14"), (1664, "CLIP ViT-bigG/14"), (768, "CLIP ViT-B"), (999, "another")]
)
def test_other_encoders_are_refused_by_name(width: int, name: str, tmp_path: Path) -> None:
    tensors = {"vision_model.embeddings.class_embedding": torch.zeros(width)}
    text = refused(tensors, tmp_path / "model.safetensors", WrongFamilyError)
    assert f"is {name}" in text
    assert f"of width {width}; the Plus variants read CLIP ViT-H/14 of width 1280" in text


def test_another_picture_size_is_refused(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    larger = tensors | {"vision_model.embeddings.position_embedding.weight": torch.zeros(577, 1280)}
    assert "position_embedding" in refused(larger, tmp_path / "a.safetensors", WrongFamilyError)


def test_other_open_clip_and_other_files_are_refused(tmp_path: Path) -> None:
    open_clip = {"visual.conv1.weight": torch.zeros(1024, 3, 14, 14), "visual.class_embedding": torch.zeros(1024)}
    assert "is CLIP ViT-L/14" in refused(open_clip, tmp_path / "a.safetensors", WrongFamilyError)
    resnet = {"conv1.weight": torch.zeros(8, 3, 2, 2)}
    assert "not a CLIP image encoder" in refused(resnet, tmp_path / "c.safetensors", WrongFamilyError)
    lora = {"lora_unet_mid.lora_down.weight": torch.zeros(8, 8)}
    assert "not a CLIP image encoder" in refused(lora, tmp_path / "b.safetensors", WrongFamilyError)


def test_incomplete_files_are_refused(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    name = "vision_model.encoder.layers.1.mlp.fc2.weight"
    lacking = {key: tensor for key, tensor in tensors.items() if key != name}
    assert f"1 missing, 0 unknown, 0 of another shape, first {name}" in refused(
        lacking, tmp_path / "a.safetensors", FileError
    )
    misshapen = tensors | {name: torch.zeros(3, 3)}
    assert f"0 missing, 0 unknown, 1 of another shape, first {name}" in refused(
        misshapen, tmp_path / "b.safetensors", FileError
    )
    shallow = {key: tensor for key, tensor in tensors.items() if ".layers.1." not in key}
    assert "layers.1." in refused(shallow, tmp_path / "c.safetensors", WrongFamilyError)


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
