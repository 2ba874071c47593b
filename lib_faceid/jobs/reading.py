"""A unit's pictures -> the references that its adapter reads: by features, whatever the method."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from lib_faceid.encoders.features import ARCFACE, PIXELS
from lib_faceid.encoders.pixels import PixelValues
from lib_faceid.errors import UnitError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.recognisers import unknown_note, untrained_note
from lib_faceid.jobs.choosing import Models, file_of
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import identify_adapter
from lib_faceid.references.identity import Identity
from lib_faceid.references.images import join_images
from lib_faceid.references.joining import Joined
from lib_faceid.references.negative import Negative
from lib_faceid.references.reference import Reference
from lib_faceid.references.unit_identity import join_unit
from lib_faceid.units.unit import AUTO, ONE_EACH, Unit

__all__ = ["AnyJoined", "analyser_of_unit", "read_negative", "read_references", "read_saved", "recogniser_note"]


ARTICLES = {"person": "a person", "image": "an image"}

AnyJoined: TypeAlias = Joined[Identity] | Joined[Reference]


def read_references(unit: Unit, adapter: Adapter, models: Models) -> list[AnyJoined]:
    """Return the reference in a unit's pictures; or, where it says so, one reference for each of them."""
    groups = [(photo,) for photo in unit.images] if unit.batch == ONE_EACH else [unit.images]
    return [_joined(replace(unit, images=group), adapter, models) for group in groups]


def read_negative(unit: Unit, adapter: Adapter, models: Models) -> tuple[Negative, AnyJoined | None]:
    """Return what the unit's uncond tokens encode, and the negative reference, if it has one."""
    if not unit.negative_images:
        return Negative(noise=unit.noise), None
    settings = replace(unit, images=unit.negative_images, batch="together", combine="average", face="largest")
    joined = _joined(settings, adapter, models)
    return Negative(joined.identity, unit.noise), joined


def read_saved(unit: Unit, models: Models) -> list[Reference]:
    """Return the saved references that a unit names: one, or one for each image of a batch.

    Raises UnitError for a saved image in a person's unit, and the other way round.
    """
    saved = {name: models.person(name) for name in _saved_names(unit)}
    for name, reference in saved.items():
        found = "person" if isinstance(reference, Identity) else "image"
        if found != unit.purpose:
            raise UnitError(
                f"{name!r} is a saved {found}, and the unit's reference is for {ARTICLES[unit.purpose]}. Set purpose "
                f"to '{found}', or choose a saved {unit.purpose}."
            )
    return [saved[name] for name in _saved_names(unit)]


def analyser_of_unit(unit: Unit, models: Models) -> FaceAnalyser:
    """Return the face models to save a unit's person with: those that its adapter reads, where it names one.

    Raises FaceIDError for an adapter that is not here, MissingModelError for face models that are not.
    """
    if unit.adapter == AUTO:
        return models.face_analyser()
    path = file_of(unit.adapter, models.adapter_files())
    return models.analyser_for(identify_adapter(path, None if unit.variant == AUTO else unit.variant))


def recogniser_note(reference: Reference, adapter: Adapter) -> str:
    """Return what a saved reference's recogniser means to an adapter; empty where it is the right one, or none."""
    if not adapter.variant.reads_face:
        return ""
    if not reference.recogniser:
        return unknown_note(adapter.recogniser)
    return untrained_note(reference.recogniser, adapter.recogniser)


def _saved_names(unit: Unit) -> tuple[str, ...]:
    if (count := len(unit.names)) > 1 and unit.batch != ONE_EACH:
        raise UnitError(
            f"person names {count} people ({unit.person}). Set batch to '{ONE_EACH}', so that each image of a "
            f"batch shows another of them, or use a unit for each."
        )
    return unit.names


def _joined(unit: Unit, adapter: Adapter, models: Models) -> AnyJoined:
    variant = adapter.variant
    if variant.trigger:  # each picture has rows of its own, of the square in its middle
        unit = replace(unit, combine="concatenate", image_crop="square")
    encoders = {
        key: PixelValues() if key == PIXELS else models.clip_vision(key.encoder)
        for key in (read.key for read in variant.reads)
        if key != ARCFACE
    }
    policy = models.policy()
    if variant.reads_face:
        return join_unit(unit, models.analyser_for(adapter), encoders, policy, adapter.recogniser)
    crop = variant.crop if unit.image_crop == AUTO else unit.image_crop
    return join_images(unit, encoders, crop, policy, models.face_analyser)
