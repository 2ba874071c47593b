"""SigLIP's image encoder: a file's tensors, and transformers' model of that size without its pooling head.

What adapters read is `last_hidden_state`, behind `post_layernorm`; the head, which makes one vector of it, is not
computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lib_faceid.models.image_encoders import PATCH_PX, ImageEncoder

if TYPE_CHECKING:
    from transformers import SiglipVisionModel

__all__ = ["MEAN", "STD", "empty_siglip", "siglip_tensors"]

MEAN = STD = (0.5, 0.5, 0.5)  # google/siglip-so400m-patch14-384, preprocessor_config.json
PATCHES = "embeddings.patch_embedding.weight"
USED_PARTS = ("embeddings.", "encoder.", "post_layernorm.")
HEADS, ACTIVATION = 16, "gelu_pytorch_tanh"  # neither can be deduced from the shapes


def siglip_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that the encoder computes with, as `SiglipVisionModel` names them, whatever their prefix."""
    prefix = next(name for name in tensors if name.endswith(PATCHES)).removesuffix(PATCHES)
    parts = tuple(prefix + part for part in USED_PARTS)
    found = {name: tensor for name, tensor in tensors.items() if name.startswith(parts)}
    return {
        f"vision_model.{name.removeprefix(prefix)}": tensor
        for name, tensor in found.items()
        if not name.endswith("position_ids")
    }


def empty_siglip(tensors: Mapping[str, Tensor], kind: ImageEncoder) -> SiglipVisionModel:
    """Return a model of the tensors' size without weights. Raises ImportError or RuntimeError without transformers."""
    from transformers import SiglipVisionConfig, SiglipVisionModel

    layers = {name.split(".")[3] for name in tensors if name.startswith("vision_model.encoder.layers.")}
    inner = tensors.get("vision_model.encoder.layers.0.mlp.fc1.weight", torch.empty(4 * kind.width, 0))
    config = SiglipVisionConfig(
        hidden_size=kind.width,
        intermediate_size=inner.shape[0],
        num_hidden_layers=max(len(layers), 1),
        num_attention_heads=HEADS,
        image_size=kind.image_px,
        patch_size=PATCH_PX,
        hidden_act=ACTIVATION,
        layer_norm_eps=1e-6,
        vision_use_head=False,
    )
    with torch.device("meta"):
        return SiglipVisionModel(config)
