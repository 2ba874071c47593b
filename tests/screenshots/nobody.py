"""Portraits of people who do not exist, drawn from formulas: relief, light, skin, hair. No photo is behind them.

For pictures of the page that show a face and nobody's. Lengths are in half heights of the head: the crown is at -1, the
chin at 1, and the middle of the face at x = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

__all__ = ["ADA", "BEN", "Look", "draw"]

Array = NDArray[np.float64]
Rgb = tuple[float, float, float]

OVERSAMPLING = 2
HEAD = 0.27  # half the head's height, as a fraction of the picture's
EYES_Y, MOUTH_Y, MOUTH_HALF, EYE_HALF = 0.03, 0.635, 0.225, 0.15
KEY, FILL = (-0.35, -0.45, 0.82), (0.7, -0.1, 0.7)


@dataclass(frozen=True)
class Look:
    """What makes one of them another than the next. Colours are linear RGB, 0 to 1."""

    skin: Rgb = (0.86, 0.66, 0.54)
    hair: Rgb = (0.20, 0.12, 0.07)
    iris: Rgb = (0.25, 0.38, 0.32)
    lips: Rgb = (0.72, 0.37, 0.35)
    shirt: Rgb = (0.25, 0.36, 0.50)
    width: float = 0.70
    jaw: float = 0.58
    nose: float = 0.125
    brow: float = 1.0
    is_long_haired: bool = True


ADA = Look()
BEN = Look(
    skin=(0.52, 0.36, 0.27), hair=(0.06, 0.05, 0.05), iris=(0.20, 0.12, 0.08), lips=(0.48, 0.27, 0.25),
    shirt=(0.42, 0.44, 0.30), width=0.73, jaw=0.66, nose=0.15, brow=1.35, is_long_haired=False,
)  # fmt: skip


def draw(looks: Sequence[Look], size_px: tuple[int, int] = (768, 768)) -> Image.Image:
    """Return a picture of these people side by side; the same one each time."""
    width, height = size_px[0] * OVERSAMPLING, size_px[1] * OVERSAMPLING
    picture = _background(width, height)
    for number, look in enumerate(looks):
        half = HEAD * min(height, width / len(looks) / 0.95)
        canvas = _Canvas(picture, (width * (number + 0.5) / len(looks), height * 0.47), half)
        _person(canvas, look)
        picture = canvas.rgb
    image = Image.fromarray((picture.clip(0, 1) ** 0.93 * 255).astype(np.uint8))
    image = image.resize(size_px, Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))
    grain = np.random.default_rng(9).normal(0, 1.6, (*size_px[::-1], 1))  # without any, it would pass for a drawing
    return Image.fromarray((np.asarray(image, float) + grain).clip(0, 255).astype(np.uint8))


class _Canvas:
    """A picture, and one head's coordinates in it. `x` and `y` are [H, W]; `ax` is |x|, as faces have two halves."""

    def __init__(self, rgb: Array, centre_px: tuple[float, float], half_px: float) -> None:
        rows, columns = np.mgrid[0 : rgb.shape[0], 0 : rgb.shape[1]]
        self.rgb, self.half_px = rgb, half_px
        self.x, self.y = (columns - centre_px[0]) / half_px, (rows - centre_px[1]) / half_px
        self.ax = np.abs(self.x)

    def spot(self, x: float, y: float, width: float, height: float) -> Array:
        """Return a soft spot, 1 in its middle, on both halves of the face."""
        return np.exp(-(((self.ax - x) / width) ** 2) - ((self.y - y) / height) ** 2)

    def cover(self, mask: Array, rgb: Array | Rgb) -> None:
        """Lay a colour over the picture where the mask is 1."""
        self.rgb = self.rgb + mask[..., None] * (np.asarray(rgb) - self.rgb)

    def stain(self, mask: Array, rgb: Rgb) -> None:
        """Let less of each colour through where the mask is 1."""
        self.rgb = self.rgb * (1 - mask[..., None] * (1 - np.asarray(rgb)))


def _step(value: Array, softness: float) -> Array:
    """Return 0 where the value is below 0 and 1 where it is above, softly."""
    return 1 / (1 + np.exp(-np.clip(value / softness, -40, 40)))


def _noise(shape: tuple[int, int], coarse: tuple[int, int], seed: int) -> Array:
    """Return smooth noise around 0 of that many cells."""
    cells = np.random.default_rng(seed).normal(128, 42, coarse).clip(0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(cells).resize((shape[1], shape[0]), Image.Resampling.BICUBIC), float) / 255 - 0.5


def _background(width: int, height: int) -> Array:
    colours = [_noise((height, width), (7, 9), seed) for seed in (4, 5, 6)]
    return np.stack(colours, -1) * 0.14 + np.linspace(0.66, 0.46, height)[:, None, None] * np.array((0.92, 1.0, 1.05))


def _person(canvas: _Canvas, look: Look) -> None:
    """Paint from the back to the front."""
    strands = _noise(canvas.x.shape, (8, int(canvas.half_px * 1.6)), 5)
    _hair_behind(canvas, look, strands)
    _body(canvas, look)
    outline = _outline(canvas, look)
    behind, canvas.rgb = canvas.rgb, np.ones_like(canvas.rgb) * np.array(look.skin)
    _skin(canvas, look)
    _mouth(canvas, look)
    glint = _eyes(canvas, look)
    light, gloss = _light(_relief(canvas, look, outline) * canvas.half_px)
    light = light * (1 - 0.3 * canvas.spot(0, 0.50, 0.13, 0.035)) * (1 - 0.22 * canvas.spot(0, 0.77, 0.15, 0.03))
    light = light * (1 - 0.6 * _step(outline - 0.95, 0.015))  # the rim, where the relief falls off too steeply to shade
    face = canvas.rgb * light[..., None] + (0.10 * gloss + 0.85 * glint)[..., None]
    canvas.rgb = behind
    canvas.cover(_step(1 - outline, 0.012), face)
    _hair_in_front(canvas, look, strands)


def _outline(canvas: _Canvas, look: Look) -> Array:
    """Return how far out each place is: 1 on the head's outline."""
    y = canvas.y
    up, down = np.clip(-(y + 0.05) / 0.95, 0, 1), np.clip((y + 0.05) / 1.05, 0, 1)
    chin = np.sqrt(np.clip(1 - (np.clip(y - 0.45, 0, None) / 0.55) ** 2.6, 0, 1))
    half = look.width * np.sqrt(1 - up**2.2) * (1 - down**2 * (1 - look.jaw)) * chin
    return np.where(np.abs(y) < 1, canvas.ax / np.maximum(half, 1e-3), 9)


def _relief(canvas: _Canvas, look: Look, outline: Array) -> Array:
    """Return how far each place of the face stands out."""
    x, y, spot = canvas.x, canvas.y, canvas.spot
    down = np.clip((y + 0.05) / 0.47, 0, 1)
    bridge = np.exp(-((x / (0.06 + 0.05 * down)) ** 2)) * _step(y + 0.1, 0.06) * _step(0.46 - y, 0.025)
    return (
        0.62 * np.sqrt(np.clip(1 - outline**2, 0.06, 1)) * (1 - 0.25 * np.clip(np.abs(y) - 0.1, 0, None) ** 2)
        - 0.085 * spot(0.31, EYES_Y, 0.17, 0.12) + 0.05 * spot(0.31, EYES_Y, 0.13, 0.075)
        + 0.045 * spot(0.295, EYES_Y - 0.17, 0.24, 0.07) + 0.06 * spot(0.40, 0.30, 0.2, 0.17)
        + (0.05 + 0.16 * down) * bridge
        + 0.06 * spot(look.nose * 0.85, 0.41, 0.055, 0.055) + 0.05 * spot(0, 0.41, 0.085, 0.075)
        + 0.05 * spot(0, 0.64, 0.24, 0.13) + 0.045 * spot(0, MOUTH_Y - 0.045, 0.17, 0.035)
        + 0.06 * spot(0, MOUTH_Y + 0.06, 0.15, 0.045) - 0.03 * spot(0, 0.53, 0.03, 0.05)
        - 0.02 * spot(0, 0.78, 0.15, 0.05) + 0.04 * spot(0, 0.88, 0.17, 0.12)
    )  # fmt: skip


def _light(relief_px: Array) -> tuple[Array, Array]:
    """Return how bright each place is, and how glossy: Lambert's law with two lights and Blinn's highlight."""
    down, right = np.gradient(relief_px)
    length = np.sqrt(down**2 + right**2 + 1)
    normal = np.stack([-right, -down, np.ones_like(down)], -1) / length[..., None]
    key, fill = (np.array(light) / np.linalg.norm(light) for light in (KEY, FILL))
    half = key + np.array((0, 0, 1))
    gloss = np.clip(normal @ (half / np.linalg.norm(half)), 0, None) ** 30
    return 0.16 + 0.82 * np.clip(normal @ key * 0.85 + 0.15, 0, None) + 0.22 * np.clip(normal @ fill, 0, None), gloss


def _skin(canvas: _Canvas, look: Look) -> None:
    """Cheeks, nose, nostrils, the rings of the eyes, brows, pores."""
    spot, dx = canvas.spot, canvas.ax - 0.31
    canvas.stain(0.55 * spot(0.40, 0.34, 0.2, 0.15), (1, 0.80, 0.78))
    canvas.stain(0.5 * spot(0, 0.40, 0.12, 0.08), (1, 0.85, 0.82))
    canvas.stain(0.35 * spot(0.31, EYES_Y, 0.22, 0.12), (0.85, 0.72, 0.70))
    canvas.stain(0.85 * spot(0.062, 0.462, 0.032, 0.015), (0.3, 0.16, 0.13))
    canvas.stain(0.4 * spot(look.nose + 0.012, 0.42, 0.018, 0.05), (0.62, 0.42, 0.36))
    middle = EYES_Y - 0.135 - 0.045 * np.cos((dx + 0.03) * 6)
    thick = (0.030 - 0.018 * np.clip((dx + 0.1) / 0.3, 0, 1)) * look.brow
    hairs = 0.82 + 1.2 * _noise(canvas.x.shape, (int(canvas.half_px), int(canvas.half_px * 2)), 3)
    shape = _step(thick - np.abs(canvas.y - middle), 0.007) * _step(0.20 - np.abs(dx), 0.02)
    canvas.cover(shape * hairs.clip(0, 1), np.array(look.hair) * 0.9)
    canvas.rgb = (
        canvas.rgb * (1 + 0.07 * _noise(canvas.x.shape, (int(canvas.half_px), int(canvas.half_px)), 8))[..., None]
    )


def _mouth(canvas: _Canvas, look: Look) -> None:
    """Closed, and content."""
    across = np.clip(canvas.ax / MOUTH_HALF, 0, 1.3)
    y = canvas.y + 0.035 * across**2  # the corners are higher
    upper = MOUTH_Y - 0.062 * (1 - np.clip(across, 0, 1) ** 1.6) * (1 - 0.28 * np.exp(-((canvas.x / 0.05) ** 2)))
    lower = MOUTH_Y + 0.105 * np.sqrt(1 - np.clip(across, 0, 1) ** 2.2)
    lips = _step(y - upper, 0.006) * _step(lower - y, 0.008) * _step(MOUTH_HALF - canvas.ax, 0.01)
    canvas.cover(0.85 * lips, look.lips)
    line = np.exp(-(((y - MOUTH_Y + 0.008 * np.exp(-((canvas.x / 0.06) ** 2))) / 0.010) ** 2))
    canvas.stain(0.8 * line * _step(MOUTH_HALF + 0.01 - canvas.ax, 0.012), (0.3, 0.14, 0.13))


def _eyes(canvas: _Canvas, look: Look) -> Array:
    """Paint both, and return where they glint."""
    y, dx = canvas.y, canvas.ax - 0.31
    bend = np.clip(np.abs(dx) / EYE_HALF, 0, 1)
    upper, lower = EYES_Y - 0.012 * dx / EYE_HALF - 0.075 * (1 - bend**2.1), EYES_Y + 0.042 * (1 - bend**2)
    within = _step(EYE_HALF - np.abs(dx), 0.012)
    eye = _step(y - upper, 0.005) * _step(lower - y, 0.006) * within
    far = np.hypot(dx, y - EYES_Y + 0.014)
    canvas.cover(eye, (0.88, 0.85, 0.83))
    canvas.cover(eye * _step(0.066 - far, 0.005), look.iris)
    canvas.cover(eye * 0.6 * _step(far - 0.052, 0.006) * _step(0.07 - far, 0.004), (0.08, 0.09, 0.08))
    canvas.cover(eye * _step(0.030 - far, 0.004), (0.02, 0.02, 0.02))
    canvas.stain(0.55 * eye * np.exp(-np.clip(y - upper, 0, None) / 0.022), (0.35, 0.3, 0.3))
    canvas.stain(0.92 * np.exp(-(((y - upper + 0.004) / 0.012) ** 2)) * within, (0.1, 0.07, 0.06))
    canvas.stain(0.45 * np.exp(-(((y - lower) / 0.007) ** 2)) * within, (0.4, 0.27, 0.25))
    canvas.stain(0.5 * np.exp(-(((y - upper + 0.045) / 0.010) ** 2)) * within, (0.55, 0.38, 0.33))
    beside = canvas.x - np.sign(canvas.x) * 0.31 + 0.02  # the light stands on the same side of both
    return eye * _step(0.013 - np.hypot(beside, y - EYES_Y + 0.038), 0.003)


def _hair_colour(canvas: _Canvas, look: Look, strands: Array) -> Array:
    sheen = np.exp(-(((canvas.y + 0.75 + 0.35 * canvas.x**2) / 0.16) ** 2)) * (0.6 + strands)
    return (np.array(look.hair) * (0.62 + 0.7 * strands + 0.9 * sheen)[..., None]).clip(0, 1)


def _cap(canvas: _Canvas, half: float) -> Array:
    """Return 1 within a dome of that half width, and below it down to the bottom."""
    return _step(1 - np.hypot(canvas.x / half, np.clip(-(canvas.y + 0.1), 0, None) / 1.08), 0.012)


def _hair_behind(canvas: _Canvas, look: Look, strands: Array) -> None:
    half, bottom = (0.90, 1.32) if look.is_long_haired else (look.width + 0.05, 0.1)
    tips = bottom + 0.3 * strands - canvas.y
    canvas.cover(_cap(canvas, half) * _step(tips, 0.04), _hair_colour(canvas, look, strands))


def _body(canvas: _Canvas, look: Look) -> None:
    """Neck, shoulders, and ears where no hair covers them."""
    ax, y = canvas.ax, canvas.y
    light, _ = _light(0.45 * np.sqrt(np.clip(1 - (ax / 0.42) ** 2, 0, 1)) * canvas.half_px)
    shadow = 1 - 0.55 * np.exp(-np.clip(y - 0.92, 0, None) / 0.20)
    skin = np.array(look.skin)
    canvas.cover(_step(0.40 - ax, 0.012) * _step(y - 0.4, 0.02), skin * (light * shadow)[..., None] * 0.92)
    neckline = np.where(ax < 0.42, 1.37 - 0.16 * (ax / 0.42) ** 3, 1.21 + 0.28 * np.clip(ax - 0.42, 0, 3) ** 1.3)
    folds = (0.72 + 0.2 * np.clip(0.6 - 0.5 * canvas.x, 0, 1)) * (1 - 0.2 * np.clip(y - 1.2, 0, 1))
    canvas.cover(_step(y - neckline, 0.012), np.array(look.shirt) * folds[..., None])
    if not look.is_long_haired:
        ear = _step(1 - np.hypot((ax - look.width - 0.01) / 0.085, (y - 0.15) / 0.2), 0.03)
        inner = 0.62 + 0.25 * canvas.spot(look.width + 0.03, 0.1, 0.05, 0.1)
        canvas.cover(ear, skin * inner[..., None])


def _hair_in_front(canvas: _Canvas, look: Look, strands: Array) -> None:
    """From the hairline up, and where it is long, down both sides of the face."""
    ax, y, colour = canvas.ax, canvas.y, _hair_colour(canvas, look, strands)
    side = np.clip(ax / look.width, 0, 1)
    hairline = -0.60 + 0.30 * side**3.2 + 0.03 * np.sin(canvas.x * 9 + 1) + 0.04 * strands
    if look.is_long_haired:
        hairline = hairline + 0.32 * np.clip(side - 0.45, 0, 1)
        curtain = _step(ax - look.width + 0.04 + 0.04 * np.clip(y, 0, 1), 0.015) * _step(y + 0.5, 0.06)
        canvas.cover(curtain * _cap(canvas, 0.90) * _step(1.32 + 0.3 * strands - y, 0.04), colour)
    canvas.cover(_step(hairline - y, 0.025) * _cap(canvas, look.width + 0.05), colour)
