"""A unit's photos -> the person in them: the one way for the page, the HTTP API and a job."""

from __future__ import annotations

from typing import cast

from lib_faceid.encoders.clip_vision import ClipVision
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.crops import ClipSees
from lib_faceid.pictures.requested import BASE64_ONLY, RequestPolicy, photo_from_request
from lib_faceid.references.face_choice import Look
from lib_faceid.references.joining import Combine, Joined, join_photos
from lib_faceid.units.region import which_face
from lib_faceid.units.unit import Unit

__all__ = ["join_unit"]


def join_unit(
    unit: Unit, analyser: FaceAnalyser, clip: ClipVision | None = None, policy: RequestPolicy = BASE64_ONLY
) -> Joined:
    """Return the person in a unit's photos, joined as its fields say, and what became of each photo.

    `clip` adds what the Plus family reads. Raises PhotoError for what the policy does not allow and whatever
    `join_photos` raises.
    """
    return join_photos(
        [photo_from_request(photo.image, policy) for photo in unit.images],
        analyser=analyser,
        clip=clip,
        combine=cast("Combine", unit.combine),
        weights=[photo.weight for photo in unit.images],
        look=Look(which_face(unit.face), cast("ClipSees", unit.clip_crop)),
    )
