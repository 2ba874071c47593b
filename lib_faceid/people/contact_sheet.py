"""Photos on one sheet, each with its faces boxed and numbered, and with what they are good for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lib_faceid.references.analysis import AnalysedFace

__all__ = ["Tile", "make_contact_sheet", "make_tile"]

TILE_PX, LABEL_PX, GAP_PX, COLUMNS = 320, 40, 8, 4
PAPER, INK = (255, 255, 255), (20, 20, 20)
COLOURS = {"good": (20, 140, 60), "usable": (200, 120, 0), "poor": (200, 30, 30)}
FONT_PX = 13


@dataclass(frozen=True, eq=False)
class Tile:
    """One photo, small, with its boxes drawn."""

    image: Image.Image
    label: str


def make_tile(image_rgb: NDArray[np.uint8], faces: Sequence[AnalysedFace], label: str, chosen: int = -1) -> Tile:
    """Return a photo (uint8 RGB [H, W, 3]) with each face's box, number and verdict; the chosen one's box is thick."""
    image = Image.fromarray(image_rgb)
    scale = min(TILE_PX / image.width, TILE_PX / image.height)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    pen = ImageDraw.Draw(image)
    for index, face in enumerate(faces):
        colour = COLOURS[face.report.verdict]
        x0, y0, x1, y1 = (edge * scale for edge in face.box)
        pen.rectangle((x0, y0, x1, y1), outline=colour, width=4 if index == chosen else 2)
        text = f"{index + 1} {face.report.verdict}" if len(faces) <= 3 else str(index + 1)
        left, top = max(0.0, x0), max(0.0, y0 - FONT_PX - 3)
        pen.rectangle(pen.textbbox((left, top), text, font=_font()), fill=colour)
        pen.text((left, top), text, fill=PAPER, font=_font())
    return Tile(image, label)


def make_contact_sheet(tiles: Sequence[Tile]) -> Image.Image:
    """Return the tiles in rows of four, each above its label."""
    columns, rows = min(COLUMNS, max(1, len(tiles))), max(1, -(-len(tiles) // COLUMNS))
    step, row_step = TILE_PX + GAP_PX, TILE_PX + LABEL_PX + GAP_PX
    sheet = Image.new("RGB", (columns * step + GAP_PX, rows * row_step + GAP_PX), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, tile in enumerate(tiles):
        left, top = GAP_PX + number % COLUMNS * step, GAP_PX + number // COLUMNS * row_step
        sheet.paste(tile.image, (left, top))
        pen.multiline_text((left, top + TILE_PX + 4), _two_lines(tile.label), fill=INK, font=_font())
    return sheet


def _two_lines(text: str, width: int = 46) -> str:
    first, rest = text[:width], text[width:]
    if rest and " " in first:
        first, _, tail = first.rpartition(" ")
        rest = tail + rest
    return f"{first}\n{rest[: width - 1]}{'…' if len(rest) >= width else ''}"


def _font() -> Any:
    try:
        return ImageFont.load_default(FONT_PX)
    except TypeError:  # Pillow before 10.1 has one size
        return ImageFont.load_default()
