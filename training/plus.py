"""A CLIP image encoder and a resampler of Plus v2, in training: small ones that fit into the published layouts.

What is published has 1280 channels and sixteen heads of 80, and a resampler as wide as the UNet's context. Here only
the first channels and heads are more than zeros, which `lib_faceid/miniature/plus.py` adds: normalisations divide by
the published width, so both compute the same.

photo [n, 3, 224, 224] --CLIP's first layer--> 257 hidden states --resampler, asked by FaceID's tokens--> 4 tokens
that are added to FaceID's, which stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.methods.networks import HEAD_DIM, Perceiver
from lib_faceid.models.image_encoders import PATCH_PX, POSITIONS

__all__ = ["CLIP_CHANNELS", "START", "WIDTH", "PlusNetworks", "SmallCLIP", "SmallResampler"]

CLIP_WIDTH, CLIP_CHANNELS = 1280, 160  # published, and used
CLIP_HEADS, CLIP_HEAD_DIM, CLIP_WIDE = 2, 80, 256
WIDTH, INNER, WIDE, DEPTH = 768, 256, 192, 2  # of the resampler
START = 0.3  # of what the resampler adds: little, so that training starts from about FaceID
KEPT = 0.5  # of what it has learned to add: all of it takes over more light, and twice as much from the likeness


class PaddedNorm(nn.Module):
    """A LayerNorm over channels of which only the first are here, and the others zeros."""

    def __init__(self, channels: int, published: int) -> None:
        super().__init__()
        self._published = published
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x [..., channels], normed."""
        mean = x.sum(-1, keepdim=True) / self._published
        variance = x.square().sum(-1, keepdim=True) / self._published - mean.square()
        return (x - mean) * (variance + 1e-5).rsqrt() * self.weight + self.bias


class SmallCLIP(nn.Module):
    """The hidden states that a CLIP of two layers gives before its last one; names as transformers has them."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = _Embeddings()
        self.pre_layrnorm = PaddedNorm(CLIP_CHANNELS, CLIP_WIDTH)
        self.encoder = _Encoder()

    def forward(self, photos: Tensor) -> Tensor:
        """Return hidden states [n, 257, channels] of CLIP's pixel values [n, 3, 224, 224]."""
        return self.encoder(self.pre_layrnorm(self.embeddings(photos)))


class _Embeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(CLIP_CHANNELS) * 0.3)
        self.patch_embedding = nn.Conv2d(3, CLIP_CHANNELS, PATCH_PX, stride=PATCH_PX, bias=False)
        self.position_embedding = nn.Embedding(POSITIONS, CLIP_CHANNELS)
        nn.init.normal_(self.position_embedding.weight, std=0.3)

    def forward(self, photos: Tensor) -> Tensor:
        patches = self.patch_embedding(photos).flatten(2).transpose(1, 2)
        states = torch.cat((self.class_embedding.expand(len(photos), 1, -1), patches), dim=1)
        return states + self.position_embedding.weight


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Layer()])

    def forward(self, states: Tensor) -> Tensor:
        return self.layers[0](states)


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        inner = CLIP_HEADS * CLIP_HEAD_DIM
        self.self_attn = nn.ModuleDict({f"{name}_proj": nn.Linear(CLIP_CHANNELS, inner) for name in "qkv"})
        self.self_attn["out_proj"] = nn.Linear(inner, CLIP_CHANNELS)
        self.layer_norm1 = PaddedNorm(CLIP_CHANNELS, CLIP_WIDTH)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(CLIP_CHANNELS, CLIP_WIDE), "fc2": nn.Linear(CLIP_WIDE, CLIP_CHANNELS)}
        )
        self.layer_norm2 = PaddedNorm(CLIP_CHANNELS, CLIP_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.layer_norm1(x)
        q, k, v = (_heads(self.self_attn[f"{name}_proj"](normed), CLIP_HEAD_DIM) for name in "qkv")
        x = x + self.self_attn["out_proj"](_joined(functional.scaled_dot_product_attention(q, k, v)))
        return x + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.layer_norm2(x))))


class SmallResampler(Perceiver):
    """Plus v2's `perceiver_resampler`, whose context fills CLIP_CHANNELS of its channels."""

    def __init__(self) -> None:
        nn.Module.__init__(self)  # there is no file to read the sizes off
        self.proj_in = nn.Linear(CLIP_CHANNELS, CLIP_CHANNELS)
        self.proj_out = nn.Linear(WIDTH, WIDTH)
        self.norm_out = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList([nn.ModuleList([_Looking(), _wide()]) for _ in range(DEPTH)])
        nn.init.constant_(self.norm_out.weight, START)

    @torch.no_grad()
    def lessen(self) -> None:
        """Add only KEPT of what was learned from now on."""
        self.norm_out.weight.mul_(KEPT)
        self.norm_out.bias.mul_(KEPT)


class _Looking(nn.Module):
    """A PerceiverAttention whose keys and values read the first channels only."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = PaddedNorm(CLIP_CHANNELS, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.to_q = nn.Linear(WIDTH, INNER, bias=False)
        self.to_kv = nn.Linear(CLIP_CHANNELS, 2 * INNER, bias=False)
        self.to_out = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, context: Tensor, latents: Tensor) -> Tensor:
        context, latents = self.norm1(context), self.norm2(latents)
        k, v = self.to_kv(torch.cat((context, latents[..., :CLIP_CHANNELS]), dim=1)).chunk(2, dim=-1)
        q, k, v = (_heads(x, HEAD_DIM) for x in (self.to_q(latents), k, v))
        return self.to_out(_joined(functional.scaled_dot_product_attention(q, k, v)))


class PlusNetworks(nn.Module):
    """The two that are trained at once; everything else of a Plus v2 adapter is FaceID's."""

    def __init__(self) -> None:
        super().__init__()
        self.vision_model = SmallCLIP()
        self.perceiver_resampler = SmallResampler()

    def forward(self, tokens: Tensor, photos: Tensor) -> Tensor:
        """Return Plus v2's tokens [n, 4, 768] of FaceID's and of photos as CLIP is shown them [n, 3, 224, 224]."""
        return tokens + self.perceiver_resampler.resample(tokens, self.vision_model(photos))

    @torch.no_grad()
    def start_from(self, photos: Tensor) -> None:
        """Give the patch embedding the main ways in which patches of photos differ, each of about unit variance."""
        patches = functional.unfold(photos, PATCH_PX, stride=PATCH_PX).transpose(1, 2).flatten(0, 1)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        first = vectors[:, -CLIP_CHANNELS:] / (values[-CLIP_CHANNELS:] + 0.002).sqrt()
        self.vision_model.embeddings.patch_embedding.weight.copy_(first.T.reshape(-1, 3, PATCH_PX, PATCH_PX))


def _wide() -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDE, bias=False), nn.GELU(), nn.Linear(WIDE, WIDTH, bias=False)
    )


def _heads(x: Tensor, width: int) -> Tensor:
    return x.unflatten(-1, (-1, width)).transpose(1, 2)


def _joined(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)
