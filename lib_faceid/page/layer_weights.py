"""How the weight is shared out among the blocks of the UNet: the weight type, own factors, and a picture of both."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from lib_faceid.errors import FaceIDError, MismatchError
from lib_faceid.layer_weights import LayerWeights, read_factors
from lib_faceid.page.parts import QUICK, choice, labels, notice
from lib_faceid.weight_types import BLOCKS, LINEAR, WEIGHT_TYPES

__all__ = ["build_layer_weights", "shown"]

# Of the plot, in pixels: a bar and the room to its right; its height; the room above, below and at its left.
BAR, GAP, HEIGHT, ABOVE, BELOW, LEFT = 12, 4, 48, 6, 30, 22


def build_layer_weights(prefix: str) -> dict[str, Any]:
    """Return the components by field, made where gradio stands right now, and wired."""
    weight_type = choice("weight_type", prefix)
    own = gr.Textbox(value="", max_lines=1, placeholder="3:2.5,6:1", **labels("layer_weights", prefix))
    plot = gr.HTML(shown(LINEAR, ""), elem_id=f"{prefix}_layer_plot")
    for component in (weight_type, own):
        component.change(shown, [weight_type, own], [plot], **QUICK)
    return {"weight_type": weight_type, "layer_weights": own}


def shown(weight_type: str | None, own: str | None) -> str:
    """Return HTML that says what the settings do, and shows what each block of each family gets."""
    try:
        weights = LayerWeights(weight_type or "", own or "")
    except FaceIDError as error:
        return notice(f"{error}", "warning")
    return f'{notice(_told(weights))}<div class="faceid-plots">{"".join(_plot(weights, one) for one in BLOCKS)}</div>'


def _told(weights: LayerWeights) -> str:
    if not weights.acts:
        return "Every factor is 0: as if the unit were off."
    own = "Your own factors take the type's place."
    told = own if read_factors(weights.own) else WEIGHT_TYPES[weights.weight_type].does
    swaps = any(weights.swapped(family) for family in BLOCKS)
    return told + (" Dashed blocks are swapped: uncond sees the person there, and cond sees nobody." if swaps else "")


def _plot(weights: LayerWeights, family: str) -> str:
    try:
        factors, swapped = weights.factors(family), weights.swapped(family)
    except MismatchError as error:
        return f"<figure><figcaption>{family}</figcaption>{notice(f'{error}', 'warning')}</figure>"
    highest, lowest = max(1.0, *factors), min(0.0, *factors)
    scale = HEIGHT / (highest - lowest)
    zero = ABOVE + highest * scale
    bars = "".join(_bar(t, factor, scale, zero, t in swapped) for t, factor in enumerate(factors))
    width, height = LEFT + len(factors) * (BAR + GAP), ABOVE + HEIGHT + BELOW
    told = escape(_in_words(family, factors, swapped), quote=True)
    svg = (
        f'<svg role="img" aria-label="{told}" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"{_axis(highest, lowest, zero, width)}{bars}{_stages(family)}</svg>"
    )
    return f"<figure><figcaption>{family}</figcaption>{svg}</figure>"


def _in_words(family: str, factors: Sequence[float], swapped: frozenset[int]) -> str:
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
    marks = {highest: float(ABOVE), 0.0: zero} | ({lowest: ABOVE + HEIGHT} if lowest else {})
    told = "".join(
        f'<text class="faceid-mark" x="{LEFT - 5}" y="{y + 3:.1f}">{value:g}</text>' for value, y in marks.items()
    )
    return f'{told}<line x1="{LEFT - 2}" x2="{width}" y1="{zero:.1f}" y2="{zero:.1f}" />'


def _stages(family: str) -> str:
    """Return the stages below the blocks' numbers, each in the middle of its own."""
    stages = BLOCKS[family]
    y = ABOVE + HEIGHT + 24
    told = ""
    for stage in dict.fromkeys(stages):
        first, count = stages.index(stage), stages.count(stage)
        middle = LEFT + (first + count / 2) * (BAR + GAP) - GAP / 2
        told += f'<text class="faceid-stage" x="{middle}" y="{y}">{stage}</text>'
    return told
