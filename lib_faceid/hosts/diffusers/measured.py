"""What a job has to know of a checkpoint, a file or a folder, before its weights are loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from lib_faceid.bases.base_model import FLUX
from lib_faceid.errors import FileError, WrongFamilyError
from lib_faceid.hosts.diffusers.flux_files import is_flux_folder
from lib_faceid.hosts.diffusers.flux_names import is_flux_file, transformer_config, without_prefix
from lib_faceid.hosts.diffusers.single_file import cross_widths, read_layout, tensors_of

__all__ = ["FluxKind", "Measured", "flux_kind", "measured"]


class Measured(NamedTuple):
    """The widths that adapters fit or do not."""

    context: int
    """The width of the text conditioning (cross attention dimension)."""
    layers: tuple[int, ...] = ()
    """Of the cross-attention layers, sorted; none in a transformer."""


class FluxKind(NamedTuple):
    """What is known of a FLUX.1 checkpoint before it is loaded."""

    context: int
    has_guidance: bool
    """Whether it is [dev], which is told how strictly to follow the prompt; [schnell] draws in 4 steps."""


def flux_kind(checkpoint: Path) -> FluxKind | None:
    """Return what a FLUX.1 checkpoint is, a file or a folder of diffusers; None for anything else. Raises FileError."""
    if checkpoint.is_dir():
        return _of_folder(checkpoint) if is_flux_folder(checkpoint) else None
    return _of_tensors(tensors_of(checkpoint), checkpoint.name)


def measured(checkpoint: Path) -> Measured:
    """Return the widths of a checkpoint. Raises FileError, and WrongFamilyError for a kind that is not drawn here."""
    if checkpoint.is_dir():
        if kind := flux_kind(checkpoint):
            return Measured(kind.context)
        raise WrongFamilyError(
            f"{checkpoint.name} is a folder, and no FLUX.1 as diffusers saves it (model_index.json with a "
            "FluxTransformer2DModel). Choose a checkpoint of SD 1.5 or SDXL in one file, or FLUX.1."
        )
    tensors = tensors_of(checkpoint)
    if kind := _of_tensors(tensors, checkpoint.name):
        return Measured(kind.context)
    layout = read_layout({key: tuple(tensor.shape) for key, tensor in tensors.items()}, checkpoint.name)
    return Measured(layout.cross_attention_dim, cross_widths(tensors))


def _of_tensors(tensors: Mapping[str, Tensor], name: str) -> FluxKind | None:
    if not is_flux_file(tensors):
        return None
    own = without_prefix(tensors)
    config = transformer_config({key: tuple(tensor.shape) for key, tensor in own.items()}, name)
    return FluxKind(config["joint_attention_dim"], config["guidance_embeds"])


def _of_folder(folder: Path) -> FluxKind:
    path = folder / "transformer" / "config.json"
    try:
        config: dict[str, Any] = dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FileError(f"{path} cannot be read ({error}). Get the folder {folder.name} again.") from error
    return FluxKind(config.get("joint_attention_dim", FLUX), bool(config.get("guidance_embeds")))
