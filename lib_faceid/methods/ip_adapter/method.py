"""The variants of the plain IP-Adapter, each declared once, by what its projection network reads.

Files that differ in their training alone have the same tensors: light and its versions are `ip_adapter`; plus-face and
the community's composition adapters are told from plus by their names, so that Auto takes them for what they are.
"""

from __future__ import annotations

from collections.abc import Callable

from lib_faceid.bases.base_model import SD15, SDXL
from lib_faceid.encoders.features import (
    CLIP_BIGG_HIDDEN,
    CLIP_BIGG_PROJECTED,
    CLIP_H_HIDDEN,
    CLIP_H_PROJECTED,
    FeatureKey,
)
from lib_faceid.methods import networks
from lib_faceid.methods.method import Method, Reads, Shapes, Variant

__all__ = ["METHOD"]


def _is_linear(key: FeatureKey) -> Callable[[Shapes], bool]:
    """Match one linear layer on that encoder's image embeds."""
    return lambda shapes: shapes.get("proj.weight", ())[1:] == key.shape


def _is_resampler(key: FeatureKey) -> Callable[[Shapes], bool]:
    """Match learned latents that read that encoder's hidden states."""
    return lambda shapes: "latents" in shapes and shapes.get("proj_in.weight", ())[1:] == key.shape[-1:]


def _is_full(shapes: Shapes) -> bool:
    return "proj.3.weight" in shapes


METHOD = Method(
    id="ip_adapter",
    label="IP-Adapter",
    purpose="image",
    summary="The image itself as a prompt: everything in it, or its style or composition alone (weight types).",
    variants=(
        Variant(
            id="ip_adapter_plus",
            label="IP-Adapter Plus",
            matches=_is_resampler(CLIP_H_HIDDEN),
            network=networks.resampler,
            filename_hint="plus",
            reads=(Reads(CLIP_H_HIDDEN),),
        ),
        Variant(
            id="ip_adapter_plus_vit_g",
            label="IP-Adapter Plus (ViT-bigG)",
            matches=_is_resampler(CLIP_BIGG_HIDDEN),
            network=networks.resampler,
            filename_hint="plus",
            reads=(Reads(CLIP_BIGG_HIDDEN),),
        ),
        Variant(
            id="ip_adapter",
            label="IP-Adapter",
            matches=_is_linear(CLIP_H_PROJECTED),
            network=networks.linear_projection,
            filename_hint="ipadapter",
            reads=(Reads(CLIP_H_PROJECTED),),
        ),
        Variant(
            id="ip_adapter_vit_g",
            label="IP-Adapter (ViT-bigG)",
            matches=_is_linear(CLIP_BIGG_PROJECTED),
            network=networks.linear_projection,
            filename_hint="ipadapter",
            reads=(Reads(CLIP_BIGG_PROJECTED),),
        ),
        Variant(
            id="ip_adapter_plus_face",
            label="IP-Adapter Plus Face",
            matches=_is_resampler(CLIP_H_HIDDEN),
            network=networks.resampler,
            filename_hint="plusface",
            reads=(Reads(CLIP_H_HIDDEN),),
            crop="face",
        ),
        Variant(
            id="ip_adapter_full_face",
            label="IP-Adapter Full Face",
            matches=_is_full,
            network=networks.full_projection,
            filename_hint="fullface",
            reads=(Reads(CLIP_H_HIDDEN),),
            bases=(SD15,),
            crop="face",
        ),
        Variant(
            id="ip_adapter_composition",
            label="IP-Adapter Plus Composition",
            matches=_is_resampler(CLIP_H_HIDDEN),
            network=networks.resampler,
            filename_hint="composition",
            reads=(Reads(CLIP_H_HIDDEN),),
        ),
    ),
    # Of h94/IP-Adapter on Hugging Face: the files whose tensors have the same shapes as another variant's.
    known_files={
        "a1c250be40455cc61a43da1201ec3f1edaea71214865fb47f57927e06cbe4996": "ip_adapter_plus",
        "3f5062b8400c94b7159665b21ba5c62acdcd7682262743d7f2aefedef00e6581": "ip_adapter_plus",
        "677ad8860204f7d0bfba12d29e6c31ded9beefdf3e4bbd102518357d31a292c1": "ip_adapter_plus_face",
    },
    file_hint="ip-adapter",
    best_files={SD15: "ip-adapter-plus_sd15.safetensors", SDXL: "ip-adapter-plus_sdxl_vit-h.safetensors"},
    source="h94/IP-Adapter on Hugging Face (Apache-2.0)",
)
