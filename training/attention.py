"""The UNet's attention: to the picture itself, to the prompt, and (where an adapter acts) to a face."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.adapter import FaceLayer, Faces
from training.layers import group_norm, zeroed

__all__ = ["Adapted", "Prompts", "Transformer"]

HEADS = 8  # in every SD 1.5, whatever the width
FAST_WIDTH = 16  # of a vector register, in float32
Adapted = tuple[FaceLayer, Faces]  # one layer of an adapter, and whom it draws


@dataclass(frozen=True, eq=False)
class Prompts:
    """The contexts of a batch. Few pictures have captions of their own, so keys and values are made once for each."""

    contexts: Tensor
    """[different captions, 77, 768]"""
    rows: Tensor
    """[n]: which of them each picture has."""


class Transformer(nn.Module):
    """A `SpatialTransformer` of depth 1. Its last layer starts as nothing."""

    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, 1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([_Block(channels, context)])
        self.proj_out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, prompts: Prompts, adapted: tuple[Adapted, Adapted] | None) -> Tensor:
        """Return the picture's features [n, channels, h, w] after one look around."""
        places = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        places = self.transformer_blocks[0](places, prompts, adapted)
        return x + self.proj_out(places.transpose(1, 2).unflatten(2, x.shape[2:]))


class _Block(nn.Module):
    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.attn1 = _Attention(channels, channels)
        self.ff = _FeedForward(channels)
        self.attn2 = _Attention(channels, context)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))

    def forward(self, x: Tensor, prompts: Prompts, adapted: tuple[Adapted, Adapted] | None) -> Tensor:
        to_itself, to_others = adapted or (None, None)
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed, None, to_itself)
        x = x + self.attn2(self.norm2(x), prompts.contexts, prompts.rows, to_others)
        return x + self.ff(self.norm3(x))


class _Gated(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(into, 2 * out)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * functional.gelu(gate)


class _FeedForward(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(_Gated(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class _Attention(nn.Module):
    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(self, x: Tensor, context: Tensor, rows: Tensor | None, adapted: Adapted | None) -> Tensor:
        """Return what the places x [n, places, channels] take from the context of their row."""
        layer, faces = adapted or (None, None)
        weights = self._weights(layer, faces.lora if faces else 0.0)
        if rows is None:
            q, k, v = functional.linear(x, torch.cat([weights[name] for name in "qkv"])).chunk(3, dim=-1)
        else:
            q = functional.linear(x, weights["q"])
            k, v = functional.linear(context, torch.cat((weights["k"], weights["v"])))[rows].chunk(2, dim=-1)
        seen = _attend(q, k, v)
        if faces and layer is not None and hasattr(layer, "to_k_ip"):
            k_ip, v_ip = layer.to_k_ip(faces.tokens), layer.to_v_ip(faces.tokens)
            seen = seen + faces.scale * _joined(_attend(_squares(q, faces.people), k_ip, v_ip), faces.people)
        return functional.linear(seen, weights["out"], self.to_out.get_submodule("0").get_parameter("bias"))

    def _weights(self, layer: FaceLayer | None, lora: float) -> dict[str, Tensor]:
        """Return the four matrices with the LoRA merged into them, which is much cheaper than beside them."""
        linears = {"q": self.to_q, "k": self.to_k, "v": self.to_v, "out": self.to_out.get_submodule("0")}
        weights: dict[str, Tensor] = {name: linear.get_parameter("weight") for name, linear in linears.items()}
        if layer is None or not lora:
            return weights
        return {name: weight + lora * layer.lora(name) for name, weight in weights.items()}


def _squares(x: Tensor, count: int) -> Tensor:
    """Return the squares [n * count, side * side, c] that stand side by side in pictures [n, places, c]."""
    side = isqrt(x.shape[1] // count)
    return x if count == 1 else x.unflatten(1, (side, count, side)).transpose(1, 2).reshape(-1, side * side, x.shape[2])


def _joined(squares: Tensor, count: int) -> Tensor:
    """Return the pictures of these squares: `_squares` undone."""
    side = isqrt(squares.shape[1])
    return (
        squares
        if count == 1
        else squares.unflatten(1, (side, side)).unflatten(0, (-1, count)).transpose(1, 2).flatten(1, 3)
    )


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return the attention of HEADS heads, in float32: bfloat16 is slow on a CPU for heads this small.

    Zeros that fill a head up to FAST_WIDTH change nothing, and make it a third faster.
    """
    width = q.shape[-1] // HEADS
    with torch.autocast("cpu", enabled=False):
        heads = (x.float().unflatten(-1, (HEADS, width)).transpose(1, 2) for x in (q, k, v))
        q, k, v = (functional.pad(x, (0, max(FAST_WIDTH - width, 0))) for x in heads)
        seen = functional.scaled_dot_product_attention(q, k, v, scale=width**-0.5)
        return seen[..., :width].transpose(1, 2).flatten(2)
