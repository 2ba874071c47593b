"""A unit's photos -> the person in them: the one way for the page, the HTTP API and a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from lib_faceid.encoders.clip_vision import ClipVision
from lib_faceid.encoders.features import FeatureKey
from lib_faceid.errors import UnitError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.crops import ClipSees
from lib_faceid.faces.recognisers import TRAINED_ON
from lib_faceid.pictures.requested import BASE64_ONLY, RequestPolicy, photo_from_request
from lib_faceid.references.face_choice import Look
from lib_faceid.references.identity import Identity
from lib_faceid.references.joining import Combine, Joined, join_photos
from lib_faceid.units.region import which_face
from lib_faceid.units.unit import Unit

__all__ = ["join_unit"]


def join_unit(
    unit: Unit,
    analyser: FaceAnalyser,
    clip: ClipVision | Mapping[FeatureKey, ClipVision] | None = None,
    policy: RequestPolicy = BASE64_ONLY,
    trained_on: str = TRAINED_ON,
) -> Joined[Identity]:
    """Return the person in a unit's photos, joined as its fields say, and what became of each photo.

    `clip` adds an image encoder's features, as in `join_photos`; trained_on: the recogniser of the adapter that will
    read them, by default that of the published ones. Raises UnitError for a way of combining that only
    images have, PhotoError for what the policy does not allow and whatever `join_photos` raises.
    """
    if unit.combine in ("add", "subtract"):
        raise UnitError(f"combine is '{unit.combine}', which is for images. Use average, median or concatenate.")
    return join_photos(
        [photo_from_request(photo.image, policy) for photo in unit.images],
        analyser=analyser,
        clip=clip,
        combine=cast("Combine", unit.combine),
        weights=[photo.weight for photo in unit.images],
        look=Look(which_face(unit.face), cast("ClipSees", unit.clip_crop), trained_on),
    )
