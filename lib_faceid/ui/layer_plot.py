"""The factors of a UNet's blocks as a small bar chart, in SVG."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from lib_faceid.units.weight_types import BLOCKS

__all__ = ["plot"]

# Of the plot, in pixels: a bar and the room to its right; its height; the room above, below and at its left.
BAR, GAP, HEIGHT, ABOVE, BELOW, LEFT = 12, 4, 48, 6, 30, 22


def plot(family: str, factors: Sequence[float], swapped: Collection[int]) -> str:
    """Return the chart: a bar for each block, an outline where it is swapped, and the same in words for who cannot see.

    Colours are left to the page: `.faceid-factor`, `.faceid-swapped`, and the text around.
    """
    highest, lowest = max(1.0, *factors), min(0.0, *factors)
    scale = HEIGHT / (highest - lowest)
    zero = ABOVE + highest * scale
    bars = "".join(_bar(t, factor, scale, zero, t in swapped) for t, factor in enumerate(factors))
    width, height = LEFT + len(factors) * (BAR + GAP), ABOVE + HEIGHT + BELOW
    description = escape(_in_words(family, factors, swapped), quote=True)
    return (
        f'<svg role="img" aria-label="{description}" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"{_axis(highest, lowest, zero, width)}{bars}{_stages(family)}</svg>"
    )


def _in_words(family: str, factors: Sequence[float], swapped: Collection[int]) -> str:
    each = ", ".join(
        f"{stage} block {t} {factors[t]:.3g}{' swapped' if t in swapped and factors[t] else ''}"
        for t, stage in enumerate(BLOCKS[family])
    )
    return f"Factors for {family}: {each}."


def _bar(t: int, factor: float, scale: float, zero: float, is_swapped: bool) -> str:
    """Return a block's bar with its number below; what is swapped is an outline."""
    x, top, height = LEFT + t * (BAR + GAP), zero - max(factor, 0) * scale, abs(factor) * scale
    kind = "faceid-swapped" if is_swapped else "faceid-factor"
    hint = f"block {t}: {factor:.3g}{', swapped' if is_swapped else ''}"
    inset = 0.75 if is_swapped else 0  # half of the outline
    drawn = (
        f'<rect class="{kind}" x="{x + inset}" y="{top + inset:.1f}" width="{BAR - 2 * inset}" '
        f'height="{max(height - 2 * inset, 0.5):.1f}"><title>{hint}</title></rect>'
        if factor
        else ""
    )
    return f'{drawn}<text x="{x + BAR / 2}" y="{ABOVE + HEIGHT + 11}">{t}</text>'


def _axis(highest: float, lowest: float, zero: float, width: int) -> str:
    bottom = ABOVE + HEIGHT
    marks = {highest: float(ABOVE), 0.0: zero} | ({lowest: bottom} if bottom - zero > 9 else {})
    drawn = "".join(
        f'<text class="faceid-mark" x="{LEFT - 5}" y="{y + 3:.1f}">{value:g}</text>' for value, y in marks.items()
    )
    return f'{drawn}<line x1="{LEFT - 2}" x2="{width}" y1="{zero:.1f}" y2="{zero:.1f}" />'


def _stages(family: str) -> str:
    """Return the stages below the blocks' numbers, each in the middle of its own."""
    stages = BLOCKS[family]
    y = ABOVE + HEIGHT + 24
    drawn = ""
    for stage in dict.fromkeys(stages):
        first, count = stages.index(stage), stages.count(stage)
        middle = LEFT + (first + count / 2) * (BAR + GAP) - GAP / 2
        drawn += f'<text class="faceid-stage" x="{middle}" y="{y}">{stage}</text>'
    return drawn
