"""transformers' model of an image encoder, with the weights of a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lib_faceid.encoders.clip_layouts import PROJECTION, vision_tensors
from lib_faceid.encoders.siglip import empty_siglip, siglip_tensors
from lib_faceid.errors import FileError, MissingPackageError
from lib_faceid.models.checkpoint import read_whole
from lib_faceid.models.image_encoders import PATCH_PX, ImageEncoder, require_encoder

if TYPE_CHECKING:
    from typing import TypeAlias

    from transformers import CLIPVisionModel, CLIPVisionModelWithProjection, SiglipVisionModel

    Model: TypeAlias = CLIPVisionModel | CLIPVisionModelWithProjection | SiglipVisionModel

__all__ = ["encoder_tensors", "read_model"]

# Neither can be deduced from the shapes: ViT-H and bigG have 16 heads, and the exact gelu (ViT-L has the quick one).
HEADS, ACTIVATION = 16, "gelu"


def encoder_tensors(path: Path, kind: ImageEncoder) -> dict[str, Tensor]:
    """Return the file's tensors under transformers' names; the projection only if it has one.

    Raises WrongFamilyError for another encoder or none, FileError for a damaged file.
    """
    tensors = read_whole(path).tensors
    require_encoder({name: tuple(tensor.shape) for name, tensor in tensors.items()}, kind.id, path.name)
    return vision_tensors(tensors, path.name, kind.remedy) if kind.has_class_token else siglip_tensors(tensors)


def read_model(path: Path, kind: ImageEncoder, device: torch.device) -> Model:
    """Return the encoder of a file on a device, in float32: a CLIPVisionModel where the file has no projection."""
    tensors = encoder_tensors(path, kind)
    model = _empty_model(tensors, kind)
    weights = {name: tensor.to(device, torch.float32) for name, tensor in tensors.items()}
    _fill(model, weights, path.name, kind)
    # The one buffer: a plain count, which older files hold and newer ones do not.
    model.vision_model.embeddings.position_ids = torch.arange(kind.positions, device=device)[None]
    return model.eval().requires_grad_(requires_grad=False)


def _fill(model: Model, weights: Mapping[str, Tensor], file_name: str, kind: ImageEncoder) -> None:
    """Give the model the file's tensors themselves; raise FileError unless they are exactly what it needs.

    By hand: a WebUI that is loading a checkpoint meanwhile has put another `load_state_dict` into torch itself.
    """
    needed = dict(model.named_parameters())
    missing = [name for name in needed if name not in weights]
    unknown = [name for name in weights if name not in needed and not name.endswith("position_ids")]
    wrong = [name for name, tensor in weights.items() if name in needed and tensor.shape != needed[name].shape]
    if missing or unknown or wrong:
        first = (missing + unknown + wrong)[0]
        problem = f"{len(missing)} missing, {len(unknown)} unknown, {len(wrong)} of another shape, first {first}"
        raise FileError(f"{file_name} is not a whole {kind.label} ({problem}). {kind.remedy}")
    for name in needed:
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, torch.nn.Parameter(weights[name], requires_grad=False))


def _empty_model(tensors: Mapping[str, Tensor], kind: ImageEncoder) -> Model:
    """Return a model of the right size without weights: nothing is allocated, nor drawn at random."""
    try:
        if not kind.has_class_token:
            return empty_siglip(tensors, kind)
        from transformers import CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection
    except (ImportError, RuntimeError) as error:  # its lazy imports raise the latter
        command = f'"{sys.executable}" -m pip install transformers'
        raise MissingPackageError(f"Image encoders need transformers ({error}). Run: {command}") from error
    layers = {name.split(".")[3] for name in tensors if name.startswith("vision_model.encoder.layers.")}
    inner = tensors.get("vision_model.encoder.layers.0.mlp.fc1.weight", torch.empty(4 * kind.width, 0))
    config = CLIPVisionConfig(
        hidden_size=kind.width,
        intermediate_size=inner.shape[0],
        num_hidden_layers=max(len(layers), 2),  # so that there is one before the last
        num_attention_heads=HEADS,
        projection_dim=kind.projection,
        image_size=kind.image_px,
        patch_size=PATCH_PX,
        hidden_act=ACTIVATION,
    )
    with torch.device("meta"):
        return CLIPVisionModelWithProjection(config) if PROJECTION in tensors else CLIPVisionModel(config)
