"""Image prompts -> one Reference: what CLIP makes of the images, with no face looked for unless a crop asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from lib_faceid.encoders.clip_vision import ClipVision
from lib_faceid.encoders.crops import Crop
from lib_faceid.encoders.features import FeatureKey
from lib_faceid.errors import FaceIDError, NoFaceError, PhotoError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.face import largest
from lib_faceid.pictures.photo import PhotoSource, photo_name
from lib_faceid.pictures.requested import RequestPolicy, photo_from_request
from lib_faceid.references.analysis import analyse, image_features, keys_by_encoder, stacked
from lib_faceid.references.combining import geometric_median, relative_weights
from lib_faceid.references.joining import Joined, PhotoUse
from lib_faceid.references.lazy_photo import Opened
from lib_faceid.references.reference import Features, Reference
from lib_faceid.units.unit import Unit

__all__ = ["join_images"]

FaceBox = tuple[float, float, float, float]


def join_images(
    unit: Unit,
    encoders: Mapping[FeatureKey, ClipVision],
    crop: str,
    policy: RequestPolicy,
    face_analyser: Callable[[], FaceAnalyser],
) -> Joined[Reference]:
    """Return the image prompt of a unit's images, joined as its fields say, and what became of each image.

    encoders: what makes each of the features that are wanted; crop: one of `encoders.crops.CROPS`; face_analyser:
    asked for the crop "face" only. Raises PhotoError for what is no picture or not allowed, NoFaceError where a face is
    to be cropped and there is none, UnitError for weights that are all zero.
    """
    if not unit.images:
        raise PhotoError("There is no reference image. Give 1 to 20 images.")
    shares = relative_weights([photo.weight for photo in unit.images], len(unit.images)).tolist()
    sources = [photo_from_request(photo.image, policy) for photo in unit.images]
    used = [number for number, share in enumerate(shares) if share]
    opened = [Opened(sources[number]) for number in used]
    boxes = [
        _face_box(one, number, len(sources), crop, face_analyser) for one, number in zip(opened, used, strict=True)
    ]
    features: dict[FeatureKey, Features] = {}
    for encoder, keys in keys_by_encoder(encoders):
        seen = [
            image_features(one, cast("Crop", crop), box, encoder, keys) for one, box in zip(opened, boxes, strict=True)
        ]
        features |= stacked(seen, encoder, keys)
    reference = _combined(Reference(features, weights=tuple(unit.images[at].weight for at in used)), unit.combine)
    uses = tuple(_use(number, source, shares[number], opened, used) for number, source in enumerate(sources))
    return Joined(reference, uses, tuple(f"{use.label} was skipped: {use.reason}" for use in uses if not use.is_used))


def _use(number: int, source: PhotoSource, share: float, opened: Sequence[Opened], used: Sequence[int]) -> PhotoUse:
    name = photo_name(source)
    if not share:
        return PhotoUse(number + 1, name, is_used=False, reason="its weight is 0")
    return PhotoUse(
        number + 1, name, is_used=True, weight=share, sha256=opened[used.index(number)].sha256, likeness=1.0
    )


def _face_box(
    photo: Opened, number: int, count: int, crop: str, face_analyser: Callable[[], FaceAnalyser]
) -> FaceBox | None:
    """Return the largest face's box where the crop is around it."""
    if crop != "face":
        return None
    try:
        faces = analyse(photo, face_analyser()).require(f"reference {number + 1} of {count}")
    except NoFaceError as error:
        raise NoFaceError(f"{error} Or set the image crop to 'square' to use the image as it is.") from error
    except FaceIDError as error:
        raise type(error)(f"The image crop 'face' needs face models: {error}") from error
    return largest(faces).box


def _combined(every: Reference, combine: str) -> Reference:
    """Return several images as the unit wants them: as one, or each with tokens of its own."""
    if combine == "tokens":
        return Reference(every.features, weights=every.weights, tokens="average")
    if combine == "concatenate" or every.num_pictures == 1:
        return every
    if combine == "average":
        return every.averaged()
    weights = torch.tensor(every.weights or [1.0] * every.num_pictures, dtype=torch.float32)  # 2 is a weight as well
    return every.as_one(lambda _, values: _COMBINED[combine](values, weights))


def _median(values: Tensor, weights: Tensor) -> Tensor:
    flat = values.flatten(1)
    lengths = flat.norm(dim=1, keepdim=True)
    shares = weights / weights.sum()
    return (geometric_median(flat / lengths, shares) * (shares @ lengths[:, 0])).view(values.shape[1:])


def _sum(values: Tensor, weights: Tensor) -> Tensor:
    return torch.tensordot(weights, values, dims=1)


def _difference(values: Tensor, weights: Tensor) -> Tensor:
    signs = torch.full_like(weights, -1.0)
    signs[0] = 1.0
    return torch.tensordot(weights * signs, values, dims=1)


_COMBINED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "median": _median,
    "add": _sum,
    "subtract": _difference,
}
