"""FLUX.1 as Forge has it built in, played: what its transformer takes, and how its blocks come by their attention.

Written from black-forest-labs' description of the network, with its names of tensors, and nobody's code. Whether it
is one shows in `test_flux_integrated.py`: it gives what diffusers gives.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Transformer", "attention_function"]

Shares = tuple[Tensor, Tensor]


def attention_function(
    q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None, skip_reshape: bool = False
) -> Tensor:
    """Attention of q, k and v [rows, heads, n, width], as [rows, n, heads * width]. Forge has several such."""
    assert skip_reshape
    assert heads == q.shape[1]
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    shares = (scores if mask is None else scores + mask).softmax(-1)
    return (shares @ v).transpose(1, 2).flatten(2)


def _turned(vectors: Tensor, angles: Tensor) -> Tensor:
    """Vectors [..., n, width] with each pair of numbers turned by an angle [rows, 1, n, width / 2]."""
    first, second = vectors.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([first * cos - second * sin, first * sin + second * cos], -1).flatten(-2)


def _attended(q: Tensor, k: Tensor, v: Tensor, angles: Tensor) -> Tensor:
    return attention_function(_turned(q, angles), _turned(k, angles), v, q.shape[1], skip_reshape=True)


def _waves(value: Tensor) -> Tensor:
    steps = torch.exp(-torch.log(torch.tensor(10_000.0)) * torch.arange(128) / 128)
    turned = 1000 * value[:, None] * steps
    return torch.cat([turned.cos(), turned.sin()], -1)


class Embedder(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.in_layer, self.out_layer = nn.Linear(inputs, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_layer(functional.silu(self.in_layer(x)))


class Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, x.shape[-1:], self.scale, 1e-6)


class Norms(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_norm, self.key_norm = Scale(width), Scale(width)


class Modulation(nn.Module):
    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count, self.lin = count, nn.Linear(width, count * width)

    def forward(self, vector: Tensor) -> tuple[Tensor, ...]:
        return self.lin(functional.silu(vector))[:, None].chunk(self.count, -1)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm = heads, Norms(width // heads)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _split(self.qkv(x), self.heads, self.norm)


def _split(joined: Tensor, heads: int, norm: Norms) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = joined.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    return norm.query_norm(q), norm.key_norm(k), v


def _normed(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class DoubleBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        for stream in ("img", "txt"):
            feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
            self.add_module(f"{stream}_mod", Modulation(width, 6))
            self.add_module(f"{stream}_attn", Attention(width, heads))
            self.add_module(f"{stream}_mlp", feed)

    def forward(self, img: Tensor, txt: Tensor, vector: Tensor, angles: Tensor) -> Shares:
        streams: list[tuple[str, Tensor]] = [("txt", txt), ("img", img)]
        mods = {name: self.get_submodule(f"{name}_mod")(vector) for name, _ in streams}
        parts = [self._attention(name).split(_normed(x, *mods[name][:2])) for name, x in streams]
        q, k, v = (torch.cat([one[at] for one in parts], 2) for at in range(3))
        found = _attended(q, k, v, angles).split([txt.shape[1], img.shape[1]], 1)
        made: list[Tensor] = []
        for (name, x), seen in zip(streams, found, strict=True):
            _, _, gate, shift, scale, last = mods[name]
            looked = x + gate * self._attention(name).proj(seen)
            made.append(looked + last * self.get_submodule(f"{name}_mlp")(_normed(looked, shift, scale)))
        return made[1], made[0]

    def _attention(self, stream: str) -> Any:
        return self.get_submodule(f"{stream}_attn")


class SingleBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads, self.norm = width, heads, Norms(width // heads)
        self.linear1, self.linear2 = nn.Linear(width, 7 * width), nn.Linear(5 * width, width)
        self.modulation = Modulation(width, 3)

    def forward(self, x: Tensor, vector: Tensor, angles: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(vector)
        joined, feed = self.linear1(_normed(x, shift, scale)).split([3 * self.width, 4 * self.width], -1)
        seen = _attended(*_split(joined, self.heads, self.norm), angles)
        return x + gate * self.linear2(torch.cat([seen, functional.gelu(feed, approximate="tanh")], -1))


class Last(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, out)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(vector)[:, None].chunk(2, -1)
        return self.linear(_normed(x, shift, scale))


class Transformer(nn.Module):
    """Latents, level of noise and prompt in, as Forge calls it; whatever else it is given it does not look at."""

    def __init__(
        self, in_channels: int, vec_in_dim: int, context_in_dim: int, hidden_size: int, mlp_ratio: float,
        num_heads: int, depth: int, depth_single_blocks: int, axes_dim: list[int], theta: int, qkv_bias: bool,
        guidance_embed: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        assert (mlp_ratio, qkv_bias, guidance_embed) == (4.0, True, True)
        self.in_channels = self.out_channels = 4 * in_channels
        self.axes, self.theta = axes_dim, theta
        self.img_in, self.txt_in = nn.Linear(self.in_channels, hidden_size), nn.Linear(context_in_dim, hidden_size)
        self.time_in, self.guidance_in = Embedder(256, hidden_size), Embedder(256, hidden_size)
        self.vector_in = Embedder(vec_in_dim, hidden_size)
        self.double_blocks = nn.ModuleList(DoubleBlock(hidden_size, num_heads) for _ in range(depth))
        self.single_blocks = nn.ModuleList(SingleBlock(hidden_size, num_heads) for _ in range(depth_single_blocks))
        self.final_layer = Last(hidden_size, self.out_channels)

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor, y: Tensor, guidance: Tensor, **_: Any) -> Tensor:
        height, width = x.shape[-2:]
        x = functional.pad(x, (0, width % 2, 0, height % 2), mode="circular")
        rows, columns = x.shape[-2] // 2, x.shape[-1] // 2
        img = x.unflatten(-1, (columns, 2)).unflatten(-3, (rows, 2)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        at = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).view(-1, 2)
        ids = torch.cat([torch.zeros(context.shape[1], 3), functional.pad(at.float(), (1, 0))])
        steps = [self.theta ** -(torch.arange(0, axis, 2, dtype=torch.float64) / axis) for axis in self.axes]
        angles = torch.cat([ids[:, one, None] * step for one, step in enumerate(steps)], -1).float()[None, None]
        vector = self.time_in(_waves(timestep)) + self.guidance_in(_waves(guidance)) + self.vector_in(y)
        img, txt = self.img_in(img), self.txt_in(context)
        for block in self.double_blocks:
            img, txt = block(img, txt, vector, angles)
        joined = torch.cat([txt, img], 1)
        for block in self.single_blocks:
            joined = block(joined, vector, angles)
        out = self.final_layer(joined[:, txt.shape[1] :], vector)
        out = out.unflatten(2, (-1, 2, 2)).unflatten(1, (rows, columns)).permute(0, 3, 1, 4, 2, 5)
        return out.flatten(4, 5).flatten(2, 3)[:, :, :height, :width]
