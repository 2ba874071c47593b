"""Load a single-file SD 1.5 or SDXL checkpoint into diffusers, offline, whatever its widths."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.models.clip.modeling_clip import CLIPTextEmbeddings

from lib_faceid.errors import FileError
from lib_faceid.hosts.diffusers.single_file import OPEN_TEXT, TEXT, Layout, read_checkpoint
from lib_faceid.hosts.diffusers.tokenizer import write_tokenizer

__all__ = ["Parts", "clip_tokenizer", "filled", "load_parts"]

Network = TypeVar("Network", bound=nn.Module)
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Parts:
    """A checkpoint, taken apart under the names that diffusers' pipelines know."""

    family: str
    """SD 1.5 or SDXL"""
    modules: Mapping[str, Any]
    """unet, vae, text_encoder, tokenizer, scheduler; SDXL also text_encoder_2 and tokenizer_2"""


def load_parts(path: Path, dtype: torch.dtype = torch.float32) -> Parts:
    """Return the networks, tokenizers and scheduler of a checkpoint, on the CPU.

    Raises FileError for a damaged or incomplete file, WrongFamilyError for anything but SD 1.5 and SDXL.
    """
    state, layout = read_checkpoint(path)
    try:
        networks = _networks(state, layout)
    except (RuntimeError, LookupError, ValueError, AttributeError) as error:
        raise FileError(f"{path.name} is no whole {layout.family} checkpoint: {_second_line(error)}.") from error
    prepared = {name: network.to(dtype).eval().requires_grad_(False) for name, network in networks.items()}
    scheduler = _scheduler(predicts_v="v_pred" in state)  # how SDXL checkpoints of that kind mark themselves
    return Parts(layout.family, {**prepared, **_tokenizers(layout), "scheduler": scheduler})


def _networks(state: State, layout: Layout) -> dict[str, nn.Module]:
    networks: dict[str, nn.Module] = {
        "unet": filled(
            lambda: UNet2DConditionModel(**layout.unet),
            lambda _: convert_ldm_unet_checkpoint(state, layout.unet),
        ),
        "vae": filled(lambda: AutoencoderKL(**layout.vae), lambda _: convert_ldm_vae_checkpoint(state, layout.vae)),
        "text_encoder": filled(
            lambda: CLIPTextModel(CLIPTextConfig(**layout.text)),
            lambda _: _clip_state(state, TEXT[layout.family]),
        ),
    }
    if layout.open_text:
        config = CLIPTextConfig(**layout.open_text)
        networks["text_encoder_2"] = filled(
            lambda: CLIPTextModelWithProjection(config),
            lambda network: convert_open_clip_checkpoint(network, state, prefix=OPEN_TEXT),
        )
    return networks


def filled(build: Callable[[], Network], convert: Callable[[Network], State]) -> Network:
    """Return the network with its weights. It is built without memory, so nothing is initialised in vain.

    Tensors that it has no place for are left out (files carry position_ids, training statistics, ...);
    a missing or misshapen one raises RuntimeError.
    """
    with torch.device("meta"):
        network = build()
    names = network.state_dict().keys()
    state = {name: tensor for name, tensor in convert(network).items() if name in names}
    network.load_state_dict(state, strict=True, assign=True)
    for module in network.modules():
        if isinstance(module, CLIPTextEmbeddings):  # it counts its positions in a buffer that is in no state dict
            positions = module.position_embedding.num_embeddings
            module.register_buffer("position_ids", torch.arange(positions)[None], persistent=False)
    return network


def _clip_state(state: State, prefix: str) -> State:
    names = {key: key.removeprefix(prefix).removeprefix("text_model.") for key in state if key.startswith(prefix)}
    return {f"text_model.{name}": state[key] for key, name in names.items()}


def clip_tokenizer() -> CLIPTokenizer:
    """Return OpenAI's tokenizer, of the vocabulary that ships with the package."""
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder))
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def _tokenizers(layout: Layout) -> dict[str, CLIPTokenizer]:
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder))
        tokenizers = {"tokenizer": CLIPTokenizer.from_pretrained(folder, local_files_only=True)}
        if layout.open_text:  # open_clip pads with token 0, which is "!"
            tokenizers["tokenizer_2"] = CLIPTokenizer.from_pretrained(
                folder,
                local_files_only=True,
                pad_token="!",  # noqa: S106
            )
    return tokenizers


def _scheduler(*, predicts_v: bool) -> DDIMScheduler:
    """Return a deterministic sampler with the noise schedule that both families were trained on."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction" if predicts_v else "epsilon",
    )


def _second_line(error: Exception) -> str:
    """Return what torch's load_state_dict says first: its own first line is but a title."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines()]
    return next(iter([line for line in lines[1:] if line] or lines), type(error).__name__)[:200]
