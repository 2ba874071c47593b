"""What the HTTP API answers: plain values in, plain values out. It knows neither the web nor the host."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.api.bodies import flag, only, person_in, reference_in, text, units_in
from lib_faceid.api.diagnosing import diagnosed, templates_of
from lib_faceid.api.journal_answers import JournalAnswers
from lib_faceid.api.scoring import scored
from lib_faceid.api.services import ApiServices
from lib_faceid.bases.base_model import BASE_LABELS
from lib_faceid.encoders.clip_vision import ClipVision
from lib_faceid.encoders.features import CLIP_H_HIDDEN
from lib_faceid.errors import FaceIDError, FileError
from lib_faceid.external import API_VERSION
from lib_faceid.faces.crops import clip_crop
from lib_faceid.faces.face import largest, no_face_sentence
from lib_faceid.faces.recognisers import require_same_space
from lib_faceid.inventory.check import Row
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.reading import AnyJoined
from lib_faceid.jobs.saving import image_to_save
from lib_faceid.methods.registry import readers
from lib_faceid.pictures.photo import read_photo
from lib_faceid.pictures.requested import photo_from_request
from lib_faceid.references.analysis import AnalysedFace, analyse
from lib_faceid.references.combining import SAME_PERSON
from lib_faceid.references.identity import Identity
from lib_faceid.references.unit_identity import join_unit
from lib_faceid.units.infotext import ALGORITHM
from lib_faceid.units.schema import aim_schema, job_options_schema, unit_schema
from lib_faceid.units.unit import PICTURES, Unit

__all__ = ["Answers"]


class Answers(JournalAnswers):
    """The answer to each request. All raise FaceIDError; pictures of one request at a time are looked at."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._turn = threading.Lock()

    def version(self) -> dict[str, Any]:
        """Return what this is; `algorithm` goes up when the same settings give another picture."""
        return {"api_version": API_VERSION, "algorithm": ALGORITHM}

    def status(self) -> dict[str, Any]:
        """Return which models and packages are here, which are missing, and what Auto means."""
        return self._services.setup().to_dict()

    def models(self) -> dict[str, Any]:
        """Return what may stand in a unit's field `adapter`, and what Auto takes for each family of checkpoints."""
        report = self._services.setup()
        adapters = [_adapter(row) for row in report.rows if row.kind == "adapter" and row.status == "found"]
        auto, auto_image = (
            {BASE_LABELS[one.family]: one.adapter.name if one.adapter else None for one in report.auto_for(purpose)}
            for purpose in ("person", "image")
        )
        return {"adapters": adapters, "auto": auto, "auto_image": auto_image}

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a unit, and beside it those of a job's options and of what it aims for."""
        options = {"$defs": {"job_options": job_options_schema(), "aim": aim_schema()}}
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **unit_schema(), **options}

    def check(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the units complete with their defaults, pictures as their number; nothing is opened or drawn."""
        return {"units": [_counted(unit) for unit in units_in(body)]}

    def detect(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the faces in a photo with their numbers, reports and, unless told otherwise, their crops."""
        only(body, ("image", "crops"))
        wants_crops = flag(body, "crops", default=True)
        source = photo_from_request(body.get("image"), self._services.policy())
        with self._turn:
            image_rgb = read_photo(source)
            photo = analyse(image_rgb, self._services.face_analyser())
            best = photo.faces.index(largest(photo.faces)) if photo.faces else None
            faces = [
                {"number": number, "is_largest": number - 1 == best, **_face(face)}
                | ({"crop": _png(clip_crop(image_rgb, face.points))} if wants_crops else {})
                for number, face in enumerate(photo.faces, 1)
            ]
        why = "" if faces else no_face_sentence("the photo", "", photo.size_px, photo.best_score)
        return {"size_px": list(photo.size_px), "faces": faces, "message": why}

    def compare(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the cosine between two references, each photos or a saved person."""
        only(body, ("first", "second"))
        first, second = (self._identity(body, name) for name in ("first", "second"))
        require_same_space(first.recogniser, second.recogniser, "first and second")
        cosine = float(first.averaged().normed_embeddings[0] @ second.averaged().normed_embeddings[0])
        return {"cosine": round(cosine, 4), "is_same_person": cosine >= SAME_PERSON, "threshold": SAME_PERSON}

    def score(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return how alike the people in finished pictures are to those who were asked for."""
        with self._turn:
            return scored(body, self._services)

    def diagnose(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rows of the map that apply to a picture or to facts, the likeliest first."""
        with self._turn:
            return diagnosed(body, self._services)

    def templates(self) -> dict[str, Any]:
        """Return the prompt templates."""
        return templates_of(self._services)

    def faces(self) -> dict[str, Any]:
        """Return the names of the saved people and of the saved images."""
        library = self._services.people()
        return {"faces": list(library.names("person")), "images": list(library.names("image"))}

    def save_face(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Build a person, or an image prompt, from photos and keep it under a name."""
        name, overwrite = text(body, "name"), flag(body, "overwrite", default=False)
        unit = person_in({key: body[key] for key in body if key not in ("name", "overwrite")})
        joined, messages = self._joined(unit)
        with _writing():
            name = self._services.people().save(name, joined.identity, joined.record, overwrite=overwrite)
        photos = [
            {
                "is_used": use.is_used,
                "reason": use.reason,
                "face": use.face_number,
                "report": use.report.to_dict() if use.report else None,
            }
            for use in joined.photos
        ]
        return {"name": name, "photos": photos, "messages": [*joined.messages, *messages]}

    def delete_face(self, name: str) -> dict[str, Any]:
        """Forget a saved person for good."""
        with _writing():
            self._services.people().delete(name)
        return {"deleted": name}

    def unload(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Free the memory that face models, CLIP and known photos take; they come back when they are needed."""
        only(body, ())
        with self._turn:
            self._services.unload()
        return {"unloaded": True}

    def _identity(self, body: Mapping[str, Any], name: str) -> Identity:
        unit = reference_in(body, name)
        if unit.person:
            return self._services.people().identity(unit.person)
        try:
            with self._turn:
                joined = join_unit(unit, self._services.face_analyser(), policy=self._services.policy())
                return joined.identity
        except FaceIDError as error:
            raise type(error)(f"{name}: {error}") from error

    def _joined(self, unit: Unit) -> tuple[AnyJoined, list[str]]:
        """Return what is to be saved, and what to know of it."""
        if unit.purpose == "image":
            with self._turn:
                return image_to_save(unit, self._models()), []
        clip, messages = self._clip_if_there()
        with self._turn:
            return join_unit(unit, self._services.face_analyser(), clip, self._services.policy()), messages

    def _models(self) -> Models:
        services = self._services
        return Models(
            adapter_files=tuple,
            face_analyser=services.face_analyser,
            clip_vision=services.clip_vision,
            person=lambda name: services.people().load(name).identity,
            policy=services.policy,
        )

    def _clip_if_there(self) -> tuple[ClipVision | None, list[str]]:
        try:
            return self._services.clip_vision(CLIP_H_HIDDEN.encoder), []
        except FaceIDError as error:
            return None, [f"Saved without what {readers(CLIP_H_HIDDEN.encoder, 'person')} read. {error}"]


@contextmanager
def _writing() -> Generator[None, None, None]:
    """Turn what the disk refuses into a sentence; paths stay out of it."""
    try:
        yield
    except OSError as error:
        raise FileError(f"The library of people cannot be written: {error.strerror}. Check its folder.") from error


def _adapter(row: Row) -> dict[str, Any]:
    name = row.paths[0].name if row.paths else row.label
    return {
        "name": name,
        "label": row.label,
        "purpose": row.purpose,
        "variant": row.variant,
        "family": BASE_LABELS.get(row.family or 0),
    }


def _face(face: AnalysedFace) -> dict[str, Any]:
    return {
        "box": [round(edge, 1) for edge in face.box],
        "score": round(face.report.measures.detector_score, 4),
        "size_px": face.report.measures.size_px,
        "report": face.report.to_dict(),
    }


def _png(image_rgb: NDArray[np.uint8]) -> str:
    """Return a picture as PNG in base64."""
    buffer = io.BytesIO()
    Image.fromarray(image_rgb).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _counted(unit: Unit) -> dict[str, Any]:
    """Return a unit's fields, with the number of pictures where there are some."""
    given = {name: getattr(unit, name) for name in PICTURES}
    counts = {name: len(value) if isinstance(value, tuple) else int(value is not None) for name, value in given.items()}
    return unit.to_dict() | counts
