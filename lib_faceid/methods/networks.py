"""The projection networks (image_proj): from features to tokens. No I/O; every size is read off the weights.

Each is called with the features that its variant reads, in that order, each [n, *shape], and gives tokens
[n, num_tokens, cross_attention_dim].

The formulas are those of https://github.com/tencent-ailab/IP-Adapter (Apache-2.0, commit 62e4af9),
`ip_adapter/ip_adapter.py`, `ip_adapter/ip_adapter_faceid.py` and `ip_adapter/resampler.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "FullProjection",
    "LinearProjection",
    "MLPProjection",
    "Perceiver",
    "PerceiverAttention",
    "PlusProjection",
    "Resampler",
    "below",
    "full_projection",
    "linear_projection",
    "loaded",
    "mlp_projection",
    "plus_projection",
    "plus_shortcut_projection",
    "resampler",
]

_State: TypeAlias = Mapping[str, Tensor]
_Network = TypeVar("_Network", bound=nn.Module)

HEAD_DIM = 64  # of every attention in these networks; it leaves no trace in the weights


class LinearProjection(nn.Module):
    """The base IP-Adapter: one linear layer whose output is cut into tokens."""

    def __init__(self, feature_dim: int, cross_attention_dim: int, num_tokens: int) -> None:
        super().__init__()
        self.token_shape = (num_tokens, cross_attention_dim)
        self.proj = nn.Linear(feature_dim, num_tokens * cross_attention_dim)
        self.norm = nn.LayerNorm(cross_attention_dim)

    def forward(self, image_embeds: Tensor) -> Tensor:
        """Return tokens [n, num_tokens, cross_attention_dim] of image embeds [n, feature_dim]."""
        return self.norm(self.proj(image_embeds).unflatten(-1, self.token_shape))


class FullProjection(nn.Module):
    """IP-Adapter Full Face: a token of each of the encoder's hidden states."""

    def __init__(self, feature_dim: int, hidden_dim: int, cross_attention_dim: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            nn.Linear(feature_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, cross_attention_dim),
            nn.LayerNorm(cross_attention_dim),
        )

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return tokens [n, length, cross_attention_dim] of hidden states [n, length, feature_dim]."""
        return self.proj(hidden_states)


class MLPProjection(nn.Module):
    """FaceID and Portrait: a two-layer network whose output is cut into tokens."""

    def __init__(self, id_dim: int, hidden_dim: int, cross_attention_dim: int, num_tokens: int) -> None:
        super().__init__()
        self.token_shape = (num_tokens, cross_attention_dim)
        self.proj = nn.Sequential(
            nn.Linear(id_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, num_tokens * cross_attention_dim)
        )
        self.norm = nn.LayerNorm(cross_attention_dim)

    def forward(self, id_embeddings: Tensor) -> Tensor:
        """Return tokens [faces, num_tokens, cross_attention_dim] of vectors [faces, 512]."""
        return self.norm(self.proj(id_embeddings).unflatten(-1, self.token_shape))


class PerceiverAttention(nn.Module):
    """Latents that look at the context and at each other."""

    def __init__(self, dim: int, inner_dim: int, head_dim: int = HEAD_DIM) -> None:
        super().__init__()
        self.head_shape = inner_dim // head_dim, head_dim
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner_dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner_dim, bias=False)
        self.to_out = nn.Linear(inner_dim, dim, bias=False)

    def forward(self, context: Tensor, latents: Tensor) -> Tensor:
        """Return what latents [n, tokens, dim] take from context [n, length, dim] and from each other."""
        context, latents = self.norm1(context), self.norm2(latents)
        k, v = self.to_kv(torch.cat((context, latents), dim=1)).chunk(2, dim=-1)
        q, k, v = (x.unflatten(-1, self.head_shape).transpose(1, 2) for x in (self.to_q(latents), k, v))
        out = functional.scaled_dot_product_attention(q, k, v)
        return self.to_out(out.transpose(1, 2).flatten(2))


class Perceiver(nn.Module):
    """A stack of perceiver attention and feed-forward layers between two linear maps."""

    def __init__(self, state: _State, head_dim: int = HEAD_DIM) -> None:
        super().__init__()
        dim, context_dim = state["proj_in.weight"].shape
        out_dim = state["proj_out.weight"].shape[0]
        self.proj_in = nn.Linear(context_dim, dim)
        self.proj_out = nn.Linear(dim, out_dim)
        self.norm_out = nn.LayerNorm(out_dim)
        inner_dim = state["layers.0.0.to_q.weight"].shape[0]
        wide_dim = state["layers.0.1.1.weight"].shape[0]
        depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("layers."))
        self.layers = nn.ModuleList(
            nn.ModuleList((PerceiverAttention(dim, inner_dim, head_dim), _feed_forward(dim, wide_dim)))
            for _ in range(depth)
        )

    def resample(self, latents: Tensor, context: Tensor) -> Tensor:
        """Return latents [faces, tokens, dim] after reading context [faces, length, context_dim]."""
        context = self.proj_in(context)
        for attention, feed_forward in self.layers:  # type: ignore[misc]  # pairs, by construction
            latents = latents + attention(context, latents)
            latents = latents + feed_forward(latents)
        return self.norm_out(self.proj_out(latents))


class PlusProjection(nn.Module):
    """FaceID Plus: the identity's tokens read the CLIP features; with a shortcut (v2) they also pass unread."""

    def __init__(self, state: _State, *, shortcut: bool) -> None:
        super().__init__()
        mlp = MLPProjection(*_mlp_sizes(state))
        self.token_shape, self.proj, self.norm = mlp.token_shape, mlp.proj, mlp.norm
        self.perceiver_resampler = Perceiver(below(state, "perceiver_resampler."))
        self.shortcut = shortcut

    def forward(self, id_embeddings: Tensor, clip_hidden: Tensor, structure: float = 1.0) -> Tensor:
        """Return tokens [faces, num_tokens, cross_attention_dim]; structure counts with a shortcut only."""
        tokens = self.norm(self.proj(id_embeddings).unflatten(-1, self.token_shape))
        shaped = self.perceiver_resampler.resample(tokens, clip_hidden)
        return tokens + structure * shaped if self.shortcut else shaped


class Resampler(Perceiver):
    """Portrait unnorm, InstantID, IP-Adapter Plus: latents that read a vector, or an encoder's hidden states."""

    def __init__(self, state: _State) -> None:
        super().__init__(state)
        _, num_tokens, dim = state["latents"].shape
        self.latents = nn.Parameter(torch.empty(1, num_tokens, dim))

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens [n, num_tokens, cross_attention_dim] of vectors [n, dim] or hidden states [n, length, dim]."""
        latents = self.latents.expand(len(features), -1, -1)
        return self.resample(latents, features[:, None] if features.ndim == 2 else features)


def linear_projection(state: _State) -> LinearProjection:
    """Return the base IP-Adapter's network of these weights, in float32."""
    out_dim, feature_dim = state["proj.weight"].shape
    cross_attention_dim = state["norm.weight"].shape[0]
    sizes = feature_dim, cross_attention_dim, out_dim // cross_attention_dim
    return loaded(state, lambda: LinearProjection(*sizes))


def full_projection(state: _State) -> FullProjection:
    """Return the Full Face network of these weights, in float32."""
    hidden_dim, feature_dim = state["proj.0.weight"].shape
    return loaded(state, lambda: FullProjection(feature_dim, hidden_dim, state["proj.2.weight"].shape[0]))


def mlp_projection(state: _State) -> MLPProjection:
    """Return the FaceID / Portrait network of these weights, in float32."""
    return loaded(state, lambda: MLPProjection(*_mlp_sizes(state)))


def plus_projection(state: _State) -> PlusProjection:
    """Return the FaceID Plus network of these weights, in float32."""
    return loaded(state, lambda: PlusProjection(state, shortcut=False))


def plus_shortcut_projection(state: _State) -> PlusProjection:
    """Return the FaceID Plus v2 network of these weights, in float32: the same tensors, read with a shortcut."""
    return loaded(state, lambda: PlusProjection(state, shortcut=True))


def resampler(state: _State) -> Resampler:
    """Return the network of learned latents of these weights, in float32."""
    return loaded(state, lambda: Resampler(state))


def loaded(state: _State, build: Callable[[], _Network]) -> _Network:
    """Build on the meta device, so that nothing is initialised only to be overwritten, then take the weights."""
    with torch.device("meta"):
        network = build()
    network.load_state_dict({key: tensor.float() for key, tensor in state.items()}, strict=True, assign=True)
    return network.requires_grad_(False).eval()


def _mlp_sizes(state: _State) -> tuple[int, int, int, int]:
    hidden_dim, id_dim = state["proj.0.weight"].shape
    cross_attention_dim = state["norm.weight"].shape[0]
    return id_dim, hidden_dim, cross_attention_dim, state["proj.2.weight"].shape[0] // cross_attention_dim


def _feed_forward(dim: int, wide_dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Linear(dim, wide_dim, bias=False),
        nn.GELU(),
        nn.Linear(wide_dim, dim, bias=False),
    )


def below(state: _State, prefix: str) -> dict[str, Tensor]:
    """Return the tensors below a prefix, which their names lose."""
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
