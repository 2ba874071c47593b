"""The last pictures of our own page, by their settings: what the diagnosis can look at besides metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.last_looks import LastLooks, key_of
from lib_faceid.diagnosis.reading import of_record
from lib_faceid.errors import FaceIDError, UnitError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.job import Job, Prepared
from lib_faceid.references.identity import Identity
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.job_options import UNSCORED
from lib_faceid.units.tags import find_tags

__all__ = ["LastPictures", "without_people"]


@dataclass(eq=False)
class LastPictures:
    """How the pictures of the last job look, how to draw them again, and who was in them."""

    session: Session
    _looks: LastLooks = field(default_factory=LastLooks, init=False)
    _requests: dict[str, Request] = field(default_factory=dict[str, Request], init=False)
    _prepared: Sequence[Prepared] = field(default=(), init=False)
    _controls: Sequence[ControlUnit] = field(default=(), init=False)
    _checkpoint: Path | None = field(default=None, init=False)

    def keep(self, job: Job, generated: Sequence[GeneratedImage], checkpoint: Path | None = None) -> None:
        """Take the pictures of a job in place of those before; called again as more of them come, it looks at these."""
        now = {key_of(one.parameters): one for one in generated}
        if not self._requests.keys() <= now.keys():
            self._looks, self._requests = LastLooks(), {}
        for key, one in now.items():
            if key not in self._requests:
                self._looks.keep(one.parameters, _pixels(one.image), one.score)
        self._requests = {key: one.request for key, one in now.items()}
        self._prepared, self._checkpoint, self._controls = job.prepared, checkpoint, job.asked_controls

    def facts_of(self, parameters: str) -> Facts:
        """Return what is known of a picture by its settings; what is seen in it too where it is one of the last."""
        facts = self._looks.facts_of(parameters)
        if key_of(parameters) not in self._requests:
            return facts
        return replace(facts, units=tuple(self._with_reference(unit) for unit in facts.units))

    def draw_plain(self, parameters: str) -> None:
        """Draw what the settings of one of the last pictures give at weight 0, and look at it. Raises FaceIDError."""
        request = self._requests.get(key_of(parameters))
        if request is None or self._checkpoint is None:
            raise UnitError("The picture is none of the last that were drawn here. Draw it again, then compare.")
        plain = without_people(self.session, self._checkpoint, request, self._controls)
        self._looks.keep_plain(parameters, _pixels(plain))

    def _with_reference(self, unit: UnitFacts) -> UnitFacts:
        one = next((prepared for prepared in self._prepared if prepared.number == unit.number), None)
        if one is None or not one.references or not isinstance(one.references[0], Identity):
            return unit
        unit = replace(unit, recogniser=one.references[0].recogniser, trained_on=one.adapter.recogniser)
        try:
            record = self.session.resources.people().load(one.unit.person).record if one.unit.person else None
        except FaceIDError:  # somebody of a file of her own, or of several: nothing is known of the photos
            return unit
        return replace(unit, **of_record(record)) if record else unit


def without_people(
    session: Session, checkpoint: Path, request: Request, controls: Sequence[ControlUnit] = ()
) -> Image.Image:
    """Return the picture that a request gives at weight 0: no unit acts, of the page or of the prompt's tags."""
    plain = replace(request, prompt=find_tags(request.prompt)[0])
    (generated,) = session.draw(checkpoint, session.job([], plain, controls), [plain], options=UNSCORED)
    return generated.image


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))
