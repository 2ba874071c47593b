"""PhotoMaker's networks: CLIP ViT-L/14 in the file itself, what makes rows of a photo, and what fuses them with text.

The formulas are those of https://github.com/TencentARC/PhotoMaker (Apache-2.0, commit 060b4fc), `photomaker/model.py`
and `photomaker/model_v2.py`; the vision tower is that of https://github.com/openai/CLIP (MIT), under transformers'
names. Every size is read off the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.methods.networks import Perceiver, below, loaded

__all__ = ["Encoder", "EncoderV2", "Fuse", "encoder", "encoder_v2", "fuse"]

_State: TypeAlias = Mapping[str, Tensor]

HEAD_DIM = 64  # of CLIP ViT-L; it leaves no trace in the weights
RESAMPLER_HEAD_DIM = 128


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return what hidden states [n, length, width] take from each other."""
        of_heads = (
            project(hidden).unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(functional.scaled_dot_product_attention(*of_heads).transpose(1, 2).flatten(2))


class _Layer(nn.Module):
    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, wide), "fc2": nn.Linear(wide, width)})

    def forward(self, hidden: Tensor) -> Tensor:
        """Return hidden states [n, length, width] after one layer."""
        hidden = hidden + self.self_attn(self.layer_norm1(hidden))
        inner = self.mlp["fc1"](self.layer_norm2(hidden))
        return hidden + self.mlp["fc2"](inner * torch.sigmoid(1.702 * inner))  # ViT-L has the quick gelu


class _Tower(nn.Module):
    def __init__(self, state: _State) -> None:
        super().__init__()
        width, _, patch, _ = state["embeddings.patch_embedding.weight"].shape
        positions = state["embeddings.position_embedding.weight"].shape[0]
        wide = state["encoder.layers.0.mlp.fc1.weight"].shape[0]
        depth = 1 + max(int(key.split(".")[2]) for key in state if key.startswith("encoder.layers."))
        self.embeddings = nn.Module()
        self.embeddings.class_embedding = nn.Parameter(torch.empty(width))
        self.embeddings.patch_embedding = nn.Conv2d(3, width, patch, patch, bias=False)
        self.embeddings.position_embedding = nn.Embedding(positions, width)
        self.pre_layrnorm, self.post_layernorm = nn.LayerNorm(width), nn.LayerNorm(width)  # transformers' spelling
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(_Layer(width, wide) for _ in range(depth))})

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the last hidden states [n, positions, width] of pixel values [n, 3, h, w], without the last norm."""
        embeddings: nn.Module = self.embeddings
        patches = embeddings.get_submodule("patch_embedding")(pixels).flatten(2).transpose(1, 2)
        first = embeddings.get_parameter("class_embedding").expand(len(pixels), 1, -1)
        positions = embeddings.get_parameter("position_embedding.weight")
        hidden = self.pre_layrnorm(torch.cat((first, patches), dim=1) + positions)
        for layer in self.encoder["layers"]:  # type: ignore[misc]  # layers, by construction
            hidden = layer(hidden)
        return hidden


class Encoder(nn.Module):
    """v1: a photo is one row, the class token in the widths of both text encoders."""

    def __init__(self, state: _State) -> None:
        super().__init__()
        self.vision_model = _Tower(below(state, "vision_model."))
        self.visual_projection, self.visual_projection_2 = (
            nn.Linear(*reversed(state[f"{name}.weight"].shape), bias=False)
            for name in ("visual_projection", "visual_projection_2")
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Return rows [n, 1, width of the text] of pixel values [n, 3, 224, 224]."""
        pooled = self.vision_model.post_layernorm(self.vision_model(pixels)[:, 0])
        return torch.cat((self.visual_projection(pooled), self.visual_projection_2(pooled)), dim=-1)[:, None]


class _Qformer(nn.Module):
    def __init__(self, state: _State) -> None:
        super().__init__()
        hidden, id_dim = state["token_proj.0.weight"].shape
        out, width = state["token_proj.2.weight"].shape[0], state["token_norm.weight"].shape[0]
        self.token_shape = out // width, width
        self.token_proj = nn.Sequential(nn.Linear(id_dim, hidden), nn.GELU(), nn.Linear(hidden, out))
        self.token_norm = nn.LayerNorm(width)
        self.perceiver_resampler = Perceiver(below(state, "perceiver_resampler."), RESAMPLER_HEAD_DIM)


class EncoderV2(nn.Module):
    """v2: a photo is two rows, made of the face's raw vector, which reads what the tower sees."""

    def __init__(self, state: _State) -> None:
        super().__init__()
        self.vision_model = _Tower(below(state, "vision_model."))
        self.qformer_perceiver = _Qformer(below(state, "qformer_perceiver."))

    def forward(self, vectors: Tensor, pixels: Tensor) -> Tensor:
        """Return rows [n, 2, width of the text] of raw vectors [n, 512] and pixel values [n, 3, 224, 224]."""
        former = self.qformer_perceiver
        rows = former.token_norm(former.token_proj(vectors).unflatten(-1, former.token_shape))
        return rows + former.perceiver_resampler.resample(rows, self.vision_model(pixels))


class _MLP(nn.Module):
    def __init__(self, state: _State) -> None:
        super().__init__()
        (hidden, into), out = state["fc1.weight"].shape, state["fc2.weight"].shape[0]
        self.layernorm = nn.LayerNorm(into)
        self.fc1, self.fc2 = nn.Linear(into, hidden), nn.Linear(hidden, out)

    def forward(self, rows: Tensor) -> Tensor:
        """Return rows [n, out] of rows [n, into]."""
        return self.fc2(functional.gelu(self.fc1(self.layernorm(rows))))


class Fuse(nn.Module):
    """The rows of a text's word and those of a person become one."""

    def __init__(self, state: _State) -> None:
        super().__init__()
        self.mlp1, self.mlp2 = _MLP(below(state, "mlp1.")), _MLP(below(state, "mlp2."))
        self.layer_norm = nn.LayerNorm(state["layer_norm.weight"].shape[0])

    def forward(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Return rows [n, width] of a text's rows and a person's, both [n, width]."""
        joined = self.mlp1(torch.cat((rows, ids), dim=-1)) + rows
        return self.layer_norm(joined + self.mlp2(joined))


def encoder(state: _State) -> Encoder:
    """Return v1's encoder of these weights, in float32."""
    used = _used(state, ("vision_model.", "visual_projection.", "visual_projection_2."))
    return loaded(used, lambda: Encoder(used))


def encoder_v2(state: _State) -> EncoderV2:
    """Return v2's encoder of these weights, in float32; the projections of v1 lie in its file, and are not used."""
    used = _used(state, ("vision_model.", "qformer_perceiver."))
    return loaded(used, lambda: EncoderV2(used))


def fuse(state: _State) -> Fuse:
    """Return what fuses rows of the weights in the same file, in float32."""
    used = below(state, "fuse_module.")
    return loaded(used, lambda: Fuse(used))


def _used(state: _State, parts: tuple[str, ...]) -> _State:
    """Return the tensors of these parts, without the plain count that older versions of transformers save."""
    return {key: one for key, one in state.items() if key.startswith(parts) and not key.endswith("position_ids")}
