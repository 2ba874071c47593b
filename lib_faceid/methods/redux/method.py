"""Redux's one variant. What is read and how follows https://github.com/black-forest-labs/flux (Apache-2.0, commit
802fb47), `modules/image_embedders.py: ReduxImageEncoder`.

The whole image is squeezed into a square, its proportions lost, as there. There is no negative side: FLUX.1 [dev] is
distilled, and [schnell] as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lib_faceid.bases.base_model import FLUX
from lib_faceid.encoders.features import SIGLIP
from lib_faceid.methods.method import Method, Reads, Shapes, Variant
from lib_faceid.methods.redux.network import TENSORS, redux_projection
from lib_faceid.models.adapter_names import unwrapped

__all__ = ["METHOD"]


def _layout(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
    """Return the embedder's four tensors under the usual names, of a file that holds them and nothing else."""
    for found in unwrapped(tensors):
        if set(found) == set(TENSORS):
            return {f"image_proj.{name}": tensor for name, tensor in found.items()}
    return None


def _is_redux(shapes: Shapes) -> bool:
    """Whether these are the embedder's tensors, for SigLIP so400m and T5-XXL's width."""
    if set(shapes) != set(TENSORS):
        return False
    (up, width), (out, down) = (shapes[f"redux_{way}.weight"] for way in ("up", "down"))
    return up == down and (width, out) == (SIGLIP.shape[-1], FLUX)


METHOD = Method(
    id="redux",
    label="FLUX Redux",
    purpose="image",
    summary="Style and composition of an image for FLUX.1, beside the prompt; not the identity of anybody in it.",
    variants=(
        Variant(
            id="redux",
            label="FLUX Redux",
            matches=_is_redux,
            network=redux_projection,
            filename_hint="redux",
            reads=(Reads(SIGLIP),),
            bases=(FLUX,),
            makes="context",
            network_settings=("detail",),
            crop="whole",
            caution="FLUX Redux carries the style and composition of an image, not the identity of anybody in it.",
        ),
    ),
    layout=_layout,
    file_hint="redux",
    best_files={FLUX: "flux1-redux-dev.safetensors"},
    source="black-forest-labs/FLUX.1-Redux-dev on Hugging Face (FLUX.1 [dev] Non-Commercial License, after signing in)",
)
