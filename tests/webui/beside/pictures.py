"""The pictures that rows of the matrix name."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import torch
from PIL import Image, ImageDraw

__all__ = ["PICTURES", "named_pictures"]

PICTURES = ("two people", "edges", "face vector", "astronaut", "Luciano")


def named_pictures(photos: Path) -> dict[str, str]:
    """Each of `PICTURES`, as base64."""
    vector = io.BytesIO()
    torch.save(torch.randn(1, 512, generator=torch.Generator().manual_seed(3)), vector)
    files = [vector.getvalue(), *((photos / f"{name}.png").read_bytes() for name in PICTURES[3:])]
    encoded = [base64.b64encode(file).decode() for file in files]
    return dict(zip(PICTURES, (_png(_two_people(photos)), _png(_edges()), *encoded), strict=True))


def _two_people(photos: Path) -> Image.Image:
    """Two real faces beside each other, large enough to be found."""
    left, right = Image.open(photos / "Luciano.png"), Image.open(photos / "astronaut.png").crop((96, 0, 352, 256))
    both = Image.new("RGB", (256, 128))
    both.paste(left.convert("RGB").resize((128, 128)), (0, 0))
    both.paste(right.convert("RGB").resize((128, 128)), (128, 0))
    return both


def _edges() -> Image.Image:
    """White lines on black, as ControlNet is given them."""
    drawn = Image.new("RGB", (128, 128))
    ImageDraw.Draw(drawn).ellipse((30, 20, 100, 110), outline="white", width=3)
    return drawn


def _png(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
