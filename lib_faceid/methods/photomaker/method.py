"""PhotoMaker's two variants. What is read and how follows https://github.com/TencentARC/PhotoMaker (Apache-2.0, commit
060b4fc), `photomaker/pipeline.py`, `photomaker/model.py` and `photomaker/model_v2.py`.

Both see the whole photo, its centre square, through a CLIP ViT-L/14 that lies in their file. v2 reads the recogniser's
raw vector of the face besides. Uncond is the plain negative prompt.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lib_faceid.bases.base_model import SDXL
from lib_faceid.encoders.features import ARCFACE, PIXELS
from lib_faceid.methods.method import Method, Reads, Shapes, Variant
from lib_faceid.methods.networks import below
from lib_faceid.methods.photomaker import networks
from lib_faceid.models.adapter_names import canonical

__all__ = ["METHOD"]

TRIGGER = "img"
ENCODER, LORA = "id_encoder.", "lora_weights."
QFORMER = "qformer_perceiver.token_norm.weight"
FUSED, PROJECTED = "fuse_module.layer_norm.weight", "visual_projection_2.weight"
LAYERS = 140  # attentions of SDXL's UNet, all of which the LoRA is for: where one is missing, its number is not known


def _layout(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
    """Return the two halves of a file, `id_encoder` and `lora_weights`, under the usual names."""
    encoder, lora = below(tensors, ENCODER), below(tensors, LORA)
    if not encoder or FUSED not in encoder:
        return None
    if (width := encoder[FUSED].shape[0]) != SDXL:
        raise ValueError(f"it is for texts of width {width}, and those of SDXL have {SDXL}")
    layers = {key: one for key, one in canonical(lora).items() if key.startswith("ip_adapter.")}
    found = len({key.split(".")[1] for key in layers})
    if found != LAYERS or len(layers) != LAYERS * 8:
        raise ValueError(
            f"its LoRA has {len(layers)} tensors for {found} attention layers, and {LAYERS * 8} for {LAYERS} were "
            "expected"
        )
    return {f"image_proj.{key}": one for key, one in encoder.items()} | layers


def _is_v2(shapes: Shapes) -> bool:
    return QFORMER in shapes and FUSED in shapes


def _is_v1(shapes: Shapes) -> bool:
    return FUSED in shapes and PROJECTED in shapes and QFORMER not in shapes


METHOD = Method(
    id="photomaker",
    label="PhotoMaker",
    purpose="person",
    summary="Photos of a person, written into the prompt at the word for her, for SDXL: free in scene and style.",
    variants=(
        Variant(
            id="photomaker_v2",
            label="PhotoMaker v2",
            matches=_is_v2,
            network=networks.encoder_v2,
            filename_hint="photomakerv2",
            reads=(Reads(ARCFACE), Reads(PIXELS)),
            bases=(SDXL,),
            has_lora=True,
            recogniser="w600k_r50",
            trigger=TRIGGER,
            fuse=networks.fuse,
        ),
        Variant(
            id="photomaker_v1",
            label="PhotoMaker v1",
            matches=_is_v1,
            network=networks.encoder,
            filename_hint="photomakerv1",
            reads=(Reads(PIXELS),),
            bases=(SDXL,),
            has_lora=True,
            trigger=TRIGGER,
            fuse=networks.fuse,
        ),
    ),
    layout=_layout,
    file_hint="photomaker",
    best_files={SDXL: "photomaker-v2.bin"},
    source="TencentARC/PhotoMaker-V2 on Hugging Face (Apache-2.0; its face models are non-commercial)",
)
