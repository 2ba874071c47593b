"""What a single-file checkpoint is made of, read off its tensors' names and shapes.

No configuration file is needed, on disk or from a hub, so any width loads: the published one, or a miniature.
The answers are keyword arguments of the classes in `diffusers` and `transformers` that hold each part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, TypeAlias

from lib_faceid.errors import FileError, WrongFamilyError
from lib_faceid.families import family_of

__all__ = ["Layout", "Shapes", "read_layout"]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
Config: TypeAlias = dict[str, Any]

UNET, VAE = "model.diffusion_model.", "first_stage_model."
TEXT = {"SD 1.5": "cond_stage_model.transformer.", "SDXL": "conditioner.embedders.0.transformer."}
OPEN_TEXT = "conditioner.embedders.1.model."

FAMILY_BY_CONTEXT = {768: "SD 1.5", 2048: "SDXL"}
_OTHER_CONTEXTS = {1024: "SD 2.x", 1280: "the refiner of SDXL"}
_OTHER_FILES = {r"joint_blocks\.": "SD 3", r"double_blocks\.": "Flux", r"to_k_ip\.": "an IP-Adapter"}
_OTHER_INPUTS = {8: "an InstructPix2Pix checkpoint", 9: "an inpainting checkpoint"}

# Numbers that leave no trace in shapes. They are the same in every published checkpoint of a family.
SD15_HEADS, SDXL_HEAD_DIM, CLIP_HEAD_DIM = 8, 64, 64
VAE_SCALE = {"SD 1.5": 0.18215, "SDXL": 0.13025}
SIZE_EMBEDDING = 256
LAST_TOKEN = 49_407


@dataclass(frozen=True)
class Layout:
    """The parts of a checkpoint, each as the keyword arguments that build it."""

    family: str
    """SD 1.5 or SDXL"""
    unet: Config
    vae: Config
    text: Config
    open_text: Config | None
    """The second text encoder, which only SDXL has."""


def read_layout(shapes: Shapes, name: str) -> Layout:
    """Return the sizes of every part of a checkpoint; `name` is the file's, for messages.

    Raises WrongFamilyError for anything but SD 1.5 and SDXL, FileError where a part is missing.
    """
    unet = _below(shapes, UNET)
    family = _family(unet, shapes, name)
    try:
        return Layout(
            family,
            _unet_config(unet, family),
            _vae_config(_below(shapes, VAE), family),
            _clip_config(_below(shapes, TEXT[family])),
            _open_clip_config(_below(shapes, OPEN_TEXT)) if family == "SDXL" else None,
        )
    except (KeyError, IndexError) as error:
        raise FileError(
            f"{name} lacks a part of its UNet, VAE or text encoder (there is no tensor {error} in it). "
            f"Use a complete {family} checkpoint in one file."
        ) from error


def _family(unet: Shapes, shapes: Shapes, name: str) -> str:
    """Return SD 1.5 or SDXL, or raise a WrongFamilyError that says what the file is instead."""
    inputs, context = unet.get("input_blocks.0.0.weight"), _context_dim(unet)
    if inputs is None or context is None:
        found = _kind(shapes)
    elif context not in FAMILY_BY_CONTEXT:
        found = _OTHER_CONTEXTS.get(context, f"of a kind we do not know (cross attention {context})")
    elif inputs[1] != 4:
        found = _OTHER_INPUTS.get(inputs[1], f"a checkpoint with {inputs[1]} input channels")
    else:
        return FAMILY_BY_CONTEXT[context]
    raise WrongFamilyError(
        f"FaceID exists for SD 1.5 and SDXL only, and {name} is {found}. Choose a checkpoint of those."
    )


def _kind(shapes: Shapes) -> str:
    for pattern, kind in _OTHER_FILES.items():
        if any(re.search(pattern, key) for key in shapes):
            return kind
    known = family_of(shapes)
    return known.name if known else "of a kind we do not know"


def _context_dim(unet: Shapes) -> int | None:
    return next((shape[1] for key, shape in unet.items() if key.endswith("attn2.to_k.weight")), None)


def _unet_config(unet: Shapes, family: str) -> Config:
    """Return the arguments of `diffusers.UNet2DConditionModel`."""
    levels = _unet_levels(unet)
    channels = [out for out, _, _ in levels]
    has_attention = [depth > 0 for _, depth, _ in levels]
    down, up = ({True: f"CrossAttn{way}Block2D", False: f"{way}Block2D"} for way in ("Down", "Up"))
    config: Config = {
        "block_out_channels": channels,
        "layers_per_block": levels[0][2],
        "down_block_types": [down[attends] for attends in has_attention],
        "up_block_types": [up[attends] for attends in reversed(has_attention)],
        "cross_attention_dim": _context_dim(unet),
        "transformer_layers_per_block": [max(depth, 1) for _, depth, _ in levels],
        "attention_head_dim": SD15_HEADS,  # a historic misnomer of diffusers: it is the number of heads
        "sample_size": 64,
    }
    if family == "SDXL":
        config |= {
            "attention_head_dim": [max(out // SDXL_HEAD_DIM, 1) for out in channels],
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": SIZE_EMBEDDING,
            "projection_class_embeddings_input_dim": unet["label_emb.0.0.weight"][1],
            "sample_size": 128,
        }
    return config


def _unet_levels(unet: Shapes) -> list[tuple[int, int, int]]:
    """Return (channels, transformer blocks per attention, residual blocks) of each level, finest first."""
    levels: list[tuple[int, int, int]] = []
    fresh = True  # the next residual block begins a level
    for index in range(1, _children(unet, "input_blocks")):
        block = f"input_blocks.{index}"
        if f"{block}.0.op.weight" in unet:
            fresh = True
            continue
        channels = unet[f"{block}.0.in_layers.2.weight"][0]
        depth = _children(unet, f"{block}.1.transformer_blocks")
        blocks = 1 if fresh else levels.pop()[2] + 1
        levels.append((channels, depth, blocks))
        fresh = False
    return levels


def _vae_config(vae: Shapes, family: str) -> Config:
    """Return the arguments of `diffusers.AutoencoderKL`."""
    levels = range(_children(vae, "encoder.down"))
    return {
        "block_out_channels": [vae[f"encoder.down.{level}.block.0.conv1.weight"][0] for level in levels],
        "layers_per_block": _children(vae, "encoder.down.0.block"),
        "down_block_types": ["DownEncoderBlock2D" for _ in levels],
        "up_block_types": ["UpDecoderBlock2D" for _ in levels],
        "latent_channels": vae["decoder.conv_in.weight"][1],
        "scaling_factor": VAE_SCALE[family],
        "force_upcast": family == "SDXL",  # its activations overflow float16
    }


def _clip_config(text: Shapes) -> Config:
    """Return the arguments of `transformers.CLIPTextConfig` for OpenAI's text encoder."""
    # Some old checkpoints lack the level "text_model.".
    text = {key.removeprefix("text_model."): shape for key, shape in text.items()}
    return {
        **_text_config(text["embeddings.token_embedding.weight"], text["embeddings.position_embedding.weight"]),
        "intermediate_size": text["encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _children(text, "encoder.layers"),
        "hidden_act": "quick_gelu",
    }


def _open_clip_config(text: Shapes) -> Config:
    """Return the arguments of `transformers.CLIPTextConfig` for open_clip's text encoder."""
    return {
        **_text_config(text["token_embedding.weight"], text["positional_embedding"]),
        "intermediate_size": text["transformer.resblocks.0.mlp.c_fc.weight"][0],
        "num_hidden_layers": _children(text, "transformer.resblocks"),
        "projection_dim": text["text_projection"][1],
        "hidden_act": "gelu",
    }


def _text_config(tokens: tuple[int, ...], positions: tuple[int, ...]) -> Config:
    return {
        "vocab_size": tokens[0],
        "hidden_size": tokens[1],
        "num_attention_heads": tokens[1] // CLIP_HEAD_DIM,
        "max_position_embeddings": positions[0],
        "bos_token_id": LAST_TOKEN - 1,
        "eos_token_id": LAST_TOKEN,
    }


def _children(shapes: Shapes, parent: str) -> int:
    """Return how many modules a list called `parent` has."""
    numbers = {key.removeprefix(f"{parent}.").split(".", 1)[0] for key in shapes if key.startswith(f"{parent}.")}
    return sum(1 for _ in takewhile(lambda index: str(index) in numbers, count()))


def _below(shapes: Shapes, prefix: str) -> Shapes:
    return {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}
