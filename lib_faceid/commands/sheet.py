"""Pictures side by side on one sheet, each below its label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

__all__ = ["make_sheet"]

TILE_PX = (320, 320)
LABEL_HEIGHT_PX, GAP_PX = 32, 8
PAPER_RGB, INK_RGB = (255, 255, 255), (0, 0, 0)


def make_sheet(tiles: Sequence[tuple[str, Image.Image]], tile_px: tuple[int, int] = TILE_PX) -> Image.Image:
    """Return one row of labelled pictures, scaled to fit tiles of the same size (width, height)."""
    step_px = tile_px[0] + GAP_PX
    sheet = Image.new("RGB", (len(tiles) * step_px + GAP_PX, tile_px[1] + LABEL_HEIGHT_PX + GAP_PX), PAPER_RGB)
    for number, (label, image) in enumerate(tiles):
        left_px = GAP_PX + number * step_px
        sheet.paste(ImageOps.contain(image, tile_px), (left_px, LABEL_HEIGHT_PX))
        ImageDraw.Draw(sheet).text((left_px, GAP_PX), label, fill=INK_RGB, font=_font())
    return sheet


def _font() -> Any:
    try:
        return ImageFont.load_default(LABEL_HEIGHT_PX * 0.5)
    except TypeError:  # Pillow before 10.1 has one size
        return ImageFont.load_default()
