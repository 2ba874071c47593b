"""What a WebUI has to be told about a miniature, because it does not read sizes off the tensors.

It looks for a `.yaml` beside the checkpoint, in the form of Stability's `v1-inference.yaml` or
`sd_xl_base.yaml`. JSON is YAML too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lib_faceid.hosts.diffusers.tokenizer import write_tokenizer
from lib_faceid.miniature.sizes import (
    CONTEXT_LENGTH,
    INPAINTING,
    LATENT,
    RGB,
    VOCABULARY,
    Sizes,
    TextSizes,
    UNetSizes,
    VAESizes,
)

__all__ = ["write_config", "write_text_folder"]

Config = dict[str, Any]  # a branch of a tree of JSON values

SIZE_EMBEDDING = 256  # width of each of the six numbers about the picture's size that SDXL is told
OPEN_CLIP_ARCHITECTURE = "ViT-S-32-alt"  # fits MINIATURE; open_clip takes names, not sizes


def write_config(path: Path, sizes: Sizes, text_folder: Path) -> None:
    """Write the checkpoint's `.yaml`; `text_folder` holds the first text encoder's config and tokenizer."""
    model = _sd15(sizes, text_folder) if sizes.open_text is None else _sdxl(sizes, text_folder)
    path.write_text(json.dumps({"model": model}, indent=2), encoding="utf-8")


def write_text_folder(folder: Path, sizes: TextSizes) -> None:
    """Write `config.json` and the tokenizer, from which `transformers` builds the text encoder offline."""
    write_tokenizer(folder)
    config = {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "hidden_act": "quick_gelu",
        "hidden_size": sizes.width,
        "intermediate_size": sizes.feed_forward,
        "num_attention_heads": sizes.width // 64,
        "num_hidden_layers": sizes.layers,
        "max_position_embeddings": CONTEXT_LENGTH,
        "vocab_size": VOCABULARY,
        "bos_token_id": VOCABULARY - 2,
        "eos_token_id": VOCABULARY - 1,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def _sd15(sizes: Sizes, text_folder: Path) -> Config:
    inpaints = sizes.unet.inputs == INPAINTING
    return {
        "target": f"ldm.models.diffusion.ddpm.Latent{'Inpaint' if inpaints else ''}Diffusion",
        "params": {
            "linear_start": 0.00085,
            "linear_end": 0.0120,
            "timesteps": 1000,
            "first_stage_key": "jpg",
            "cond_stage_key": "txt",
            "conditioning_key": "hybrid" if inpaints else "crossattn",
            **({"finetune_keys": None} if inpaints else {}),
            "image_size": 64,
            "channels": LATENT,
            "scale_factor": 0.18215,
            "use_ema": False,
            "unet_config": {
                "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
                "params": {
                    **_unet(sizes.unet),
                    "image_size": 32,
                    "num_heads": 8,
                    "attention_resolutions": [4, 2, 1],
                    "transformer_depth": 1,
                },
            },
            "first_stage_config": _vae("ldm.models.autoencoder.AutoencoderKL", sizes.vae),
            "cond_stage_config": _part("ldm.modules.encoders.modules.FrozenCLIPEmbedder", version=_posix(text_folder)),
        },
    }


def _sdxl(sizes: Sizes, text_folder: Path) -> Config:
    denoiser = "sgm.modules.diffusionmodules"
    return {
        "target": "sgm.models.diffusion.DiffusionEngine",
        "params": {
            "scale_factor": 0.13025,
            "disable_first_stage_autocast": True,
            "denoiser_config": _part(
                f"{denoiser}.denoiser.DiscreteDenoiser",
                num_idx=1000,
                weighting_config=_part(f"{denoiser}.denoiser_weighting.EpsWeighting"),
                scaling_config=_part(f"{denoiser}.denoiser_scaling.EpsScaling"),
                discretization_config=_part(f"{denoiser}.discretizer.LegacyDDPMDiscretization"),
            ),
            "network_config": {
                "target": "sgm.modules.diffusionmodules.openaimodel.UNetModel",
                "params": {
                    **_unet(sizes.unet),
                    "num_head_channels": 64,
                    "attention_resolutions": [4, 2],
                    "transformer_depth": [
                        1,
                        *sizes.unet.depth[1:],
                    ],  # level 0 has no attention, whatever is said here
                    "use_linear_in_transformer": True,
                    "spatial_transformer_attn_type": "softmax-xformers",
                    "adm_in_channels": sizes.unet.adm,
                    "num_classes": "sequential",
                },
            },
            "conditioner_config": _part(
                "sgm.modules.GeneralConditioner", emb_models=_sdxl_embedders(sizes.text, text_folder)
            ),
            "first_stage_config": _vae("sgm.models.autoencoder.AutoencoderKLInferenceWrapper", sizes.vae),
        },
    }


def _sdxl_embedders(text: TextSizes, text_folder: Path) -> list[Config]:
    modules = "sgm.modules.encoders.modules"
    numbers = ("original_size_as_tuple", "crop_coords_top_left", "target_size_as_tuple")
    clip = _part(
        f"{modules}.FrozenCLIPEmbedder",
        version=_posix(text_folder),
        layer="hidden",
        layer_idx=text.layers - 1,
    )
    open_clip = _part(
        f"{modules}.FrozenOpenCLIPEmbedder2",
        arch=OPEN_CLIP_ARCHITECTURE,
        version="laion2b_s39b_b160k",
        freeze=True,
        layer="penultimate",
        always_return_pooled=True,
        legacy=False,
    )
    sizes = [
        {"input_key": key, **_part(f"{modules}.ConcatTimestepEmbedderND", outdim=SIZE_EMBEDDING)} for key in numbers
    ]
    texts = [{"input_key": "txt", **embedder} for embedder in (clip, open_clip)]
    return [{"is_trainable": False, **embedder} for embedder in (*texts, *sizes)]


def _unet(sizes: UNetSizes) -> Config:
    return {
        "in_channels": sizes.inputs,
        "out_channels": LATENT,
        "model_channels": sizes.channels,
        "channel_mult": sizes.mult,
        "num_res_blocks": sizes.blocks_per_level,
        "use_spatial_transformer": True,
        "context_dim": sizes.context,
        "use_checkpoint": False,
        "legacy": False,
    }


def _vae(target: str, sizes: VAESizes) -> Config:
    network = {
        "double_z": True,
        "z_channels": LATENT,
        "resolution": 256,
        "in_channels": RGB,
        "out_ch": RGB,
        "ch": sizes.channels,
        "ch_mult": sizes.mult,
        "num_res_blocks": sizes.blocks_per_level,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    return _part(target, embed_dim=LATENT, ddconfig=network, lossconfig=_part("torch.nn.Identity"))


def _part(target: str, **params: Any) -> Config:
    return {"target": target, "params": params}


def _posix(folder: Path) -> str:
    return folder.resolve().as_posix()
