"""Photos, looked at once: who is in them and how good they are. What is kept are numbers, never pixels."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.encoders.clip_vision import ClipVision, Output
from lib_faceid.encoders.crops import Crop
from lib_faceid.encoders.crops import crop as crop_of
from lib_faceid.encoders.features import CLIP_H_HIDDEN, FeatureKey
from lib_faceid.encoders.pixels import PixelValues
from lib_faceid.errors import NoFaceError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.crops import ClipSees, clip_crop
from lib_faceid.faces.face import Face, no_face_sentence
from lib_faceid.faces.report import PhotoReport, judge
from lib_faceid.references.lazy_photo import Opened, digest, forget_files
from lib_faceid.references.reference import Features
from lib_faceid.references.single_flight import Recent
from lib_faceid.units.region import Box

__all__ = [
    "AnalysedFace",
    "AnalysedPhoto",
    "analyse",
    "analyse_box",
    "clip_features",
    "digest",
    "forget_all",
    "image_features",
    "keys_by_encoder",
    "stacked",
]


@dataclass(frozen=True, eq=False)
class AnalysedFace:
    """One face without its pixels: 3 KB."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the upright photo."""
    points: NDArray[np.float32]
    """[5, 2]: eyes, nose, corners of the mouth."""
    id_embedding: Tensor
    """[512] float32: the recogniser's raw output."""
    report: PhotoReport


@dataclass(frozen=True, eq=False)
class AnalysedPhoto:
    """One photo without its pixels."""

    sha256: str
    """Of its pixels and their arrangement, so that a copy of the file or another format of it is the same photo."""
    size_px: tuple[int, int]
    """Width, height."""
    faces: tuple[AnalysedFace, ...]
    """Left to right, then top to bottom, by the centre of the box."""
    best_score: float
    """The detector's best, also where it was too low for a face."""

    def require(self, where: str, name: str = "") -> tuple[AnalysedFace, ...]:
        """Return the faces; raise NoFaceError when there are none. `where` may be "reference 2 of 3"."""
        if not self.faces:
            raise NoFaceError(no_face_sentence(where, name, self.size_px, self.best_score))
        return self.faces


def analyse(photo: Opened | NDArray[np.uint8], analyser: FaceAnalyser) -> AnalysedPhoto:
    """Return who is in a photo (or in upright pixels, uint8 RGB [H, W, 3]), which is never analysed twice in a row."""
    photo = _opened(photo)
    return _photos.get((photo.sha256, analyser.recogniser), lambda: _analysed(photo, analyser))


def analyse_box(photo: Opened | NDArray[np.uint8], box: Box, analyser: FaceAnalyser) -> AnalysedPhoto:
    """Return the same with one face only: the one that somebody marked."""
    photo = _opened(photo)
    return _photos.get((photo.sha256, analyser.recogniser, box), lambda: _marked(photo, box, analyser))


def clip_features(
    photo: Opened,
    face: AnalysedFace,
    clip: ClipVision,
    sees: ClipSees,
    keys: Sequence[FeatureKey] = (CLIP_H_HIDDEN,),
) -> dict[FeatureKey, Tensor]:
    """Return an image encoder's features, [*key.shape] (float32) each, of what it is shown of a face in a photo."""
    if isinstance(clip, PixelValues):
        return image_features(photo, "square", None, clip, keys)
    box = face.box if sees != "whole" else None
    # Rounded to halves, as they always were: the same photo gives the same picture as before.
    crop = (box, sees)
    found = _features(photo, crop, lambda: clip_crop(photo.pixels, face.points, sees), clip, keys, torch.float16)
    return {key: features.float() for key, features in found.items()}


def image_features(
    photo: Opened,
    crop: Crop,
    face_box: tuple[float, float, float, float] | None,
    clip: ClipVision,
    keys: Sequence[FeatureKey],
) -> dict[FeatureKey, Tensor]:
    """Return an image encoder's features, [*key.shape] (float32) each, of a crop of an image."""
    faces = [face_box] if face_box else ()
    return _features(
        photo, (face_box, crop, "image"), lambda: crop_of(photo.pixels, crop, faces, clip.image_px), clip, keys
    )


def keys_by_encoder(encoders: Mapping[FeatureKey, ClipVision]) -> list[tuple[ClipVision, list[FeatureKey]]]:
    """Return each encoder once, with the features that are wanted of it."""
    found: dict[int, tuple[ClipVision, list[FeatureKey]]] = {}
    for key, encoder in encoders.items():
        found.setdefault(id(encoder), (encoder, []))[1].append(key)
    return list(found.values())


def stacked(
    seen: Sequence[Mapping[FeatureKey, Tensor]], encoder: ClipVision, keys: Sequence[FeatureKey]
) -> dict[FeatureKey, Features]:
    """Return the features of several pictures, each key's in one tensor [pictures, *key.shape], with its blank."""
    return {
        key: Features(torch.stack([one[key] for one in seen]), encoder.blank(cast("Output", key.output)))
        for key in keys
    }


def _features(
    photo: Opened,
    crop: object,
    make_crop: Callable[[], NDArray[np.uint8]],
    clip: ClipVision,
    keys: Sequence[FeatureKey],
    dtype: torch.dtype = torch.float32,
) -> dict[FeatureKey, Tensor]:
    """Return what an encoder makes of a crop of a photo, kept by the photo's pixels, the crop, key and encoder.

    The encoder runs once for all keys, and not at all where all are kept. Pixels are not.
    """

    @cache
    def encoded() -> dict[Output, Tensor]:
        return clip.encode_outputs([make_crop()], [cast("Output", key.output) for key in keys])

    def make(key: FeatureKey) -> Tensor:
        # Rounded before its first use, so that what is kept and what is fresh give the same picture.
        return _apart(encoded()[cast("Output", key.output)][0].to(dtype))

    if isinstance(clip, PixelValues):
        return {key: encoded()[cast("Output", key.output)][0] for key in keys}
    place = (clip.fingerprint, str(clip.device))
    return {key: _hidden.get((photo.sha256, crop, key, *place), lambda key=key: make(key)) for key in keys}


def forget_all() -> None:
    """Forget every face that is kept in memory."""
    _photos.clear()
    _hidden.clear()
    forget_files()


_photos = Recent[AnalysedPhoto](256)  # a portrait has 3 KB, a group of 30 has 90 KB
_hidden = Recent[Tensor](24)  # 660 KB each of a face, up to 3.4 MB of an image: enough for the 20 photos of a unit


def _opened(photo: Opened | NDArray[np.uint8]) -> Opened:
    return photo if isinstance(photo, Opened) else Opened.decoded(photo)


def _analysed(photo: Opened, analyser: FaceAnalyser) -> AnalysedPhoto:
    search = analyser.search(photo.pixels)
    faces = tuple(_without_pixels(face, photo.pixels) for face in search.faces)
    return AnalysedPhoto(photo.sha256, search.photo_size_px, faces, search.best_score)


def _marked(photo: Opened, box: Box, analyser: FaceAnalyser) -> AnalysedPhoto:
    face = _without_pixels(analyser.face_in(photo.pixels, box), photo.pixels)
    return AnalysedPhoto(photo.sha256, (photo.pixels.shape[1], photo.pixels.shape[0]), (face,), 0.0)


def _without_pixels(face: Face, image_rgb: NDArray[np.uint8]) -> AnalysedFace:
    return AnalysedFace(face.box, face.points, torch.from_numpy(face.id_embedding), judge(face, image_rgb))


def _apart(tensor: Tensor) -> Tensor:
    """Return a copy in memory of its own: what lives long on the heap tears holes between what lives shortly."""
    copy = torch.frombuffer(mmap.mmap(-1, tensor.numel() * tensor.element_size()), dtype=tensor.dtype)
    return copy.view(tensor.shape).copy_(tensor)
