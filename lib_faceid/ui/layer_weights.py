"""How the weight is shared out among the blocks of the UNet: the weight type, own factors, and a picture of both."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lib_faceid.errors import FaceIDError, MismatchError
from lib_faceid.ui.layer_plot import plot
from lib_faceid.ui.parts import QUICK, choice, labels, notice
from lib_faceid.units.layer_weights import LayerWeights, read_factors
from lib_faceid.units.weight_types import BLOCKS, LINEAR, WEIGHT_TYPES

__all__ = ["build_layer_weights", "shown"]


def build_layer_weights(prefix: str) -> dict[str, Any]:
    """Return the components by field, made where gradio stands right now, and wired."""
    weight_type = choice("weight_type", prefix)
    own = gr.Textbox(value="", max_lines=1, placeholder="3:2.5,6:1", **labels("layer_weights", prefix))
    picture = gr.HTML(shown(LINEAR, ""), elem_id=f"{prefix}_layer_plot")
    for component in (weight_type, own):
        component.change(shown, [weight_type, own], [picture], **QUICK)
    return {"weight_type": weight_type, "layer_weights": own}


def shown(weight_type: str | None, own: str | None) -> str:
    """Return HTML that says what the settings do, and shows what each block of each family gets."""
    try:
        weights = LayerWeights(weight_type or "", own or "")
    except FaceIDError as error:
        return notice(f"{error}", "warning")
    plots = "".join(_figure(weights, one) for one in BLOCKS)
    return f'{notice(_description(weights))}<div class="faceid-plots">{plots}</div>'


def _description(weights: LayerWeights) -> str:
    if not weights.acts:
        return "Every factor is 0: as if the unit were off."
    own = "Your own factors take the type's place."
    text = own if read_factors(weights.own) else WEIGHT_TYPES[weights.weight_type].does
    swaps = any(weights.swapped(family) for family in BLOCKS)
    return text + (" Dashed blocks are swapped: uncond sees the person there, and cond sees nobody." if swaps else "")


def _figure(weights: LayerWeights, family: str) -> str:
    try:
        drawn = plot(family, weights.factors(family), weights.swapped(family))
    except MismatchError as error:
        drawn = notice(f"{error}", "warning")
    return f"<figure><figcaption>{family}</figcaption>{drawn}</figure>"
