"""What people choose by mistake is refused by its right name, with what to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from builders import (
    PUBLISHED,
    SD15,
    SDXL,
    Parts,
    Perceiver,
    Source,
    ip_adapter_layers,
    resampler,
    tiny_parts_of,
    write,
)
from torch import Tensor

from lib_faceid.errors import FileError, WrongFamilyError
from lib_faceid.methods.foreign import FAMILIES, family_of
from lib_faceid.methods.loading import load_adapter

State = dict[str, Tensor]
source = Source(0)


def named(*keys: str) -> State:
    """Return small tensors of those names, for files that their names alone give away."""
    return {key: torch.ones(2, 2) for key in keys}


def around(image_proj: State, cross_dim: int = SD15) -> State:
    return Parts(image_proj, ip_adapter_layers(source, [8, 16], cross_dim)).flat()


def below(prefix: str, state: State) -> State:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def kolors_plus() -> State:
    state = Perceiver(64, 1024, SDXL).state(source) | {"latents": torch.ones(1, 16, 64)}
    return state | {"layers.0.0.to_out.weight": torch.ones(2048, 64)}


BLOCK = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
DOTTED = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
LORA = {
    "kohya": named(
        f"lora_unet_{BLOCK}.lora_down.weight", f"lora_unet_{BLOCK}.lora_up.weight", f"lora_unet_{BLOCK}.alpha"
    ),
    "kohya, SDXL and text encoder": named(f"lora_te1_text_model_{BLOCK}.lora_down.weight"),
    "kohya, Flux": named("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight"),
    "the FaceID LoRA of its own": named("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight"),
    "LoHa": named(f"lora_unet_{BLOCK}.hada_w1_a", f"lora_unet_{BLOCK}.hada_w1_b"),
    "LoKr": named(f"lycoris_{BLOCK}.lokr_w1", f"lycoris_{BLOCK}.lokr_w2_a"),
    "PEFT": named(f"base_model.model.{DOTTED}.lora_A.weight", f"base_model.model.{DOTTED}.lora_B.weight"),
    "diffusers": named(f"unet.{DOTTED}.lora.down.weight", f"unet.{DOTTED}.lora.up.weight"),
    "diffusers, PEFT": named(f"unet.{DOTTED}.lora_A.weight", f"text_encoder.{DOTTED}.lora_B.weight"),
    "diffusers, old": named(
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight"
    ),
    "Flux, PEFT": named("transformer.transformer_blocks.0.attn.to_q.lora_A.weight"),
    "Flux, other trainers": named("diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight"),
}
UNET = named("time_embed.0.weight", "input_blocks.1.0.in_layers.2.weight", "middle_block.1.proj_in.weight")

IMAGE_PROMPTS: Mapping[str, tuple[State, str]] = {  # which were refused while only faces were drawn
    "IP-Adapter": (around(source.linear("proj", 4 * SD15, 1024) | source.norm("norm", SD15)), "ip_adapter"),
    "IP-Adapter SDXL": (
        around(source.linear("proj", 4 * SDXL, 1280) | source.norm("norm", SDXL), SDXL),
        "ip_adapter_vit_g",
    ),
    "IP-Adapter Plus": (around(resampler(source, 64, 1280, SD15)), "ip_adapter_plus"),
    "IP-Adapter Plus SDXL": (around(resampler(source, 64, 1280, SDXL), SDXL), "ip_adapter_plus"),
    "IP-Adapter Full Face": (
        around(source.linear("proj.0", 8, 1280) | source.linear("proj.2", SD15, 8) | source.norm("proj.3", SD15)),
        "ip_adapter_full_face",
    ),
}

FOREIGN: Mapping[str, tuple[State, str]] = {
    "PhotoMaker": (
        named("id_encoder.visual_projection_2.weight", f"lora_weights.unet.{DOTTED}.processor.to_q_lora.down.weight"),
        "PhotoMaker",
    ),
    "PuLID": (
        around(named("body.0.weight", "mapping_0.0.weight", "mapping_patch_0.0.weight"), SDXL)
        | named("ip_adapter.1.id_to_k.weight"),
        "PuLID",
    ),
    "PuLID Flux": (named("pulid_ca.0.to_q.weight", "pulid_encoder.mapping_0.0.weight"), "PuLID"),
    "Kolors": (around(kolors_plus(), SDXL), "Kolors IP-Adapter"),
    "Kolors FaceID Plus": (
        around(
            source.linear("proj.0", 8, 512)
            | below("perceiver_resampler.", named("proj_in.weight", "layers.0.0.norm1.weight"))
            | {"perceiver_resampler.layers.0.0.to_out.weight": torch.ones(4096, 2)},
            4096,
        ),
        "Kolors FaceID Plus",
    ),
    **{f"LoRA ({name})": (state, "a LoRA") for name, state in LORA.items()},
    "SD 1.5 checkpoint": (
        below("model.diffusion_model.", UNET)
        | named("cond_stage_model.transformer.text_model.embeddings.position_embedding.weight")
        | named("first_stage_model.decoder.conv_in.weight"),
        "a Stable Diffusion checkpoint",
    ),
    "SDXL checkpoint": (
        below("model.diffusion_model.", UNET) | named("conditioner.embedders.1.model.ln_final.weight"),
        "a Stable Diffusion checkpoint",
    ),
    "Flux": (named("double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight"), "a Flux or SD 3"),
    "Flux, all in one": (named("model.diffusion_model.double_blocks.0.img_attn.qkv.weight"), "a Flux or SD 3"),
    "SD 3": (named("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"), "a Flux or SD 3"),
    "bare UNet": (UNET, "a bare UNet"),
    "bare UNet of diffusers": (named("conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"), "a bare UNet"),
    "VAE": (named("decoder.conv_in.weight", "encoder.conv_in.weight", "decoder.up.0.block.0.conv1.weight"), "a VAE"),
    "VAE of diffusers": (
        named("decoder.conv_in.weight", "encoder.down_blocks.0.resnets.0.conv1.weight", "quant_conv.weight"),
        "a VAE",
    ),
    "VAE with a prefix": (named("first_stage_model.decoder.conv_in.weight"), "a VAE"),
    "ControlNet": (
        below("control_model.", UNET) | named("control_model.input_hint_block.0.weight"),
        "a ControlNet",
    ),
    "ControlNet without prefix": (UNET | named("input_hint_block.0.weight", "zero_convs.0.0.weight"), "a ControlNet"),
    "ControlNet of diffusers": (
        named(
            "controlnet_cond_embedding.conv_in.weight",
            "controlnet_down_blocks.0.weight",
            "down_blocks.0.resnets.0.conv1.weight",
        ),
        "a ControlNet",
    ),
    "CLIP vision": (
        named("vision_model.embeddings.class_embedding", "visual_projection.weight"),
        "a CLIP image encoder",
    ),
    "OpenCLIP": (named("visual.class_embedding", "visual.proj", "token_embedding.weight"), "a CLIP image encoder"),
    "textual inversion": (named("emb_params"), "a textual inversion embedding"),
    "textual inversion, old": (named("string_to_param.*"), "a textual inversion embedding"),
    "textual inversion, SDXL": (named("clip_g", "clip_l"), "a textual inversion embedding"),
}


@pytest.mark.parametrize("container", ["safetensors", "bin", "legacy"])
@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_refused_by_their_right_name(tmp_path: Path, name: str, container: str) -> None:
    state, told = FOREIGN[name]
    path = tmp_path / "model.safetensors"
    if container == "safetensors":
        write(state, path)
    else:
        path = path.with_suffix(".bin")
        torch.save(state, path, _use_new_zipfile_serialization=container == "bin")
    with pytest.raises(WrongFamilyError, match=rf"^{path.name} is .*{told}.*, not an adapter.*\.") as caught:
        load_adapter(path)
    assert "\n" not in str(caught.value)
    path.unlink()


@pytest.mark.parametrize("name", IMAGE_PROMPTS)
def test_image_prompt_adapters_are_read(tmp_path: Path, name: str) -> None:
    state, variant = IMAGE_PROMPTS[name]
    assert load_adapter(write(state, tmp_path / "model.safetensors")).variant.id == variant


def test_every_row_of_the_table_is_met() -> None:
    """A family without a file here is a guess."""
    met = {family_of({key: tuple(t.shape) for key, t in state.items()}) for state, _ in FOREIGN.values()}
    assert met - {None} == set(FAMILIES)


def test_a_lora_is_told_where_it_belongs(tmp_path: Path) -> None:
    path = write(LORA["kohya"], tmp_path / "ip-adapter-faceid_sd15_lora.safetensors")
    with pytest.raises(WrongFamilyError, match=r"Use it in the prompt: <lora:name:0\.6>\.$"):
        load_adapter(path)


@pytest.mark.parametrize("variant", PUBLISHED)
def test_no_adapter_of_ours_is_taken_for_another_family(variant: str) -> None:
    for dim in PUBLISHED[variant].families:
        shapes = {key: tuple(tensor.shape) for key, tensor in tiny_parts_of(variant, dim).flat().items()}
        assert family_of(shapes) is None


@pytest.mark.parametrize(
    "state",
    [named("model.0.weight", "model.1.sub.0.weight"), named("text_model.encoder.layers.0.mlp.fc1.weight")],
    ids=["upscaler", "text encoder"],
)
def test_anything_else_is_said_to_be_no_adapter(tmp_path: Path, state: State) -> None:
    with pytest.raises(FileError, match=r"other.safetensors is not an adapter: 0 image_proj tensors.*Use an ip-ad"):
        load_adapter(write(state, tmp_path / "other.safetensors"))
