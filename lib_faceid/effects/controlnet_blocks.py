"""The blocks of a ControlNet in plain torch, under the names of diffusers' files; every size is read off the weights.

The formulas are those of a Stable Diffusion UNet (Rombach et al. 2022, https://arxiv.org/abs/2112.10752): residual
blocks with the time in their middle, and transformers of self-attention, cross-attention and a gated feed-forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Embedding", "Hint", "Level", "Middle", "State", "below", "conv", "count", "sinusoids"]

State = Mapping[str, Tensor]
Heads = Callable[[int], int]
"""Gives the number of attention heads of a layer of that width; it leaves no trace in the weights."""

GROUPS = 32
LONGEST_PERIOD = 10_000


def below(state: State, prefix: str) -> State:
    """Return the tensors whose names begin so, without the beginning."""
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def count(state: State) -> int:
    """Return how many numbered parts there are, counted from 0."""
    return 1 + max((int(key.split(".")[0]) for key in state), default=-1)


def conv(state: State, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size of the map, or halves it."""
    out_dim, in_dim, size, _ = state["weight"].shape
    return nn.Conv2d(in_dim, out_dim, size, stride, padding=size // 2)


def sinusoids(values: Tensor, dim: int) -> Tensor:
    """Return cosines and sines [n, dim] of numbers [n], float32, as the time is given to the network."""
    rates = torch.exp(-math.log(LONGEST_PERIOD) * torch.arange(dim // 2, device=values.device) / (dim // 2))
    angles = values.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)


def _linear(state: State) -> nn.Linear:
    out_dim, in_dim = state["weight"].shape
    return nn.Linear(in_dim, out_dim, bias="bias" in state)


def _group_norm(channels: int, eps: float) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps)


class Embedding(nn.Module):
    """Two layers that make one vector of the time, or of the size and the pooled prompt."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.linear_1 = _linear(below(state, "linear_1."))
        self.linear_2 = _linear(below(state, "linear_2."))

    def forward(self, vector: Tensor) -> Tensor:
        """Return [B, wide] of [B, dim]."""
        return self.linear_2(functional.silu(self.linear_1(vector)))


class Hint(nn.Module):
    """Makes of the picture that is to be followed a map as large as the latents."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.conv_in, self.conv_out = conv(below(state, "conv_in.")), conv(below(state, "conv_out."))
        blocks = below(state, "blocks.")
        self.blocks = nn.ModuleList(conv(below(blocks, f"{at}."), 1 + at % 2) for at in range(count(blocks)))

    def forward(self, picture: Tensor) -> Tensor:
        """Return [B, channels, h, w] of pixels [B, 3, H, W] from 0 to 1."""
        found = functional.silu(self.conv_in(picture))
        for block in self.blocks:
            found = functional.silu(block(found))
        return self.conv_out(found)


class _Residual(nn.Module):
    def __init__(self, state: State) -> None:
        super().__init__()
        out_dim, in_dim = state["conv1.weight"].shape[:2]
        self.norm1, self.norm2 = _group_norm(in_dim, 1e-5), _group_norm(out_dim, 1e-5)
        self.conv1, self.conv2 = conv(below(state, "conv1.")), conv(below(state, "conv2."))
        self.time_emb_proj = _linear(below(state, "time_emb_proj."))
        if in_dim != out_dim:
            self.conv_shortcut = conv(below(state, "conv_shortcut."))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        found = self.conv1(functional.silu(self.norm1(x)))
        found = found + self.time_emb_proj(functional.silu(time))[:, :, None, None]
        found = self.conv2(functional.silu(self.norm2(found)))
        return found + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class _Attention(nn.Module):
    def __init__(self, state: State, heads: Heads) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (_linear(below(state, f"to_{kind}.")) for kind in "qkv")
        self.to_out = nn.ModuleList([_linear(below(state, "to_out.0."))])
        self._heads = heads(self.to_q.out_features)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        q, k, v = (one.unflatten(-1, (self._heads, -1)).transpose(1, 2) for one in (q, k, v))
        return self.to_out[0](functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class _Gated(nn.Module):
    def __init__(self, state: State) -> None:
        super().__init__()
        self.proj = _linear(below(state, "proj."))

    def forward(self, x: Tensor) -> Tensor:
        found, gate = self.proj(x).chunk(2, dim=-1)
        return found * functional.gelu(gate)


class _FeedForward(nn.Module):
    def __init__(self, state: State) -> None:
        super().__init__()
        self.net = nn.ModuleList([_Gated(below(state, "net.0.")), nn.Identity(), _linear(below(state, "net.2."))])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.net:
            x = layer(x)
        return x


class _Block(nn.Module):
    def __init__(self, state: State, heads: Heads) -> None:
        super().__init__()
        dim = state["norm1.weight"].shape[0]
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.attn1, self.attn2 = (_Attention(below(state, f"attn{number}."), heads) for number in (1, 2))
        self.ff = _FeedForward(below(state, "ff."))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class _Transformer(nn.Module):
    """In SDXL what leads in and out is linear, in SD 1.5 a 1x1 convolution: the same numbers in another shape."""

    def __init__(self, state: State, heads: Heads) -> None:
        super().__init__()
        self.norm = _group_norm(state["norm.weight"].shape[0], 1e-6)
        self._is_linear = state["proj_in.weight"].ndim == 2
        make = _linear if self._is_linear else conv
        self.proj_in, self.proj_out = make(below(state, "proj_in.")), make(below(state, "proj_out."))
        blocks = below(state, "transformer_blocks.")
        self.transformer_blocks = nn.ModuleList(_Block(below(blocks, f"{at}."), heads) for at in range(count(blocks)))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        size, found = x.shape[2:], self.norm(x)
        found = found if self._is_linear else self.proj_in(found)
        found = found.flatten(2).transpose(1, 2)
        found = self.proj_in(found) if self._is_linear else found
        for block in self.transformer_blocks:
            found = block(found, context)
        found = self.proj_out(found) if self._is_linear else found
        found = found.transpose(1, 2).unflatten(2, size)
        return x + (found if self._is_linear else self.proj_out(found))


class _Down(nn.Module):
    def __init__(self, state: State) -> None:
        super().__init__()
        self.conv = conv(below(state, "conv."), stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Level(nn.Module):
    """One level of the way down: residual blocks, transformers where there are some, and a halving but in the last."""

    def __init__(self, state: State, heads: Heads) -> None:
        super().__init__()
        resnets, attentions = below(state, "resnets."), below(state, "attentions.")
        self.resnets = nn.ModuleList(_Residual(below(resnets, f"{at}.")) for at in range(count(resnets)))
        if attentions:
            each = range(count(attentions))
            self.attentions = nn.ModuleList(_Transformer(below(attentions, f"{at}."), heads) for at in each)
        if halved := below(state, "downsamplers.0."):
            self.downsamplers = nn.ModuleList([_Down(halved)])

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> list[Tensor]:
        """Return the map after each of its parts; the last goes on."""
        found: list[Tensor] = []
        for at, resnet in enumerate(self.resnets):
            x = resnet(x, time)
            x = self.attentions[at](x, context) if hasattr(self, "attentions") else x
            found.append(x)
        return [*found, self.downsamplers[0](x)] if hasattr(self, "downsamplers") else found


class Middle(nn.Module):
    """The middle: a residual block, a transformer, a residual block; in small nets the first of them alone."""

    def __init__(self, state: State, heads: Heads) -> None:
        super().__init__()
        resnets, attentions = below(state, "resnets."), below(state, "attentions.")
        self.resnets = nn.ModuleList(_Residual(below(resnets, f"{at}.")) for at in range(count(resnets)))
        each = range(count(attentions))
        self.attentions = nn.ModuleList(_Transformer(below(attentions, f"{at}."), heads) for at in each)

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        """Return the map [B, channels, h, w] after the middle."""
        first, *others = self.resnets
        x = first(x, time)
        for attention, resnet in zip(self.attentions, others, strict=True):
            x = resnet(attention(x, context), time)
        return x
