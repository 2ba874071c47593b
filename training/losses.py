"""What is wrong with a picture that went through the VAE, in the order in which training learns to mind it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.recogniser import Recogniser

__all__ = ["likeness_loss", "picture_losses"]

LOW_PASS_PX = 8
EDGES = 1.0
LOW_PASS, CHROMA = 2.0, 4.0


def picture_losses(drawn: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Return the losses of pixels, edges, coarse colours and colourfulness.

    Without the last two a network stays grey for hundreds of steps: grey is a good guess for every single pixel.
    """
    difference = drawn - wanted
    coarse = functional.avg_pool2d(difference, LOW_PASS_PX)
    chroma = difference - difference.mean(1, keepdim=True)
    edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
    return {
        "pixels": difference.abs().mean(),
        "edges": EDGES * edges,
        "low_pass": LOW_PASS * coarse.square().mean(),
        "chroma": CHROMA * functional.avg_pool2d(chroma, 2).square().mean(),
    }


def likeness_loss(recogniser: Recogniser, drawn: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Return how differently the recogniser sees two faces [n, 3, 112, 112] on its way, and in the end.

    The way: feature maps at unit length per place, as in LPIPS (Zhang et al. 2018, arXiv:1801.03924).
    """
    with torch.no_grad():
        wanted_maps, wanted_embedding = recogniser(wanted)
    maps, embedding = recogniser(drawn)
    pairs = list(zip(maps, wanted_maps, strict=True))[1:]
    way = [(functional.normalize(a, dim=1) - functional.normalize(b, dim=1)).square().sum(1).mean() for a, b in pairs]
    cosine = functional.cosine_similarity(embedding, wanted_embedding).mean()
    return {"features": torch.stack(way).mean(), "identity": 0.3 * (1 - cosine)}
