"""Train the VAE, until a face that went through it is still the same person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lib_faceid.miniature.trained import TRAINED
from training.export import load_part
from training.loop import Plan, train
from training.losses import likeness_loss, picture_losses
from training.measure import Judge
from training.pixels import as_pictures, as_rgb
from training.recogniser import Recogniser
from training.vae import SCALE, VAE
from training.world import PHOTO, SIZE_PX, World

__all__ = ["NOISE", "VAETraining", "encoded", "finished_vae"]

NOISE = 0.1  # added to latents in training: the decoder is to forgive what the UNet will not hit exactly
SIZE_LOSS = 0.003  # keeps latents near unit size, or they would grow until the noise no longer counts
SMALL_PX, LARGE_PX = 64, 112
BATCH = {SMALL_PX: 8, LARGE_PX: 8}
EXAMINED = 48  # pictures, each of somebody else or another one
SMALL_PART = 0.3  # of the steps, which see cut-outs only: colours and edges are learnt there at a third of the price


@dataclass(frozen=True, eq=False)
class VAETraining:
    """The VAE, what it is shown, and who judges."""

    world: World
    recogniser: Recogniser
    judge: Judge
    plan: Plan
    start: Path | None = None
    """A folder of parts from which to go on; None starts from nothing."""

    def run(self, folder: Path) -> VAE:
        """Return the trained VAE; its state is kept in `folder`."""
        torch.manual_seed(self.plan.seed)
        vae = VAE(TRAINED.vae)
        if self.start:
            load_part(vae, self.start / "vae.safetensors")

        def losses(generator: torch.Generator, step: int) -> dict[str, Tensor]:
            return self._losses(vae, generator, step)

        def evaluate(mean: VAE, step: int) -> dict[str, float]:
            return self._marks(mean, folder / f"{self.plan.name}_{step:06d}.png")

        return train(vae, self.plan, folder, losses, evaluate)

    def _losses(self, vae: VAE, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        size = SMALL_PX if step < SMALL_PART * self.plan.steps else LARGE_PX
        wanted = _cut_outs(self.world.pictures_rgb, size, generator)
        with torch.autocast("cpu", torch.bfloat16):
            latents = vae.encode(wanted)
            noise = torch.empty(latents.shape).normal_(generator=generator)
            drawn = vae.decode(latents + NOISE * noise)
        losses = picture_losses(drawn.float(), wanted)
        losses["size"] = SIZE_LOSS * latents.float().square().mean()
        if size == LARGE_PX:  # what the recogniser takes; the face is where it wants it, give or take the jitter
            losses |= likeness_loss(self.recogniser, drawn.float(), wanted)
        return losses

    @torch.no_grad()
    def _marks(self, vae: VAE, sheet: Path) -> dict[str, float]:
        chosen = np.flatnonzero(self.world.style == PHOTO)[:EXAMINED]
        wanted = self.world.pictures_rgb[chosen]
        drawn = as_rgb(_through(vae, as_pictures(wanted)))
        Image.fromarray(np.concatenate([np.concatenate(list(rows[:12]), 1) for rows in (wanted, drawn)])).save(sheet)
        cosines = self.judge.cosines(drawn, self.world.photo_embeddings[self.world.person[chosen], 0])
        error = np.square(drawn.astype(float) - wanted).mean()
        return {
            "cosine": float(np.nanmean(cosines)),
            "cosine_lowest": float(np.nan_to_num(cosines, nan=0).min()),
            "faces_found": float(np.isfinite(cosines).mean()),
            "psnr_db": float(10 * np.log10(255**2 / error)),
        }


@torch.no_grad()
def finished_vae(vae: VAE, world: World) -> Tensor:
    """Return the latents [n, 4, 16, 16] of the world at unit variance, after making SD's own scale factor give them."""
    latents = encoded(vae, world.pictures_rgb) / SCALE
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    vae.fold(mean, std, NOISE)
    return (latents - mean[:, None, None]) / std[:, None, None]


@torch.no_grad()
def encoded(vae: VAE, pictures_rgb: NDArray[np.uint8]) -> Tensor:
    """Return the latents [n, 4, 16, 16] of a world's pictures as the UNet is given them."""
    batches = np.array_split(pictures_rgb, -(-len(pictures_rgb) // 8))
    return torch.cat([vae.encode(as_pictures(batch)) for batch in batches]) * SCALE


@torch.no_grad()
def _through(vae: VAE, pictures: Tensor) -> Tensor:
    """Return the pictures after encoding and decoding, a few at a time."""
    return torch.cat([vae.decode(vae.encode(batch)) for batch in pictures.split(8)])


def _cut_outs(pictures_rgb: NDArray[np.uint8], size: int, generator: torch.Generator) -> Tensor:
    chosen = torch.randint(len(pictures_rgb), (BATCH[size],), generator=generator).tolist()
    left, top = torch.randint(SIZE_PX - size + 1, (2,), generator=generator).tolist()
    return as_pictures(pictures_rgb[chosen, top : top + size, left : left + size])
