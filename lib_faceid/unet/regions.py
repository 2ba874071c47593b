"""Where a contribution acts: masks at the true height and width of each layer's feature map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from lib_faceid.units.region import WHOLE, Box

__all__ = ["Region", "RegionMasks", "rows_of_shares"]

COARSE = 32  # places along a side, where about right will do
LATENT_PX = 8  # a latent pixel's side in the picture, in SD 1.5 and SDXL


@dataclass(frozen=True, eq=False)
class Region:
    """Where a person is in the whole picture: a box, or a mask of any size."""

    box: Box = WHOLE
    mask: Tensor | None = None
    """float32 [H, W] from 0 (outside) to 1, over the whole picture; then the box does not count."""
    feather_px: float = 0.0
    """How wide its edge is, in pixels of the picture that is being drawn."""

    def weights(self, size: tuple[int, int], canvas_px: tuple[int, int], view: Box = WHOLE) -> Tensor:
        """Return how much it counts at each place of a feature map, float32 [height, width] from 0 to 1.

        size: height and width of the feature map; canvas_px: of the picture it belongs to; view: the part of the whole
        picture that the canvas shows. Without feather a place counts fully where its centre is inside, else not at all.
        """
        return self._boxed(size, canvas_px, view) if self.mask is None else self._masked(size, canvas_px, view)

    def share_of(self, part: Box) -> float:
        """Return how much of a part of the picture lies in it, from 0 to 1."""
        hard = replace(self, feather_px=0.0)
        return float(hard.weights((COARSE, COARSE), (COARSE * LATENT_PX, COARSE * LATENT_PX), part).mean())

    def _boxed(self, size: tuple[int, int], canvas_px: tuple[int, int], view: Box) -> Tensor:
        box, edges = self.box.seen_from(view), WHOLE.seen_from(view)
        down = _inside(size[0], (box.top, box.bottom), (edges.top, edges.bottom), self.feather_px / canvas_px[0])
        across = _inside(size[1], (box.left, box.right), (edges.left, edges.right), self.feather_px / canvas_px[1])
        return down[:, None] * across[None, :]

    def _masked(self, size: tuple[int, int], canvas_px: tuple[int, int], view: Box) -> Tensor:
        mask = _cut(self.mask, view) if self.mask is not None else torch.ones(1, 1)
        # No finer than the latents: a mask of a photo's size would cost time and change nothing.
        fine = functional.interpolate(mask[None, None], [-(-side // LATENT_PX) for side in canvas_px], mode="area")
        radius = round(self.feather_px / LATENT_PX / 2)
        if radius:
            fine = functional.pad(fine, [radius] * 4, mode="replicate")
            fine = functional.avg_pool2d(fine, 2 * radius + 1, stride=1)
        return functional.interpolate(fine, size, mode="area")[0, 0]


class RegionMasks:
    """The masks of all contributions, made once for each size of feature map."""

    def __init__(self, regions: Sequence[Sequence[Region | None]], view: Box = WHOLE) -> None:
        """Take, for each contribution, its region in each image of a batch (one serves all; none: everywhere)."""
        self._regions = regions
        self._view = view
        self._several = sum(any(region is not None for region in one) for one in regions) > 1
        self._images = max((len(one) for one in regions), default=0)
        self._made: dict[tuple[object, ...], list[Tensor | None]] = {}

    @property
    def any(self) -> bool:
        """Whether any contribution has a region."""
        return any(region is not None for one in self._regions for region in one)

    def at(
        self,
        sizes: tuple[tuple[int, int], tuple[int, int]],
        weights: tuple[float, ...],
        like: Tensor,
        part: Box = WHOLE,
    ) -> list[Tensor | None]:
        """Return each contribution's mask [images, height * width] for a feature map; None: it acts everywhere.

        Where regions overlap their sum is brought down to the larger weight. sizes: height and width of the feature
        map and of the latents; weights: of each contribution; part: what of the view is shown, a tile of it, say; on
        the device and in the dtype of `like`.
        """
        key = (sizes, part, weights if self._several else None, like.device, like.dtype)
        if key not in self._made:
            made = _balanced([self._one(one, *sizes, part.inside(self._view)) for one in self._regions], weights)
            self._made[key] = [None if one is None else one.flatten(1).to(like.device, like.dtype) for one in made]
        return self._made[key]

    def _one(
        self, regions: Sequence[Region | None], size: tuple[int, int], latent: tuple[int, int], view: Box
    ) -> Tensor | None:
        """Return [images, height, width], or None where the contribution has no region in any image."""
        if all(region is None for region in regions):
            return None
        canvas_px = (latent[0] * LATENT_PX, latent[1] * LATENT_PX)
        everywhere = torch.ones(size)
        masks = [everywhere if one is None else one.weights(size, canvas_px, view) for one in regions]
        return torch.stack([masks[min(image, len(masks) - 1)] for image in range(self._images)])


def rows_of_shares(parts: Sequence[Tensor], slots: Tensor) -> Tensor:
    """Return how much a contribution counts in each row of a UNet call, [rows or 1, places, 1].

    parts: for each part of the picture that the call shows, in as many rows as the others, a mask [images, places];
    slots: which image each row is of.
    """
    first = parts[0]
    if len(parts) == len(first) == 1:
        return first[:, :, None]
    images = (slots.abs() - 1).clamp(0, len(first) - 1).to(first.device)
    of_parts = zip(parts, images.chunk(len(parts)), strict=True)
    return torch.cat([masks.index_select(0, rows) for masks, rows in of_parts])[:, :, None]


def _balanced(masks: Sequence[Tensor | None], weights: Sequence[float]) -> list[Tensor | None]:
    """Return the masks, lowered where the weights of several add up to more than the largest of them."""
    placed = [(mask, abs(weight)) for mask, weight in zip(masks, weights, strict=True) if mask is not None]
    if len(placed) < 2:
        return list(masks)
    total = sum((mask * weight for mask, weight in placed), torch.zeros(()))
    largest = torch.stack([(mask > 0) * weight for mask, weight in placed]).amax(0)
    share = torch.where(total > largest, largest / total.clamp(min=1e-12), 1.0)
    return [None if mask is None else mask * share for mask in masks]


def _inside(places: int, span: tuple[float, float], edges: tuple[float, float], feather: float) -> Tensor:
    """Return how much each of so many places along a side is inside a span, all in fractions of the side.

    The side's own ends are no edges: a region that reaches them does not fade there.
    """
    centres = (torch.arange(places, dtype=torch.float64) + 0.5) / places
    first, last = span
    inside = torch.ones(places, dtype=torch.float64)
    if first > edges[0]:
        inside *= _rise(centres - first, feather)
    if last < edges[1]:
        inside *= 1 - _rise(centres - last, feather)
    return inside.float()


def _rise(distance: Tensor, feather: float) -> Tensor:
    """Return 0 before an edge and 1 behind it, and a ramp as wide as the feather across it."""
    if feather <= 0:
        return (distance >= 0).double()
    return (distance / feather + 0.5).clamp(0, 1)


def _cut(mask: Tensor, view: Box) -> Tensor:
    """Return the part of a mask that a view shows, at least one pixel of it."""
    height, width = mask.shape
    top, bottom = _pixels(view.top, view.bottom, height)
    left, right = _pixels(view.left, view.right, width)
    return mask[top:bottom, left:right]


def _pixels(first: float, last: float, count: int) -> tuple[int, int]:
    start = min(max(round(first * count), 0), count - 1)
    return start, min(max(round(last * count), start + 1), count)
