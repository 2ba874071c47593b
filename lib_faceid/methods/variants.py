"""The variants of FaceID, each declared once. Everything that differs between them is said here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lib_faceid.errors import MismatchError
from lib_faceid.methods import image_proj

__all__ = [
    "FAMILY_NAMES",
    "KNOWN_FILES",
    "VARIANTS",
    "Shapes",
    "Variant",
    "by_id",
    "candidates",
    "families_of",
    "named_by_user",
]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]  # tensor name below `image_proj.` -> shape

SD15, SDXL = 768, 2048  # cross_attention_dim of the two families that FaceID exists for
FAMILY_NAMES = {SD15: "SD 1.5", SDXL: "SDXL"}


@dataclass(frozen=True)
class Variant:
    """One way of turning a face into identity tokens."""

    id: str
    label: str
    matches: Callable[[Shapes], bool]
    """Whether these `image_proj` tensors can be read as this variant; two variants may both say yes (a tie)."""
    image_proj: image_proj.Builder
    filename_hint: str
    """What a file's name contains, its punctuation aside; the last resort in a tie, asked in the order below."""
    families: tuple[int, ...] = (SD15, SDXL)
    """The cross attention dimensions it was ever published for."""
    needs_clip: bool = False
    """Whether it also reads CLIP ViT-H features of the aligned face."""
    shortcut: bool = False
    """Whether the face structure (s_scale) can be set."""
    raw_embedding: bool = False
    """Whether it was trained on the recogniser's raw vector instead of the one of unit length."""

    def __repr__(self) -> str:
        return f"<Variant {self.id}>"

    def is_named_in(self, file_stem: str) -> bool:
        """Say whether a file's name, without its extension, contains the hint."""
        return self.filename_hint in re.sub(r"[^a-z0-9]", "", file_stem.lower())


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


def _reads_faces(shapes: Shapes) -> bool:
    """Whether it is a resampler of 512-d identity vectors; one of 1280-d CLIP features is another family."""
    return "latents" in shapes and shapes.get("proj_in.weight", ())[1:] == (512,)


# In the order in which "Auto" prefers them (best likeness first).
VARIANTS: tuple[Variant, ...] = (
    Variant(
        id="plusv2",
        label="FaceID Plus v2",
        matches=_is_plus,
        image_proj=image_proj.plus_shortcut_projection,
        filename_hint="plusv2",
        needs_clip=True,
        shortcut=True,
    ),
    Variant(
        id="plus",
        label="FaceID Plus",
        matches=_is_plus,
        image_proj=image_proj.plus_projection,
        filename_hint="plus",
        families=(SD15,),
        needs_clip=True,
    ),
    Variant(
        id="portrait",
        label="FaceID Portrait",
        matches=lambda shapes: _is_mlp(shapes, lambda num_tokens: num_tokens > 4),
        image_proj=image_proj.mlp_projection,
        filename_hint="portrait",
    ),
    Variant(
        id="faceid",
        label="FaceID",
        matches=lambda shapes: _is_mlp(shapes, lambda num_tokens: num_tokens <= 4),
        image_proj=image_proj.mlp_projection,
        filename_hint="faceid",
    ),
    Variant(
        id="portrait_unnorm",
        label="FaceID Portrait unnorm",
        matches=_reads_faces,
        image_proj=image_proj.resampler,
        filename_hint="unnorm",
        families=(SDXL,),
        raw_embedding=True,
    ),
)

# The published files that shapes alone cannot tell apart, by SHA-256 (h94/IP-Adapter-FaceID on Hugging Face).
KNOWN_FILES: Mapping[str, str] = {
    "252fb53e0d018489d9e7f9b9e2001a52ff700e491894011ada7cfb471e0fadf2": "plus",
    "26d0d86a1d60d6cc811d3b8862178b461e1eeb651e6fe2b72ba17aa95411e313": "plusv2",
    "c6945d82b543700cc3ccbb98d363b837e9c596281607857c74b713a876daf5fb": "plusv2",
    "220bb86e205393a3d0411631cb473caddbf35fd371be2905ca9008818170db55": "portrait_unnorm",
}


def by_id(variant_id: str) -> Variant:
    """Return the variant of that id; KeyError for an unknown one."""
    return {variant.id: variant for variant in VARIANTS}[variant_id]


def named_by_user(variant_id: str) -> Variant:
    """Return the variant of that id. Raises MismatchError, naming the known ones."""
    try:
        return by_id(variant_id)
    except KeyError:
        known = ", ".join(variant.id for variant in VARIANTS)
        raise MismatchError(f"There is no variant '{variant_id}'. Known variants: {known}.") from None


def candidates(shapes: Shapes, cross_attention_dim: int) -> tuple[Variant, ...]:
    """Return every variant that these tensors can be read as. More than one is a tie that shapes cannot break."""
    return tuple(variant for variant in VARIANTS if variant.matches(shapes) and cross_attention_dim in variant.families)


def families_of(variant: Variant) -> str:
    """Return the checkpoint families of a variant in words."""
    return " and ".join(FAMILY_NAMES[dim] for dim in variant.families)
