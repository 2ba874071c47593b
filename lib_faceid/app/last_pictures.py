"""The last pictures of our own page, by their settings: what the diagnosis can look at besides metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lib_faceid.app.resources import Resources
from lib_faceid.app.session import GeneratedImage
from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.reading import facts_of_parameters, of_record, with_looks, with_scores
from lib_faceid.errors import FaceIDError
from lib_faceid.jobs.job import Job, Prepared
from lib_faceid.references.identity import Identity
from lib_faceid.units.parameters import parameters_from

__all__ = ["LastPictures"]


class LastPictures:
    """The pictures of the last job in memory, and who was in it."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._pictures: dict[str, GeneratedImage] = {}
        self._prepared: Sequence[Prepared] = ()

    def keep(self, job: Job, generated: Sequence[GeneratedImage]) -> None:
        """Take the pictures of a job in place of those before."""
        self._pictures = {_key(one.parameters): one for one in generated}
        self._prepared = job.prepared

    def facts_of(self, parameters: str) -> Facts:
        """Return what is known of a picture by its settings; what is seen in it too where it is one of the last."""
        facts = facts_of_parameters(parameters_from(parameters))
        generated = self._pictures.get(_key(parameters))
        if generated is None:
            return facts
        facts = replace(facts, units=tuple(self._with_reference(unit) for unit in facts.units))
        scores = [generated.score] if generated.score else []
        return with_looks(with_scores(facts, scores), [np.asarray(generated.image.convert("RGB"))], scores)

    def _with_reference(self, unit: UnitFacts) -> UnitFacts:
        one = next((prepared for prepared in self._prepared if prepared.number == unit.number), None)
        if one is None or not one.references or not isinstance(one.references[0], Identity):
            return unit
        unit = replace(unit, recogniser=one.references[0].recogniser, trained_on=one.adapter.recogniser)
        try:
            record = self._resources.people().load(one.unit.person).record if one.unit.person else None
        except FaceIDError:  # somebody of a file of her own, or of several: nothing is known of the photos
            return unit
        return replace(unit, **of_record(record)) if record else unit


def _key(parameters: str) -> str:
    return " ".join(parameters.split())
