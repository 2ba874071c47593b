"""The exam that a trained pair takes: every person is drawn, and looked at by the detector and the recogniser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from training.adapter import FaceAdapter
from training.captions import COLOURS_RGB
from training.measure import Judge, cosine_table
from training.pixels import as_rgb
from training.sampling import Request, sample
from training.unet import UNet
from training.vae import SCALE, VAE

__all__ = ["Exam"]

CORNER_PX = 12


@dataclass(frozen=True, eq=False)
class Exam:
    """People x seeds, at one weight or several."""

    vae: VAE
    judge: Judge
    captions: Tensor
    """[colours + 1, 77, 768] of one template"""
    people: NDArray[np.float32]
    """[people, 512]: the embeddings of their photos"""
    seeds: int = 2
    weights: tuple[float, ...] = (0.8,)

    def take(self, unet: UNet, adapter: FaceAdapter, sheet: Path) -> dict[str, float]:
        """Return the marks at each weight, and write the pictures into one."""
        count = len(self.people)
        who, seeds = np.tile(np.arange(count), self.seeds), np.repeat(np.arange(self.seeds), count)
        colours = (who + seeds) % len(COLOURS_RGB)
        request = Request(
            self.captions[colours], self.captions[-1], torch.from_numpy(self.people[who]), (1000 + seeds).tolist()
        )
        marks: dict[str, float] = {}
        rows: list[NDArray[np.uint8]] = []
        for weight in self.weights:
            pictures = self._draw(unet, adapter, replace(request, weight=weight))
            marks |= {f"{name}@{weight:g}": mark for name, mark in self._marks(pictures, who, colours).items()}
            rows += [
                np.concatenate(list(row), axis=1) for row in pictures.reshape(self.seeds, count, *pictures.shape[1:])
            ]
        Image.fromarray(np.concatenate(rows)).save(sheet)
        return marks

    @torch.no_grad()
    def _draw(self, unet: UNet, adapter: FaceAdapter, request: Request) -> NDArray[np.uint8]:
        with torch.autocast("cpu", torch.bfloat16):
            latents = sample(unet, adapter, request)
            return as_rgb(torch.cat([self.vae.decode(batch / SCALE) for batch in latents.split(8)]).float())

    def _marks(
        self, pictures: NDArray[np.uint8], who: NDArray[np.int64], colours: NDArray[np.int64]
    ) -> dict[str, float]:
        """Return means over the pictures with a face; a picture without one counts against rank 1."""
        table = cosine_table(self.judge.embeddings(pictures), self.people)
        is_found, is_right = np.isfinite(table[:, 0]), np.eye(len(self.people), dtype=bool)[who]
        first = np.where(is_found, np.nan_to_num(table).argmax(1), -1)
        return {
            "right": float(np.nan_to_num(np.nanmean(table[is_right]))) if is_found.any() else 0.0,
            "others": float(np.nan_to_num(np.nanmean(table[~is_right]))) if is_found.any() else 0.0,
            "rank_1": float((first == who).mean()),
            "found": float(is_found.mean()),
            "colour": float((_background(pictures) == colours).mean()),
        }


def _background(pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return which colour is nearest to the upper corners of each picture."""
    corners = np.concatenate((pictures[:, :CORNER_PX, :CORNER_PX], pictures[:, :CORNER_PX, -CORNER_PX:]), axis=2)
    means = corners.reshape(len(pictures), -1, 3).mean(1)
    return np.square(means[:, None] - np.array(COLOURS_RGB)).sum(-1).argmin(1)
