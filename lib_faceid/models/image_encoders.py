"""Which image encoder a file holds, told by the shapes of its tensors: a name says little.

An encoder has one id everywhere: here, in the catalogue and in the keys of features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

from lib_faceid.arguments import one_of
from lib_faceid.errors import FileError, WrongFamilyError
from lib_faceid.models.fingerprint import file_fingerprint

__all__ = [
    "IMAGE_ENCODERS",
    "IMAGE_SIZE_PX",
    "PATCH_PX",
    "POSITIONS",
    "ImageEncoder",
    "encoder_in",
    "image_encoder",
    "require_encoder",
]

Shape: TypeAlias = tuple[int, ...]

IMAGE_SIZE_PX, PATCH_PX = 224, 14
POSITIONS = (IMAGE_SIZE_PX // PATCH_PX) ** 2 + 1  # 257: the patches and the class token
TRANSFORMERS_PATCHES = "embeddings.patch_embedding.weight"
# The same three tensors in transformers' layout and in open_clip's.
CLASS_EMBEDDINGS = {
    "embeddings.class_embedding": (TRANSFORMERS_PATCHES, "embeddings.position_embedding.weight"),
    "class_embedding": ("conv1.weight", "positional_embedding"),
}
OTHER_ENCODERS = {768: "CLIP ViT-B", 1024: "CLIP ViT-L/14", 1408: "CLIP ViT-g/14"}


class ImageEncoder(NamedTuple):
    """One published encoder of pictures that are cut into patches of 14 px."""

    id: str
    label: str
    width: int
    """Of its hidden states."""
    projection: int
    """Of its image_embeds; 0 where it has none."""
    published: str
    """Where it is published, in words."""
    file_names: tuple[str, ...]
    """What people call it: the published names, and those of other programs."""
    image_px: int = IMAGE_SIZE_PX
    positions: int = POSITIONS
    """How many hidden states it gives: of the patches, and of a class token where it has one."""
    has_class_token: bool = True
    """Whether it is a CLIP; a SigLIP has none."""

    @property
    def remedy(self) -> str:
        """The sentence at the end of a message about a file that cannot be used."""
        return f"Use {self.published}."


IMAGE_ENCODERS = {
    "clip_vit_h": ImageEncoder(
        "clip_vit_h",
        "CLIP ViT-H",
        width=1280,
        projection=1024,
        published="models/image_encoder/model.safetensors of h94/IP-Adapter",
        file_names=(
            "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors",
            "CLIP-ViT-H-14.safetensors",
            "clip_h.safetensors",
            "CLIP-ViT-H-14-laion2B-s32B-b79K/model.safetensors",
            "image_encoder/model.safetensors",
            "SD1.5/model.safetensors",
            "open_clip_pytorch_model.safetensors",
            "CLIP-ViT-H-14-laion2B-s32B-b79K/open_clip_pytorch_model.safetensors",
            "model.safetensors",
            "clip_h.pth",
            "image_encoder/pytorch_model.bin",
            "SD1.5/pytorch_model.bin",
        ),
    ),
    "clip_vit_bigg": ImageEncoder(
        "clip_vit_bigg",
        "CLIP ViT-bigG",
        width=1664,
        projection=1280,
        published="sdxl_models/image_encoder/model.safetensors of h94/IP-Adapter",
        file_names=(
            "CLIP-ViT-bigG-14-laion2B-39B-b160k.safetensors",
            "CLIP-ViT-bigG-14.safetensors",
            "clip_vision_g.safetensors",
            "clip_g.safetensors",
            "CLIP-ViT-bigG-14-laion2B-39B-b160k/model.safetensors",
            "sdxl_models/image_encoder/model.safetensors",
            "SDXL/model.safetensors",
            "CLIP-ViT-bigG-14-laion2B-39B-b160k/open_clip_pytorch_model.safetensors",
            "clip_g.pth",
            "sdxl_models/image_encoder/pytorch_model.bin",
            "SDXL/pytorch_model.bin",
        ),
    ),
    "siglip_so400m": ImageEncoder(
        "siglip_so400m",
        "SigLIP so400m",
        width=1152,
        projection=0,
        published="sigclip_vision_patch14_384.safetensors of Comfy-Org/sigclip_vision_384",
        file_names=(
            "sigclip_vision_patch14_384.safetensors",
            "siglip-so400m-patch14-384.safetensors",
            "siglip-so400m-patch14-384/model.safetensors",
            "FLUX.1-Redux-dev/image_encoder/model.safetensors",
        ),
        image_px=384,
        positions=(384 // PATCH_PX) ** 2,  # 729: 27 x 27, and 6 px on two sides are not seen
        has_class_token=False,
    ),
}


def image_encoder(encoder: str) -> ImageEncoder:
    """Return the encoder of that id. Raises UnitError for an id that is not in the table."""
    return IMAGE_ENCODERS[one_of(encoder, "encoder", tuple(IMAGE_ENCODERS))]


def encoder_in(path: Path) -> str:
    """Return the id of the encoder in a file; empty for every other file, also for one that cannot be read."""
    return _encoder_in(path, file_fingerprint(path))


def require_encoder(shapes: Mapping[str, Shape], encoder: str, file_name: str) -> None:
    """Raise WrongFamilyError, which says what the file holds, unless these tensors are that encoder's."""
    expected = image_encoder(encoder)
    found = _recognised(shapes)
    if found is None:
        raise WrongFamilyError(f"{file_name} is not {_what(expected)}. {expected.remedy}")
    if found.id != encoder:
        raise WrongFamilyError(
            f"{file_name} is {found.label} (width {found.width}); {expected.label} (width {expected.width}, pictures "
            f"of {expected.image_px} px) is needed. {expected.remedy}"
        )


class _Recognised(NamedTuple):
    id: str  # empty for an encoder that is not in the table
    label: str
    width: int


@lru_cache(maxsize=256)
def _encoder_in(path: Path, fingerprint: str) -> str:
    from lib_faceid.models.checkpoint import read_whole  # torch, which a list of places can do without

    if not fingerprint:
        return ""
    try:
        found = _recognised({name: tuple(tensor.shape) for name, tensor in read_whole(path).tensors.items()})
    except FileError:
        return ""
    return found.id if found else ""


def _recognised(shapes: Mapping[str, Shape]) -> _Recognised | None:
    """Return what the tensors belong to; None where they are no image encoder's at all."""
    for class_embedding, (patch, positions) in CLASS_EMBEDDINGS.items():
        for prefix in _prefixes(shapes, class_embedding):
            width = (0, *shapes[prefix + class_embedding])[-1]
            return _by_size(width, shapes.get(prefix + patch, ()), shapes.get(prefix + positions, ()))
    for prefix in _prefixes(shapes, TRANSFORMERS_PATCHES):
        patch = shapes[prefix + TRANSFORMERS_PATCHES]
        positions = shapes.get(f"{prefix}embeddings.position_embedding.weight", ())
        one = next(
            (one for one in IMAGE_ENCODERS.values() if patch[:1] == (one.width,) and not one.has_class_token), None
        )
        if one:
            fits = positions == (one.positions, one.width) and patch[2:] == (PATCH_PX, PATCH_PX)
            return (
                _Recognised(one.id, one.label, one.width) if fits else _of_other_size("SigLIP", one, patch, positions)
            )
    return None


def _of_other_size(what: str, one: ImageEncoder, patch: Shape, positions: Shape) -> _Recognised:
    found = f"patches {patch} and positions {positions} instead of {one.positions}"
    return _Recognised("", f"a {what} for pictures of another size ({found})", one.width)


def _what(one: ImageEncoder) -> str:
    return "a CLIP image encoder" if one.has_class_token else f"the image encoder {one.label}"


def _by_size(width: int, patch: Shape, positions: Shape) -> _Recognised:
    one = next((one for one in IMAGE_ENCODERS.values() if one.width == width and one.has_class_token), None)
    if one is None:
        return _Recognised("", OTHER_ENCODERS.get(width, "another image encoder"), width)
    if patch == (width, 3, PATCH_PX, PATCH_PX) and positions == (POSITIONS, width):
        return _Recognised(one.id, one.label, width)
    return _of_other_size("CLIP", one, patch, positions)


def _prefixes(names: Iterable[str], ending: str) -> list[str]:
    """Return what stands in front of the names that end like this."""
    return [name.removesuffix(ending) for name in names if name == ending or name.endswith(f".{ending}")]
