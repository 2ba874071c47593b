"""Photos of a person -> that person's Identity. The last step that needs photos, detectors or CLIP."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.clip_vision import ClipVision
from lib_faceid.errors import PhotoError
from lib_faceid.faces import FaceAnalyser, largest, load_face_analyser
from lib_faceid.identity import Identity
from lib_faceid.photo import PhotoSource, photo_name, read_photo

__all__ = ["Combine", "forget_all", "identity_from_photos"]

Combine = Literal["average", "concatenate"]


def identity_from_photos(
    photos: Sequence[PhotoSource],
    *,
    analyser: FaceAnalyser | None = None,
    clip: ClipVision | None = None,
    combine: Combine = "average",
) -> Identity:
    """Return the person whose face is the largest in each photo: averaged to one face, or one face per photo.

    `clip` adds what the Plus family reads; `analyser` is by default that of the usual places. Raises
    PhotoError for a photo that cannot be read, and NoFaceError, which says which of how many has no face.
    """
    if not photos:
        raise PhotoError("There is no reference photo. Add at least one photo of the person.")
    analyser = analyser or load_face_analyser()
    references = [
        _reference(photo, f"reference {number} of {len(photos)}", analyser, clip)
        for number, photo in enumerate(photos, 1)
    ]
    hidden = [reference.clip_hidden for reference in references if reference.clip_hidden is not None]
    person = Identity(
        id_embeddings=torch.stack([reference.id_embedding for reference in references]),
        clip_hidden=torch.stack(hidden).float() if clip else None,
        clip_hidden_uncond=clip.encode_uncond() if clip else None,
        recogniser=analyser.recogniser,
    )
    return person.averaged() if combine == "average" else person


def forget_all() -> None:
    """Forget every face that is kept in memory."""
    _recent.clear()


@dataclass(frozen=True, eq=False)
class _Reference:
    """All that is kept of one photo: 2 KB, with CLIP 660 KB."""

    id_embedding: Tensor  # [512] float32
    clip_hidden: Tensor | None  # [257, 1280] float16


class _Recent:
    """The last few references by what they were made from, on the CPU. No photo is kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._entries: OrderedDict[object, _Reference] = OrderedDict()

    def get(self, key: object) -> _Reference | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: object, reference: _Reference) -> None:
        with self._lock:
            self._entries[key] = reference
            while len(self._entries) > self._limit:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


_recent = _Recent(64)


def _reference(photo: PhotoSource, where: str, analyser: FaceAnalyser, clip: ClipVision | None) -> _Reference:
    image_rgb = read_photo(photo)
    key = (_digest(image_rgb), analyser.recogniser, (clip.source, str(clip.device)) if clip else None)
    reference = _recent.get(key)
    if reference is None:
        face = largest(analyser.search(image_rgb).require(where, photo_name(photo)))
        # Rounded before its first use, so that a kept reference and a fresh one give the same picture.
        hidden = clip.encode([face.crop_rgb])[0].half() if clip else None
        reference = _Reference(torch.from_numpy(face.id_embedding), hidden)
        _recent.put(key, reference)
    return reference


def _digest(image_rgb: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of the pixels and their arrangement."""
    digest = hashlib.sha256(str(image_rgb.shape).encode())
    digest.update(np.ascontiguousarray(image_rgb).data)
    return digest.hexdigest()
