"""The FaceID variants, each declared once. Everything that differs between them is here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from lib_faceid.bases.base_model import SD15, SDXL
from lib_faceid.encoders.features import ARCFACE, CLIP_H_HIDDEN
from lib_faceid.methods import networks
from lib_faceid.methods.method import Method, Reads, Shapes, Variant

__all__ = ["METHOD"]

TRAINED_ON = "w600k_r50"
UNIT_VECTOR, RAW_VECTOR, CLIP_FEATURES = Reads(ARCFACE, unit_length=True), Reads(ARCFACE), Reads(CLIP_H_HIDDEN)


def _is_mlp(shapes: Shapes, fits: Callable[[int], bool]) -> bool:
    """Whether it is a bare two-layer network giving a fitting number of tokens."""
    out_dim, cross_attention_dim = (shapes.get(key, ())[:1] for key in ("proj.2.weight", "norm.weight"))
    is_plus = "perceiver_resampler.proj_in.weight" in shapes
    if not out_dim or not cross_attention_dim or 0 in cross_attention_dim or is_plus or not _reads_embeddings(shapes):
        return False
    return fits(out_dim[0] // cross_attention_dim[0])


def _is_plus(shapes: Shapes) -> bool:
    """Whether it reads 512-d identity vectors, and hidden states of CLIP ViT-H."""
    return shapes.get("perceiver_resampler.proj_in.weight", ())[1:] == (1280,) and _reads_embeddings(shapes)


def _reads_embeddings(shapes: Shapes) -> bool:
    return shapes.get("proj.0.weight", ())[1:] == (512,)


def _reads_vectors(shapes: Shapes) -> bool:
    """Whether it is a resampler of 512-d identity vectors; one of 1280-d CLIP features is another family."""
    return "latents" in shapes and shapes.get("proj_in.weight", ())[1:] == (512,)


def _mixes_dtypes(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors have several dtypes, as in the published file; in others of these shapes they have one."""
    return len({tensor.dtype for tensor in tensors.values()}) > 1


METHOD = Method(
    id="faceid",
    label="FaceID",
    purpose="person",
    summary="The person in the photo, in any scene and style.",
    variants=(
        Variant(
            id="plusv2",
            label="FaceID Plus v2",
            matches=_is_plus,
            network=networks.plus_shortcut_projection,
            filename_hint="plusv2",
            reads=(UNIT_VECTOR, CLIP_FEATURES),
            network_settings=("structure",),
            has_lora=True,
            recogniser=TRAINED_ON,
        ),
        Variant(
            id="plus",
            label="FaceID Plus",
            matches=_is_plus,
            network=networks.plus_projection,
            filename_hint="plus",
            reads=(UNIT_VECTOR, CLIP_FEATURES),
            bases=(SD15,),
            has_lora=True,
            recogniser=TRAINED_ON,
        ),
        Variant(
            id="portrait",
            label="FaceID Portrait",
            matches=lambda shapes: _is_mlp(shapes, lambda num_tokens: num_tokens > 4),
            network=networks.mlp_projection,
            filename_hint="portrait",
            reads=(UNIT_VECTOR,),
            recogniser=TRAINED_ON,
        ),
        Variant(
            id="faceid",
            label="FaceID",
            matches=lambda shapes: _is_mlp(shapes, lambda num_tokens: num_tokens <= 4),
            network=networks.mlp_projection,
            filename_hint="faceid",
            reads=(UNIT_VECTOR,),
            has_lora=True,
            recogniser=TRAINED_ON,
        ),
        Variant(
            id="portrait_unnorm",
            label="FaceID Portrait unnorm",
            matches=_reads_vectors,
            network=networks.resampler,
            filename_hint="unnorm",
            reads=(RAW_VECTOR,),
            bases=(SDXL,),
            recogniser=TRAINED_ON,
            signs=_mixes_dtypes,
        ),
    ),
    # Of h94/IP-Adapter-FaceID on Hugging Face.
    known_files={
        "252fb53e0d018489d9e7f9b9e2001a52ff700e491894011ada7cfb471e0fadf2": "plus",
        "26d0d86a1d60d6cc811d3b8862178b461e1eeb651e6fe2b72ba17aa95411e313": "plusv2",
        "c6945d82b543700cc3ccbb98d363b837e9c596281607857c74b713a876daf5fb": "plusv2",
        "220bb86e205393a3d0411631cb473caddbf35fd371be2905ca9008818170db55": "portrait_unnorm",
    },
    file_hint="faceid",
    best_files={SD15: "ip-adapter-faceid-plusv2_sd15.bin", SDXL: "ip-adapter-faceid-plusv2_sdxl.bin"},
    source="h94/IP-Adapter-FaceID on Hugging Face (non-commercial)",
)
