"""The image side of a CLIP checkpoint under transformers' names, whichever program wrote the file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lib_faceid.errors import WrongFamilyError

__all__ = ["PROJECTION", "vision_tensors"]

CLASS_EMBEDDING = "embeddings.class_embedding"
PROJECTION = "visual_projection.weight"
"""transformers' name of what makes image_embeds of the pooled output, [image_embeds, width]."""
OPEN_CLIP_PROJECTION = "proj"  # the same, transposed
USED_PARTS = ("embeddings.", "pre_layrnorm.", "encoder.", "post_layernorm.")  # transformers' spelling
# open_clip's names -> transformers' (github.com/mlfoundations/open_clip, transformer.py).
OPEN_CLIP_WHOLE = {
    "class_embedding": CLASS_EMBEDDING,
    "positional_embedding": "embeddings.position_embedding.weight",
    "conv1.weight": "embeddings.patch_embedding.weight",
}
OPEN_CLIP_NORMS = {"ln_pre": "pre_layrnorm", "ln_post": "post_layernorm"}
OPEN_CLIP_PARTS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def vision_tensors(tensors: Mapping[str, Tensor], file_name: str, remedy: str) -> dict[str, Tensor]:
    """Return the tensors of the image encoder as CLIPVisionModelWithProjection names them, whatever their prefix.

    PROJECTION is left out where the file has none. Raises WrongFamilyError where there is no encoder.
    """
    if found := next((name for name in tensors if name.endswith(CLASS_EMBEDDING)), None):
        return _from_transformers(tensors, found.removesuffix(CLASS_EMBEDDING))
    found = next((name for name in tensors if name.endswith("conv1.weight")), None)
    prefix = found.removesuffix("conv1.weight") if found else ""
    if found is None or f"{prefix}class_embedding" not in tensors:
        raise WrongFamilyError(f"{file_name} is not a CLIP image encoder. {remedy}")
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            renamed |= _from_open_clip(name.removeprefix(prefix), tensor)
    return renamed


def _from_transformers(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors after a prefix that mostly ends in `vision_model.`; the projection is beside that."""
    parts = tuple(prefix + part for part in USED_PARTS)
    renamed = {
        f"vision_model.{name.removeprefix(prefix)}": tensor
        for name, tensor in tensors.items()
        if name.startswith(parts) and not name.endswith("position_ids")
    }
    projection = prefix.removesuffix("vision_model.") + PROJECTION
    return renamed | ({PROJECTION: tensors[projection]} if projection in tensors else {})


def _from_open_clip(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Return one tensor under transformers' names; empty for what is not read (the text side)."""
    if name == OPEN_CLIP_PROJECTION:
        return {PROJECTION: tensor.T.contiguous()}
    return {f"vision_model.{new}": part for new, part in _vision_from_open_clip(name, tensor).items()}


def _vision_from_open_clip(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Return one tensor under transformers' names; empty for what is not read."""
    if name in OPEN_CLIP_WHOLE:
        return {OPEN_CLIP_WHOLE[name]: tensor}
    part, _, kind = name.rpartition(".")
    if part in OPEN_CLIP_NORMS:
        return {f"{OPEN_CLIP_NORMS[part]}.{kind}": tensor}
    if not (match := BLOCK.fullmatch(name)):
        return {}
    layer, part, kind = f"encoder.layers.{match[1]}", match[2], match[3]
    if part == "attn.in_proj":  # queries, keys and values in one
        return {f"{layer}.self_attn.{which}_proj.{kind}": t for which, t in zip("qkv", tensor.chunk(3), strict=True)}
    return {f"{layer}.{OPEN_CLIP_PARTS[part]}.{kind}": tensor} if part in OPEN_CLIP_PARTS else {}
