"""An image prompt made to be saved: with the features of every image encoder that is here."""

from __future__ import annotations

from dataclasses import replace

from lib_faceid.encoders.features import FeatureKey
from lib_faceid.errors import FaceIDError, MissingModelError
from lib_faceid.jobs.choosing import Models
from lib_faceid.methods.registry import methods_for
from lib_faceid.models.catalogue import entry
from lib_faceid.models.image_encoders import image_encoder
from lib_faceid.references.images import join_images
from lib_faceid.references.joining import Joined
from lib_faceid.references.reference import Reference
from lib_faceid.units.unit import AUTO, Unit

__all__ = ["image_to_save"]

DEFAULT_CROP = "square"


def image_to_save(unit: Unit, models: Models) -> Joined[Reference]:
    """Return the image prompt of a unit's images, with what every image adapter reads as far as its encoder is here.

    The crop is the unit's; "Auto" is the centre square, as which adapter will read it is not known yet. Messages say
    which adapters it will not do for. Raises MissingModelError where no encoder is here, and as `join_images`.
    """
    encoders, missing = {}, dict[str, str]()
    for key in _keys():
        try:
            encoders[key] = models.clip_vision(key.encoder)
        except FaceIDError as error:  # noqa: PERF203 - four keys
            missing[key.encoder] = str(error)
    if not encoders:
        raise MissingModelError(" ".join(missing.values()))
    crop = DEFAULT_CROP if unit.image_crop == AUTO else unit.image_crop
    joined = join_images(unit, encoders, crop, models.policy(), models.face_analyser)
    # An encoder for one base model is named when somebody draws with that one, and not to everybody who saves an image.
    named = [one for one in missing if entry(one).family is None]
    without = [f"It will not do for adapters that read {image_encoder(one).label}: {missing[one]}" for one in named]
    return replace(joined, messages=(*joined.messages, *without))


def _keys() -> list[FeatureKey]:
    """Return every kind of features that image adapters read."""
    variants = [variant for method in methods_for("image") for variant in method.variants]
    return list(dict.fromkeys(read.key for variant in variants for read in variant.reads))
