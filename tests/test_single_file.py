"""Single-file checkpoints load into diffusers offline, and compute what Stability's own classes compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from lib_faceid.errors import FileError, WrongFamilyError
from lib_faceid.hosts.diffusers.checkpoint import Parts, _clip_state, load_parts
from lib_faceid.hosts.diffusers.single_file import OPEN_TEXT, TEXT, UNET, read_layout
from lib_faceid.miniature.checkpoint import checkpoint_shapes
from lib_faceid.miniature.sizes import MINIATURE, PUBLISHED

FAMILIES = {"sd15": "SD 1.5", "sdxl": "SDXL"}


@pytest.fixture(scope="module")
def sd15(miniature_checkpoint: Callable[[str], Path]) -> Parts:
    return load_parts(miniature_checkpoint("sd15"))


@pytest.mark.parametrize("family", FAMILIES)
def test_loads_whole_and_without_a_network(
    family: str, miniature_checkpoint: Callable[[str], Path], no_network: None
) -> None:
    parts = load_parts(miniature_checkpoint(family))
    assert parts.family == FAMILIES[family]
    shapes = checkpoint_shapes(MINIATURE[family])
    in_file = sum(torch.Size(shape).numel() for key, shape in shapes.items() if "position_ids" not in key)
    networks = [module for module in parts.modules.values() if isinstance(module, torch.nn.Module)]
    loaded = sum(parameter.numel() for network in networks for parameter in network.parameters())
    assert loaded == in_file - (family == "sdxl")  # open_clip's logit_scale is for training only
    for network in networks:
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            assert tensor.device.type == "cpu", name
            assert not tensor.requires_grad, name


def test_half_precision_on_request(miniature_checkpoint: Callable[[str], Path]) -> None:
    parts = load_parts(miniature_checkpoint("sd15"), torch.float16)
    assert parts.modules["unet"].dtype == parts.modules["text_encoder"].dtype == torch.float16


def test_unet_computes_what_stabilitys_own_class_computes(
    sd15: Parts, miniature_checkpoint: Callable[[str], Path]
) -> None:
    openai_model = pytest.importorskip("ldm.modules.diffusionmodules.openaimodel")
    sizes = MINIATURE["sd15"].unet
    theirs = openai_model.UNetModel(
        image_size=32,
        in_channels=4,
        out_channels=4,
        model_channels=sizes.channels,
        attention_resolutions=[4, 2, 1],
        num_res_blocks=2,
        channel_mult=sizes.mult,
        num_heads=8,
        use_spatial_transformer=True,
        transformer_depth=1,
        context_dim=768,
        use_checkpoint=False,
        legacy=False,
    )
    state = load_file(miniature_checkpoint("sd15"))
    theirs.load_state_dict(
        {key.removeprefix(UNET): tensor.float() for key, tensor in state.items() if key.startswith(UNET)}
    )
    torch.manual_seed(0)
    latents, context, steps = torch.randn(2, 4, 16, 24), torch.randn(2, 77, 768), torch.tensor([901, 20])
    with torch.no_grad():
        wanted = theirs(latents, steps, context=context)
        found = sd15.modules["unet"](latents, steps, encoder_hidden_states=context).sample
    assert wanted.std() > 0.1
    assert (found - wanted).abs().max() < 1e-4 * wanted.std()


def test_vae_makes_pictures_eight_times_as_wide(sd15: Parts) -> None:
    vae = sd15.modules["vae"]
    torch.manual_seed(0)
    with torch.no_grad():
        picture = vae.decode(torch.randn(1, 4, 8, 12)).sample
        assert picture.shape == (1, 3, 64, 96)
        assert vae.encode(picture).latent_dist.mean.shape == (1, 4, 8, 12)
    assert 0.1 < picture.std() < 2


def test_the_prompt_matters(sd15: Parts) -> None:
    tokenizer, encoder = sd15.modules["tokenizer"], sd15.modules["text_encoder"]
    tokens = tokenizer(["a photo of a man", "a photo of a woman"], padding="max_length", return_tensors="pt")
    assert tokens.input_ids[0, :6].tolist() == [
        49406,
        320,
        1125,
        539,
        320,
        786,
    ]  # as OpenAI's tokenizer has it
    man, woman = encoder(tokens.input_ids).last_hidden_state
    assert (man[:5] - woman[:5]).abs().max() == 0
    assert (man[5:] - woman[5:]).abs().mean() > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_published_sizes_fit_the_published_configuration(family: str) -> None:
    """Full-size networks without memory: the published tensors are all they need, nothing is left over."""
    shapes = checkpoint_shapes(PUBLISHED[family])
    layout = read_layout(shapes, "published")
    wanted: dict[str, dict[str, Any]] = {
        "sd15": {
            "block_out_channels": [320, 640, 1280, 1280],
            "cross_attention_dim": 768,
            "attention_head_dim": 8,
            "transformer_layers_per_block": [1, 1, 1, 1],
            "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        },
        "sdxl": {
            "block_out_channels": [320, 640, 1280],
            "cross_attention_dim": 2048,
            "attention_head_dim": [5, 10, 20],
            "transformer_layers_per_block": [1, 2, 10],
            "projection_class_embeddings_input_dim": 2816,
            "up_block_types": ["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"],
        },
    }
    assert wanted[family].items() <= layout.unet.items()
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    with torch.device("meta"):
        filled: list[tuple[torch.nn.Module, Mapping[str, torch.Tensor]]] = [
            (UNet2DConditionModel(**layout.unet), convert_ldm_unet_checkpoint(state, layout.unet)),
            (AutoencoderKL(**layout.vae), convert_ldm_vae_checkpoint(state, layout.vae)),
            (CLIPTextModel(CLIPTextConfig(**layout.text)), _clip_state(state, TEXT[layout.family])),
        ]
        if layout.open_text:
            text = CLIPTextModelWithProjection(CLIPTextConfig(**layout.open_text))
            filled.append((text, convert_open_clip_checkpoint(text, state, prefix=OPEN_TEXT)))
    for network, tensors in filled:
        found = {name: tensor.shape for name, tensor in tensors.items() if not name.endswith("position_ids")}
        assert found == {name: tensor.shape for name, tensor in network.state_dict().items()}


def sd15_shapes(**changes: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
    """The miniature's shapes with some tensors changed or, with None, left out; __ stands for a dot."""
    shapes = checkpoint_shapes(MINIATURE["sd15"])
    for name, shape in changes.items():
        for key in [key for key in shapes if name.replace("__", ".") in key]:
            if shape is None:
                del shapes[key]
            else:
                shapes[key] = shape
    return shapes


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        (sd15_shapes(attn2__to_k=(64, 1024)), "SD 2.x"),
        (sd15_shapes(attn2__to_k=(64, 1280)), "the refiner of SDXL"),
        (sd15_shapes(attn2__to_k=(64, 4096)), "cross attention 4096"),
        (sd15_shapes(input_blocks__0__0__weight=(64, 9, 3, 3)), "an inpainting checkpoint"),
        ({"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": (9, 9)}, "SD 3"),
        ({"model.diffusion_model.double_blocks.0.img_attn.qkv.weight": (9, 9)}, "Flux"),
        ({"double_blocks.0.img_attn.qkv.weight": (9, 9)}, "Flux"),
        ({"image_proj.proj.0.weight": (9, 9), "ip_adapter.1.to_k_ip.weight": (9, 9)}, "an IP-Adapter"),
        ({"lora_unet_down_blocks_0.lora_down.weight": (9, 9)}, "a LoRA"),
        ({"down_blocks.0.resnets.0.conv1.weight": (9, 9)}, "a bare UNet"),
        ({"decoder.conv_in.weight": (9, 9)}, "a VAE"),
        ({"something": (1,)}, "of a kind we do not know"),
    ],
)
def test_anything_else_is_refused_by_its_name(shapes: dict[str, tuple[int, ...]], found: str) -> None:
    with pytest.raises(WrongFamilyError, match=r"^FaceID exists for SD 1.5 and SDXL only, and x.bin is .*") as error:
        read_layout(shapes, "x.bin")
    assert found in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", ["first_stage_model", "cond_stage_model", "decoder__conv_in"])
def test_a_part_that_is_missing_is_said(part: str) -> None:
    with pytest.raises(FileError, match="lacks a part of its UNet, VAE or text encoder"):
        read_layout(sd15_shapes(**{part: None}), "x.safetensors")


def test_a_tensor_that_is_missing_is_named(tmp_path: Path, miniature_checkpoint: Callable[[str], Path]) -> None:
    state = load_file(miniature_checkpoint("sd15"))
    del state["model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_v.weight"]
    save_file(state, tmp_path / "holey.safetensors")
    with pytest.raises(
        FileError, match=r"holey.safetensors is no whole SD 1.5 checkpoint: .*attn2.to_v.weight"
    ) as error:
        load_parts(tmp_path / "holey.safetensors")
    assert "\n" not in str(error.value)


def test_a_damaged_file_is_refused(tmp_path: Path, miniature_checkpoint: Callable[[str], Path]) -> None:
    whole = miniature_checkpoint("sd15").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="is damaged"):
        load_parts(tmp_path / "half.safetensors")


def test_a_file_that_training_saved_is_read(tmp_path: Path, miniature_checkpoint: Callable[[str], Path]) -> None:
    state = load_file(miniature_checkpoint("sd15"))
    torch.save({"state_dict": state, "global_step": 1}, tmp_path / "trained.ckpt")
    assert load_parts(tmp_path / "trained.ckpt").family == "SD 1.5"
