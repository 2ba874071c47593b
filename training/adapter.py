"""A FaceID adapter in training: the tensors of the published file, as live parameters.

identity [faces, 512] --MLP--> 4 tokens --to_k_ip, to_v_ip of each cross-attention--> one more attention
and a LoRA on the q, k, v and out of every attention, self and cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.methods.networks import MLPProjection
from lib_faceid.miniature.sizes import UNetSizes

__all__ = ["FaceAdapter", "FaceLayer", "Faces"]

ID_DIM, HIDDEN, TOKENS = 512, 512, 4


class FaceAdapter(nn.Module):
    """The whole adapter; `state_dict` has the names of the flat published layout."""

    def __init__(self, unet: UNetSizes, rank: int) -> None:
        super().__init__()
        self.image_proj = MLPProjection(ID_DIM, HIDDEN, unet.context, TOKENS)
        # A vector of length 1 has entries of 0.04: torch's own start would make everybody nearly the same.
        first = self.image_proj.proj.get_submodule("0")
        nn.init.normal_(first.get_parameter("weight"))
        nn.init.zeros_(first.get_parameter("bias"))
        layers: list[nn.Module] = []
        for channels in unet.attention_channels:
            layers += [FaceLayer(channels, channels, rank), FaceLayer(channels, unet.context, rank, is_cross=True)]
        self.ip_adapter = nn.ModuleList(layers)

    def faces(self, id_embeddings: Tensor, scale: float, lora: float) -> Faces:
        """Return what the UNet's layers need to draw people side by side in each picture.

        id_embeddings: [n, people, 512], raw, zeros for nobody (the negative side); scale, lora: 0 for off.
        """
        tokens = self.image_proj(functional.normalize(id_embeddings.flatten(0, 1), dim=-1))
        return Faces(tokens, id_embeddings.shape[1], scale, lora)


@dataclass(frozen=True, eq=False)
class Faces:
    """The identity tokens [n * people, 4, context] of a batch, and how much of the adapter its pictures get.

    People stand side by side in squares of the same size, and each square of a picture sees its own person only.
    """

    tokens: Tensor
    people: int
    scale: float
    lora: float


class FaceLayer(nn.Module):
    """What the adapter adds to one attention layer."""

    def __init__(self, channels: int, context: int, rank: int, *, is_cross: bool = False) -> None:
        super().__init__()
        if is_cross:
            self.to_k_ip = nn.Linear(context, channels, bias=False)
            self.to_v_ip = nn.Linear(context, channels, bias=False)
        self.to_q_lora = _Lora(channels, channels, rank)
        self.to_k_lora = _Lora(context, channels, rank)
        self.to_v_lora = _Lora(context, channels, rank)
        self.to_out_lora = _Lora(channels, channels, rank)

    def lora(self, name: str) -> Tensor:
        """Return what the LoRA adds to the matrix "q", "k", "v" or "out"."""
        pair = self.get_submodule(f"to_{name}_lora")
        up, down = (pair.get_submodule(part).get_parameter("weight") for part in ("up", "down"))
        return up @ down


class _Lora(nn.Module):
    """A low-rank addition to a Linear; it starts as nothing."""

    def __init__(self, into: int, out: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(into, rank, bias=False)
        self.up = nn.Linear(rank, out, bias=False)
        nn.init.normal_(self.down.weight, std=1 / max(into, 1) ** 0.5)
        torch.nn.init.zeros_(self.up.weight)
