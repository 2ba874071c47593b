"""The UNet: noisy latents [n, 4, h, w], a time and a prompt -> the noise in them. Names as in `ldm`'s UNetModel."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lib_faceid.miniature.sizes import LATENT, UNetSizes
from training.adapter import FaceAdapter, FaceLayer, Faces
from training.attention import Adapted, Prompts, Transformer
from training.layers import Upsample, conv3, group_norm, swish, zeroed

__all__ = ["UNet"]

EPS = 1e-5


class UNet(nn.Module):
    """SD 1.5's UNet in any width: down through `input_blocks`, `middle_block`, and up through `output_blocks`."""

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        self._channels, time = sizes.channels, 4 * sizes.channels
        self.time_embed = nn.Sequential(nn.Linear(sizes.channels, time), nn.SiLU(), nn.Linear(time, time))
        self.input_blocks, skips = _inputs(sizes)
        deepest = sizes.channels * sizes.mult[-1]
        self.middle_block = nn.ModuleList(
            [_Residual(deepest, deepest, time), Transformer(deepest, sizes.context), _Residual(deepest, deepest, time)]
        )
        self.output_blocks = _outputs(sizes, skips)
        self.out = nn.Sequential(group_norm(sizes.channels, EPS), nn.SiLU(), zeroed(conv3(sizes.channels, LATENT)))

    def forward(
        self, x: Tensor, times: Tensor, prompts: Prompts, adapter: FaceAdapter | None = None, faces: Faces | None = None
    ) -> Tensor:
        """Return the noise; times [n] are 0 to 999."""
        time = swish(self.time_embed(_time_embedding(times, self._channels)))
        adapted = dict(self._adapted(adapter, faces)) if adapter and faces else {}

        def through(block: nn.Module, x: Tensor) -> Tensor:
            for layer in block.children():
                if isinstance(layer, _Residual):
                    x = layer(x, time)
                elif isinstance(layer, Transformer):
                    x = layer(x, prompts, adapted.get(layer))
                else:
                    x = layer(x)
            return x

        skips: list[Tensor] = []
        for block in self.input_blocks:
            x = through(block, x)
            skips.append(x)
        x = through(self.middle_block, x)
        for block in self.output_blocks:
            x = through(block, torch.cat((x, skips.pop()), dim=1))
        return self.out(x)

    def _adapted(self, adapter: FaceAdapter, faces: Faces) -> Iterator[tuple[nn.Module, tuple[Adapted, Adapted]]]:
        """Give each transformer its two layers of the adapter, which are numbered: down, up, middle."""
        blocks = [*self.input_blocks, *self.output_blocks, self.middle_block]
        transformers = [layer for block in blocks for layer in block.children() if isinstance(layer, Transformer)]
        layers = [layer for layer in adapter.ip_adapter if isinstance(layer, FaceLayer)]
        for number, transformer in enumerate(transformers):
            yield transformer, ((layers[2 * number], faces), (layers[2 * number + 1], faces))


class _Residual(nn.Module):
    def __init__(self, into: int, out: int, time: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(group_norm(into, EPS), nn.SiLU(), conv3(into, out))
        self.emb_layers = nn.Sequential(nn.Identity(), nn.Linear(time, out))
        self.out_layers = nn.Sequential(group_norm(out, EPS), nn.SiLU(), nn.Identity(), zeroed(conv3(out, out)))
        if into != out:
            self.skip_connection = nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        changed = self.in_layers(x) + self.emb_layers(time)[:, :, None, None]
        return self.out_layers(changed) + (self.skip_connection(x) if hasattr(self, "skip_connection") else x)


class _Downsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


def _inputs(sizes: UNetSizes) -> tuple[nn.ModuleList, list[int]]:
    """Return the way down, and the channels that each block leaves for the way up."""
    channels, time = sizes.channels, 4 * sizes.channels
    blocks, skips = [nn.ModuleList([conv3(LATENT, channels)])], [channels]
    for level, (mult, depth) in enumerate(zip(sizes.mult, sizes.depth, strict=True)):
        if level:
            blocks.append(nn.ModuleList([_Downsample(channels)]))
            skips.append(channels)
        for _ in range(sizes.blocks_per_level):
            out = sizes.channels * mult
            attention = [Transformer(out, sizes.context)] if depth else []
            blocks.append(nn.ModuleList([_Residual(channels, out, time), *attention]))
            skips.append(channels := out)
    return nn.ModuleList(blocks), skips


def _outputs(sizes: UNetSizes, skips: list[int]) -> nn.ModuleList:
    channels, time, waiting = sizes.channels * sizes.mult[-1], 4 * sizes.channels, list(skips)
    blocks: list[nn.ModuleList] = []
    for level in reversed(range(len(sizes.mult))):
        out = sizes.channels * sizes.mult[level]
        for _ in range(sizes.blocks_per_level + 1):
            attention = [Transformer(out, sizes.context)] if sizes.depth[level] else []
            blocks.append(nn.ModuleList([_Residual(channels + waiting.pop(), out, time), *attention]))
            channels = out
        if level:
            blocks[-1].append(Upsample(out))
    return nn.ModuleList(blocks)


def _time_embedding(times: Tensor, channels: int) -> Tensor:
    """Return cosines and sines of the times [n, channels], as in "Attention is all you need" (2017)."""
    half = channels // 2
    angles = times[:, None].float() * torch.exp(-math.log(10_000) * torch.arange(half) / half)
    return torch.cat((angles.cos(), angles.sin()), dim=-1)
