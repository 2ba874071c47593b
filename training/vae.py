"""The autoencoder: pictures [n, 3, 8h, 8w] in -1 to 1 <-> latents [n, 4, h, w]. Names as in `ldm`'s AutoencoderKL."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.miniature.sizes import LATENT, RGB, VAESizes
from training.layers import Upsample, conv3, group_norm, swish

__all__ = ["SCALE", "VAE"]

EPS = 1e-6
SCALE = 0.18215  # between the VAE's latents and the UNet's, as every SD 1.5 host multiplies


class VAE(nn.Module):
    """Encoder, decoder, and a 1x1 convolution on either side of the latents."""

    def __init__(self, sizes: VAESizes) -> None:
        super().__init__()
        levels = [sizes.channels * mult for mult in sizes.mult]
        self.encoder = _Encoder(levels, sizes.blocks_per_level)
        self.decoder = _Decoder(levels, sizes.blocks_per_level + 1)
        self.quant_conv = nn.Conv2d(2 * LATENT, 2 * LATENT, 1)
        self.post_quant_conv = nn.Conv2d(LATENT, LATENT, 1)

    def encode(self, pictures: Tensor) -> Tensor:
        """Return the latents' means; their variance is a constant in this model."""
        return self.quant_conv(self.encoder(pictures))[:, :LATENT]

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures, which may leave -1 to 1 a little."""
        return self.decoder(self.post_quant_conv(latents))

    @torch.no_grad()
    def fold(self, mean: Tensor, std: Tensor, noise: float) -> None:
        """Make latents [4] of this mean and deviation standard ones (after SCALE), by changing the two 1x1 layers.

        Their variance is told to be what training added as noise.
        """
        gain = 1 / (SCALE * std)
        weight, bias = (self.quant_conv.get_parameter(name) for name in ("weight", "bias"))
        weight[:LATENT] *= gain[:, None, None, None]
        bias[:LATENT] = (bias[:LATENT] - mean) * gain
        weight[LATENT:] = 0
        bias[LATENT:] = 2 * (noise * gain).log()
        weight, bias = (self.post_quant_conv.get_parameter(name) for name in ("weight", "bias"))
        bias += weight[:, :, 0, 0] @ mean
        weight /= gain[None, :, None, None]


class _Residual(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(into, EPS), conv3(into, out)
        self.norm2, self.conv2 = group_norm(out, EPS), conv3(out, out)
        if into != out:
            self.nin_shortcut = nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        changed = self.conv2(swish(self.norm2(self.conv1(swish(self.norm1(x))))))
        return changed + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class _Attention(nn.Module):
    """Every place looks at every other one; only in the middle, where places are few."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, EPS)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        q, k, v = (layer(normed).flatten(2).transpose(1, 2)[:, None] for layer in (self.q, self.k, self.v))
        seen = functional.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.proj_out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


class _Middle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = (
            _Residual(channels, channels),
            _Attention(channels),
            _Residual(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class _Downsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.pad(x, (0, 1, 0, 1)))  # only to the right and below, as in ldm


class _Level(nn.Module):
    """Residual blocks at one resolution, then the way to the next."""

    def __init__(self, into: int, out: int, blocks: int) -> None:
        super().__init__()
        self.block = nn.ModuleList([_Residual(into if i == 0 else out, out) for i in range(blocks)])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        for way in ("downsample", "upsample"):
            x = getattr(self, way)(x) if hasattr(self, way) else x
        return x


class _Encoder(nn.Module):
    def __init__(self, levels: list[int], blocks: int) -> None:
        super().__init__()
        self.conv_in = conv3(RGB, levels[0])
        self.down = nn.ModuleList([_Level(into, out, blocks) for into, out in pairwise([levels[0], *levels])])
        for level, channels in zip(self.down, levels[:-1], strict=False):
            level.downsample = _Downsample(channels)
        self.mid = _Middle(levels[-1])
        self.norm_out, self.conv_out = group_norm(levels[-1], EPS), conv3(levels[-1], 2 * LATENT)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(swish(self.norm_out(self.mid(x))))


class _Decoder(nn.Module):
    def __init__(self, levels: list[int], blocks: int) -> None:
        super().__init__()
        self.conv_in = conv3(LATENT, levels[-1])
        self.mid = _Middle(levels[-1])
        self.up = nn.ModuleList([_Level(into, out, blocks) for out, into in pairwise([*levels, levels[-1]])])
        for level, channels in zip(list(self.up)[1:], levels[1:], strict=True):
            level.upsample = Upsample(channels)
        self.norm_out, self.conv_out = group_norm(levels[0], EPS), conv3(levels[0], RGB)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(swish(self.norm_out(x)))
