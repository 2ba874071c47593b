"""Miniatures have the published layout: names and shapes are compared with the classes they belong to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors import safe_open
from safetensors.torch import load_file

from lib_faceid.app.resources import Resources
from lib_faceid.commands.ui import roots_or_miniature
from lib_faceid.encoders.clip_vision import load_clip_vision
from lib_faceid.encoders.features import CLIP_H_HIDDEN
from lib_faceid.hosts.diffusers.tokenizer import vocabulary
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature import FULL, published_name, write_adapter
from lib_faceid.miniature.adapter import adapter_shapes
from lib_faceid.miniature.checkpoint import checkpoint_shapes
from lib_faceid.miniature.plus import TRAINED_CLIP_NAME, TRAINED_PLUS_NAME
from lib_faceid.miniature.sizes import INPAINTING, LATENT, MINIATURE, PUBLISHED
from lib_faceid.miniature.text import clip_text_tree
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from lib_faceid.miniature.tree import flatten
from lib_faceid.miniature.unet import unet_tree
from lib_faceid.miniature.vae import vae_tree
from lib_faceid.models.folders import Roots, find_clip_vision
from lib_faceid.people.library import open_library

OF_IMAGES = ("ip_adapter", "ip_adapter_vit_g", "ip_adapter_plus")
SIZES = {"published": PUBLISHED, "miniature": MINIATURE}


def shapes_of(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("inputs", [LATENT, INPAINTING])
@pytest.mark.parametrize("size", SIZES)
def test_unet_and_vae_are_named_like_stabilitys_own_classes(size: str, inputs: int) -> None:
    openai_model = pytest.importorskip("ldm.modules.diffusionmodules.openaimodel")
    from ldm.modules.diffusionmodules.model import Decoder, Encoder

    sizes = SIZES[size]["sd15"]
    with torch.device("meta"):
        unet = openai_model.UNetModel(
            image_size=32,
            in_channels=inputs,
            out_channels=4,
            model_channels=sizes.unet.channels,
            attention_resolutions=[4, 2, 1],
            num_res_blocks=2,
            channel_mult=sizes.unet.mult,
            num_heads=8,
            use_spatial_transformer=True,
            transformer_depth=1,
            context_dim=768,
            legacy=False,
        )
        network: dict[str, Any] = {
            "double_z": True,
            "z_channels": 4,
            "resolution": 256,
            "in_channels": 3,
            "out_ch": 3,
            "ch": sizes.vae.channels,
            "ch_mult": sizes.vae.mult,
            "num_res_blocks": sizes.vae.blocks_per_level,
            "attn_resolutions": [],
        }
        vae = torch.nn.ModuleDict(
            {
                "encoder": Encoder(**network),
                "decoder": Decoder(**network),
                "quant_conv": torch.nn.Conv2d(8, 8, 1),
                "post_quant_conv": torch.nn.Conv2d(4, 4, 1),
            }
        )
    assert flatten(unet_tree(replace(sizes.unet, inputs=inputs))) == shapes_of(unet)
    assert flatten(vae_tree(sizes.vae)) == shapes_of(vae)


@pytest.mark.parametrize("family", PUBLISHED)
def test_text_encoder_is_named_like_transformers_own_class(family: str) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    text = PUBLISHED[family].text
    config = CLIPTextConfig(hidden_size=text.width, intermediate_size=text.feed_forward, num_hidden_layers=text.layers)
    with torch.device("meta"):
        wanted = shapes_of(CLIPTextModel(config))
    found = flatten(clip_text_tree(text))
    assert found.pop("text_model.embeddings.position_ids") == (1, 77)  # published files still carry it
    assert found == wanted


def test_published_sizes_have_the_published_number_of_parameters() -> None:
    def parameters(prefix: str, family: str) -> int:
        shapes = checkpoint_shapes(PUBLISHED[family])
        return sum(
            math.prod(shape) for key, shape in shapes.items() if key.startswith(prefix) and "position_ids" not in key
        )

    assert parameters("model.diffusion_model.", "sd15") == 859_520_964
    assert parameters("model.diffusion_model.", "sdxl") == 2_567_463_684
    assert parameters("first_stage_model.", "sdxl") == 83_653_863
    assert parameters("cond_stage_model.", "sd15") == 123_060_480
    assert parameters("conditioner.embedders.1.", "sdxl") == 694_659_841


@pytest.mark.parametrize(
    ("variant", "family", "parameters", "layer_tensors"),
    [
        ("faceid", "sd15", 48_354_816, 288),
        ("faceid", "sdxl", 535_507_968, 1260),
        ("plus", "sd15", 78_260_736, 288),
        ("plusv2", "sdxl", 743_707_648, 1260),
        ("portrait", "sd15", 32_291_328, 32),
        ("portrait", "sdxl", 374_903_808, 140),
        ("portrait_unnorm", "sdxl", 422_765_824, 140),
    ],
)
def test_full_size_adapters_have_the_published_number_of_parameters(
    variant: str, family: str, parameters: int, layer_tensors: int
) -> None:
    shapes = adapter_shapes(variant, PUBLISHED[family].unet, 128, FULL)
    assert sum(math.prod(shape) for shape in shapes.values()) == parameters
    assert sum(key.startswith("ip_adapter.") for key in shapes) == layer_tensors


@pytest.mark.parametrize("family", MINIATURE)
def test_every_tensor_of_a_checkpoint_is_there_and_says_something(
    family: str, miniature_checkpoint: Callable[[str], Path]
) -> None:
    path = miniature_checkpoint(family)
    tensors = load_file(path)
    assert {key: tuple(tensor.shape) for key, tensor in tensors.items()} == checkpoint_shapes(MINIATURE[family])
    for key, tensor in tensors.items():
        assert tensor.isfinite().all(), key
        assert tensor.count_nonzero() > 0.98 * tensor.numel(), key
        assert tensor.dtype == (torch.int64 if key.endswith("position_ids") else torch.float16)
    with safe_open(path, "pt") as file:
        assert "Nothing was trained" in file.metadata()["note"]


@pytest.mark.parametrize("family", MINIATURE)
def test_a_webui_is_told_the_sizes(family: str, miniature_checkpoint: Callable[[str], Path]) -> None:
    path = miniature_checkpoint(family)
    params = OmegaConf.load(path.with_suffix(".yaml")).model.params
    sizes = MINIATURE[family]
    unet = params.get("unet_config", params.get("network_config")).params
    assert (unet.model_channels, unet.context_dim) == (sizes.unet.channels, sizes.unet.context)
    embedder = params.get("cond_stage_config") or params.conditioner_config.params.emb_models[0]
    folder = Path(embedder.params.version)
    assert json.loads((folder / "config.json").read_text())["hidden_size"] == sizes.text.width
    assert json.loads((folder / "vocab.json").read_text(encoding="utf-8")) == vocabulary()


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    first, again, other = (
        write_adapter(tmp_path / f"{name}.safetensors", "faceid", "sd15", seed=seed).read_bytes()
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("variant", "family", "suffix"),
    [
        *((variant, "sd15", ".bin") for variant in ("faceid", "plus", "plusv2", "portrait", *OF_IMAGES)),
        *(
            (variant, "sdxl", ".safetensors")
            for variant in ("faceid", "plusv2", "portrait", "portrait_unnorm", *OF_IMAGES)
        ),
    ],
)
def test_adapters_are_read_as_what_they_are(
    variant: str, family: str, suffix: str, miniature_adapter: Callable[..., Path]
) -> None:
    adapter = load_adapter(miniature_adapter(variant, family, suffix))
    assert adapter.variant.id == variant
    assert [weight.shape[0] for weight in adapter.to_k_ip.values()] == list(MINIATURE[family].unet.attention_channels)
    has_lora = variant in {"faceid", "plus", "plusv2"}
    assert len(adapter.lora) == (2 * len(adapter.to_k_ip) if has_lora else 0)
    assert adapter.image_proj is not None


def test_names_are_the_published_ones() -> None:
    assert published_name("plusv2", "sdxl") == "ip-adapter-faceid-plusv2_sdxl"
    assert published_name("portrait_unnorm", "sdxl") == "ip-adapter-faceid-portrait_sdxl_unnorm"
    assert published_name("ip_adapter_vit_g", "sd15") == "ip-adapter_sd15_vit-G"
    assert published_name("ip_adapter_vit_g", "sdxl") == "ip-adapter_sdxl"
    assert published_name("ip_adapter", "sdxl") == "ip-adapter_sdxl_vit-h"


def test_clip_vision_encodes(miniature_clip: Path) -> None:
    clip = load_clip_vision(miniature_clip)
    hidden = clip.blank()
    assert hidden.shape == (257, 1280)
    assert 0.1 < hidden.std() < 10


def test_a_page_without_models_begins_with_the_trained_one(tmp_path: Path) -> None:
    said: list[str] = []
    roots, note = roots_or_miniature(Roots((tmp_path / "models",)), tmp_path / "out", said.append)
    assert "29 MB that draw faces" in note
    assert Resources(roots).checkpoints() == {
        "miniature": tmp_path / "out" / "models" / "Stable-diffusion" / "miniature.safetensors"
    }
    assert open_library(roots).names() == ("robin",)
    models = tmp_path / "out" / "models"
    assert load_adapter(models / "faceid" / TRAINED_ADAPTER.name).variant.id == "faceid"
    assert load_adapter(models / "faceid" / TRAINED_PLUS_NAME).variant.id == "plusv2"
    assert find_clip_vision(roots) == models / "clip_vision" / TRAINED_CLIP_NAME
    hidden = open_library(roots).load("robin").identity.features[CLIP_H_HIDDEN].values
    assert hidden.std() > 0.1, "Auto can take Plus v2 for the person who ships"
    assert roots_or_miniature(roots, tmp_path / "other", said.append) == (roots, ""), "there are models now"
    assert not (tmp_path / "other").exists()


def test_what_ships_is_small_and_says_what_it_is() -> None:
    parts = sorted(TRAINED_ADAPTER.parent.glob("*.safetensors"))
    assert [path.stem for path in parts] == [
        "ip-adapter-faceid_sd15_miniature",
        "plus",
        "robin.identity",
        "unet",
        "vae",
    ]
    assert sum(path.stat().st_size for path in parts) <= 30e6
    assert (TRAINED_ADAPTER.parent / "MODEL_CARD.md").is_file()
    for path in (one for one in parts if one.stem != "robin.identity"):
        with safe_open(path, "pt") as file:
            assert "non-commercial" in file.metadata()["note"]
