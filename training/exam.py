"""The exam that a trained pair takes: every person is drawn, and looked at by the detector and the recogniser.

Pictures of two people are cut in half, and each half is looked at like a picture of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
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
    """People x seeds, at one weight or several, alone and with somebody beside them."""

    vae: VAE
    judge: Judge
    captions: Tensor
    """[1 or 2 people, colours + 1, 77, 768] of one template"""
    people: NDArray[np.float32]
    """[people, 512]: the embeddings of their photos"""
    seeds: int = 2
    weights: tuple[float, ...] = (0.8,)

    def take(self, unet: UNet, adapter: FaceAdapter, sheet: Path) -> dict[str, float]:
        """Return the marks at each weight, and write the pictures into one."""
        marks: dict[str, float] = {}
        rows: list[NDArray[np.uint8]] = []
        for weight, people in product(self.weights, (1, 2)):
            who, seeds = self._who(people)
            colours = (who[:, 0] + seeds) % len(COLOURS_RGB)
            captions = self.captions[people - 1]
            identities = torch.from_numpy(self.people[who])
            request = Request(captions[colours], captions[-1], identities, (1000 + seeds).tolist(), weight)
            squares = self._squares(unet, adapter, request)
            found = self._marks(squares, who.ravel(), colours.repeat(people))
            marks |= {f"{name}@{weight:g}" + (" of two" if people > 1 else ""): mark for name, mark in found.items()}
            rows += [
                np.concatenate(list(row), axis=1) for row in squares.reshape(-1, len(self.people), *squares.shape[1:])
            ]
        Image.fromarray(np.concatenate(rows)).save(sheet)
        return marks

    def _who(self, people: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the people of each picture [n, people], and its seed [n]: everybody is drawn once for each seed."""
        count = len(self.people)
        turns = [np.arange(count) + (seed if people > 1 else 0) for seed in range(self.seeds)]  # with other neighbours
        return np.stack(turns).reshape(-1, people) % count, np.repeat(np.arange(self.seeds), count // people)

    @torch.no_grad()
    def _squares(self, unet: UNet, adapter: FaceAdapter, request: Request) -> NDArray[np.uint8]:
        with torch.autocast("cpu", torch.bfloat16):
            latents = sample(unet, adapter, request)
            pictures = torch.cat([self.vae.decode(batch / SCALE) for batch in latents.split(8)]).float()
        return as_rgb(torch.stack(pictures.split(pictures.shape[2], dim=3), 1).flatten(0, 1))

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
