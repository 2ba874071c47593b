"""FLUX.1 from a diffusers folder, or from one file and the parts that lie elsewhere; offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.utils import logging
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel, T5TokenizerFast

from lib_faceid.errors import FaceIDError, FileError
from lib_faceid.hosts.diffusers.checkpoint import clip_tokenizer, filled
from lib_faceid.hosts.diffusers.flux_files import State, find_parts, vocabulary_folder
from lib_faceid.hosts.diffusers.flux_names import (
    PACKED,
    PREFIX,
    diffusers_names,
    transformer_config,
    unscaled,
    without_prefix,
)
from lib_faceid.hosts.diffusers.network_sizes import clip_config, t5_config, vae_config
from lib_faceid.models.checkpoint import read_tensors
from lib_faceid.models.folders import Roots

__all__ = ["FAMILY", "LONG", "SHORT", "flux_pipeline"]

SHIFTED: dict[str, Any] = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}
SHORT, LONG = 256, 512  # tokens of a prompt: of [schnell], of [dev]
FAMILY = "FLUX.1"


def flux_pipeline(checkpoint: Path, roots: Roots, dtype: torch.dtype) -> FluxPipeline:
    """Return diffusers' pipeline of a checkpoint, on the CPU.

    Raises FileError for a damaged or incomplete one, MissingModelError where a part is not here.
    """
    try:
        return _of_folder(checkpoint, dtype) if checkpoint.is_dir() else _of_file(checkpoint, roots, dtype)
    except FaceIDError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, AttributeError, TypeError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"{checkpoint.name} is no whole {FAMILY} checkpoint: {reason}. Get it again.") from error


def _of_folder(folder: Path, dtype: torch.dtype) -> FluxPipeline:
    # Nothing but safetensors: what else weights may lie in is a pickle, which is run when it is opened.
    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "torch_dtype": dtype}
    logging.disable_progress_bar()  # of networks that come from the disk in a moment
    try:
        return FluxPipeline.from_pretrained(str(folder), **options)
    finally:
        logging.enable_progress_bar()


def _of_file(path: Path, roots: Roots, dtype: torch.dtype) -> FluxPipeline:
    state = read_tensors(path)
    own = without_prefix(state)
    config = transformer_config(_shapes(own), path.name)
    widths = config["joint_attention_dim"], config["pooled_projection_dim"], config["in_channels"] // PACKED
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(PREFIX)}
    parts = find_parts(rest, path, roots, widths)
    vocabulary = vocabulary_folder(path, roots)
    transformer = filled(lambda: FluxTransformer2DModel(**config), lambda _: diffusers_names(unscaled(own, dtype)))
    return FluxPipeline(
        scheduler=_scheduler(has_guidance=config["guidance_embeds"]),
        transformer=_ready(transformer, dtype),
        text_encoder=_ready(_clip(parts["text_encoder"], dtype), dtype),
        text_encoder_2=_ready(_t5(parts["text_encoder_2"], dtype), dtype),
        vae=_ready(_vae(parts["vae"], dtype), dtype),
        tokenizer=clip_tokenizer(),
        tokenizer_2=T5TokenizerFast.from_pretrained(str(vocabulary), local_files_only=True, model_max_length=LONG),
    )


def _ready(network: nn.Module, dtype: torch.dtype) -> Any:
    return network.to(dtype).eval().requires_grad_(False)


def _scheduler(*, has_guidance: bool) -> FlowMatchEulerDiscreteScheduler:
    """Return the sampler with the published settings: [dev]'s shift grows with the picture's size."""
    shift = 3.0 if has_guidance else 1.0
    return FlowMatchEulerDiscreteScheduler(shift=shift, use_dynamic_shifting=has_guidance, **SHIFTED)


def _clip(part: State | Path, dtype: torch.dtype) -> nn.Module:
    if isinstance(part, Path):
        return CLIPTextModel.from_pretrained(str(part), local_files_only=True, use_safetensors=True)
    state = unscaled(part, dtype)
    return filled(lambda: CLIPTextModel(CLIPTextConfig(**clip_config(_shapes(state)))), lambda _: state)


def _t5(part: State | Path, dtype: torch.dtype) -> nn.Module:
    if isinstance(part, Path):
        return T5EncoderModel.from_pretrained(str(part), local_files_only=True, use_safetensors=True)
    state = unscaled(part, dtype)
    words = next(state[name] for name in ("shared.weight", "encoder.embed_tokens.weight") if name in state)
    state |= {"shared.weight": words, "encoder.embed_tokens.weight": words}  # one matrix, of which files have one name
    return filled(lambda: T5EncoderModel(T5Config(**t5_config(_shapes(state)))), lambda _: state)


def _vae(part: State | Path, dtype: torch.dtype) -> nn.Module:
    if isinstance(part, Path):
        return AutoencoderKL.from_pretrained(str(part), local_files_only=True, use_safetensors=True)
    state = unscaled(part, dtype)
    config = vae_config(_shapes(state), FAMILY)
    return filled(lambda: AutoencoderKL(**config), lambda _: convert_ldm_vae_checkpoint(state, config))


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
