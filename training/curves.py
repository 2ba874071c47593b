"""Loss curves as a picture, from a training's journal; nothing but Pillow is needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

__all__ = ["draw_curves"]

COLUMNS = 2
WIDTH, HEIGHT, MARGIN = 400, 120, 8
INK, PAPER, FRAME = (30, 90, 180), (255, 255, 255), (200, 200, 200)
NOT_DRAWN = {"step", "steps_per_s", "hours_left"}

Points = Sequence[tuple[float, float]]


def draw_curves(journal: Path, path: Path) -> None:
    """Write one panel for each value that the journal (`<name>.jsonl`) has, over the steps."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in journal.read_text("utf-8").splitlines():
        values = json.loads(line)
        for name in values.keys() - NOT_DRAWN:
            curves.setdefault(name, []).append((values["step"], values[name]))
    image = Image.new("RGB", (COLUMNS * WIDTH, -(-len(curves) // COLUMNS) * HEIGHT), PAPER)
    for place, (name, points) in enumerate(sorted(curves.items())):
        row, column = divmod(place, COLUMNS)
        _panel(ImageDraw.Draw(image), column * WIDTH, row * HEIGHT, name, points)
    image.save(path)


def _panel(draw: ImageDraw.ImageDraw, start: int, top: int, name: str, points: Points) -> None:
    xs, ys = zip(*points, strict=True)
    low, high = min(ys), max(ys)
    left, right, upper, lower = start + MARGIN, start + WIDTH - MARGIN, top + 24, top + HEIGHT - MARGIN
    draw.rectangle((left, upper, right, lower), outline=FRAME)
    draw.text((left, top + 8), f"{name}: {low:.4g} to {high:.4g}, now {ys[-1]:.4g} (step {xs[-1]:.0f})", fill=INK)
    across, up = (right - left) / max(*xs, 1), (lower - upper) / (high - low or 1)
    draw.line([(left + x * across, lower - (y - low) * up) for x, y in points], fill=INK, width=2)
