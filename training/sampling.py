"""DDIM (Song et al. 2021, arXiv:2010.02502), deterministic, with the noise schedule of SD 1.5 and diffusers' steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.adapter import FaceAdapter
from training.attention import Prompts
from training.unet import UNet

__all__ = ["ALPHAS", "Request", "sample"]

TIMES = 1000
ALPHAS = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, TIMES).square()).cumprod(0)  # how much of the picture is left


@dataclass(frozen=True, eq=False)
class Request:
    """Pictures to draw: row i has its prompt, its person and its noise."""

    contexts: Tensor
    """[n, 77, 768]"""
    negative: Tensor
    """[77, 768]"""
    id_embeddings: Tensor
    """[n, people, 512], raw; people stand side by side, a square each"""
    seeds: Sequence[int]
    weight: float = 0.8
    lora: float = 0.6
    cfg: float = 2.0
    steps: int = 20
    side: int = 16
    """Of a person's square, in latents."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the latents."""
        return self.side, self.side * self.id_embeddings.shape[1]


@torch.no_grad()
def sample(unet: UNet, adapter: FaceAdapter, request: Request) -> Tensor:
    """Return latents [n, 4, h, w]. Weight 0 draws without the adapter, LoRA and all."""
    count = len(request.seeds)
    noises = [torch.randn(4, *request.size, generator=torch.Generator().manual_seed(seed)) for seed in request.seeds]
    x = torch.stack(noises)
    prompts = Prompts(torch.cat((request.contexts, request.negative[None])), _rows(count))
    faces = None
    if request.weight:
        identities = torch.cat((request.id_embeddings, torch.zeros_like(request.id_embeddings)))
        faces = adapter.faces(identities, request.weight, request.lora)
    stride = TIMES // request.steps
    for time in range(TIMES - stride + 1, 0, -stride):
        noise = unet(torch.cat((x, x)), torch.full((2 * count,), time), prompts, adapter, faces)
        wanted, unwanted = noise.chunk(2)
        noise = unwanted + request.cfg * (wanted - unwanted)
        now, then = ALPHAS[time], ALPHAS[max(time - stride, 0)]
        clean = (x - (1 - now).sqrt() * noise) / now.sqrt()
        x = then.sqrt() * clean + (1 - then).sqrt() * noise
    return x


def _rows(count: int) -> Tensor:
    """Return which context each row of the doubled batch reads: its own, then the negative one."""
    return torch.cat((torch.arange(count), torch.full((count,), count)))
