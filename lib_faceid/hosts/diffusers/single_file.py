"""What a single-file checkpoint is made of, read off its tensors' names and shapes.

No configuration file is needed, on disk or from a hub, so any width loads: the published one, or a miniature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lib_faceid.bases.base_model import BASE_LABELS, UNETS
from lib_faceid.errors import FileError, WrongFamilyError
from lib_faceid.hosts.diffusers.network_sizes import (
    Config,
    Shapes,
    clip_config,
    context_dim,
    open_clip_config,
    unet_config,
    vae_config,
)
from lib_faceid.methods.foreign import family_of
from lib_faceid.models.checkpoint import read_tensors

__all__ = ["Layout", "cross_widths", "read_checkpoint", "read_layout", "tensors_of"]

UNET, VAE = "model.diffusion_model.", "first_stage_model."
TEXT = {"SD 1.5": "cond_stage_model.transformer.", "SDXL": "conditioner.embedders.0.transformer."}
OPEN_TEXT = "conditioner.embedders.1.model."

_OTHER_CONTEXTS = {1024: "SD 2.x", 1280: "the refiner of SDXL"}
_OTHER_FILES = {r"joint_blocks\.": "SD 3", r"double_blocks\.": "Flux", r"to_k_ip\.": "an IP-Adapter"}
_OTHER_INPUTS = {8: "an InstructPix2Pix checkpoint", 9: "an inpainting checkpoint"}


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

    @property
    def cross_attention_dim(self) -> int:
        """The width of the text conditioning, by which an adapter fits or does not."""
        return self.unet["cross_attention_dim"]


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Layout]:
    """Return the tensors of a checkpoint and what they make. Raises what `read_layout` and `read_tensors` raise."""
    tensors = tensors_of(path)
    return tensors, read_layout({key: tuple(tensor.shape) for key, tensor in tensors.items()}, path.name)


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint; files that training saved keep theirs one level down."""
    return {key.removeprefix("state_dict."): tensor for key, tensor in read_tensors(path).items()}


def cross_widths(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Return the widths of the UNet's cross-attention layers, sorted, of what `read_checkpoint` gave."""
    queries = (key for key in tensors if key.startswith(UNET) and key.endswith(".attn2.to_q.weight"))
    return tuple(sorted(tensors[key].shape[0] for key in queries))


def read_layout(shapes: Shapes, name: str) -> Layout:
    """Return the sizes of every part of a checkpoint; `name` is the file's, for messages.

    Raises WrongFamilyError for anything but SD 1.5 and SDXL, FileError where a part is missing.
    """
    unet = _below(shapes, UNET)
    family = _family(unet, shapes, name)
    try:
        return Layout(
            family,
            unet_config(unet, family),
            vae_config(_below(shapes, VAE), family),
            clip_config(_below(shapes, TEXT[family])),
            open_clip_config(_below(shapes, OPEN_TEXT)) if family == "SDXL" else None,
        )
    except (KeyError, IndexError) as error:
        raise FileError(
            f"{name} lacks a part of its UNet, VAE or text encoder (there is no tensor {error} in it). "
            f"Use a complete {family} checkpoint in one file."
        ) from error


def _family(unet: Shapes, shapes: Shapes, name: str) -> str:
    """Return SD 1.5 or SDXL, or raise a WrongFamilyError that says what the file is instead."""
    inputs, context = unet.get("input_blocks.0.0.weight"), context_dim(unet)
    if inputs is None or context is None:
        found = _kind(shapes)
    elif context not in UNETS:
        found = _OTHER_CONTEXTS.get(context, f"of a kind we do not know (cross attention {context})")
    elif inputs[1] != 4:
        found = _OTHER_INPUTS.get(inputs[1], f"a checkpoint with {inputs[1]} input channels")
    else:
        return BASE_LABELS[context]
    raise WrongFamilyError(
        f"FaceID exists for SD 1.5 and SDXL only, and {name} is {found}. Choose a checkpoint of those."
    )


def _kind(shapes: Shapes) -> str:
    for pattern, kind in _OTHER_FILES.items():
        if any(re.search(pattern, key) for key in shapes):
            return kind
    known = family_of(shapes)
    return known.name if known else "of a kind we do not know"


def _below(shapes: Shapes, prefix: str) -> Shapes:
    return {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}
