"""What the routes of the diagnosis answer: a request's picture or facts in, rows of the map out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PIL import Image

from lib_faceid.api.bodies import MAX_UNITS, only, reference_in, text
from lib_faceid.api.services import ApiServices
from lib_faceid.diagnosis.facts import Facts
from lib_faceid.diagnosis.map import diagnose, row_ids
from lib_faceid.diagnosis.picture import Known, facts_of_picture, parameters_in
from lib_faceid.diagnosis.templates import read_templates
from lib_faceid.errors import FileError, PhotoError, UnitError
from lib_faceid.pictures.photo import read_photo
from lib_faceid.pictures.requested import photo_from_request
from lib_faceid.references.unit_identity import join_unit

__all__ = ["diagnosed", "facts_in", "templates_of"]

OF_RUN = ("run", "not_it", "try")
FIELDS = ("image", "parameters", "people", "facts", "noticed", "plain", *OF_RUN)


def diagnosed(body: Mapping[str, Any], services: ApiServices) -> dict[str, Any]:
    """Return the diagnosis of what a request holds, with its facts. Raises FaceIDError."""
    only(body, FIELDS)
    noticed = body.get("noticed", "")
    if noticed and noticed not in row_ids():
        raise UnitError(f"noticed is {str(noticed)[:40]!r}; one of {', '.join(row_ids())} was expected.")
    if body.get("run") is not None:
        return _of_run(body, services)
    if asked := [name for name in OF_RUN if body.get(name)]:
        raise UnitError(f"{asked[0]} goes with run, which was not given: F-000123, as the journal calls it.")
    facts = facts_in(body, services)
    facts = replace(facts, noticed=noticed) if noticed else facts
    return {**diagnose(facts).as_dict(), "facts": facts.as_dict()}


def _of_run(body: Mapping[str, Any], services: ApiServices) -> dict[str, Any]:
    """Return the diagnosis of a run of the journal, which is kept with it, and the trial that is expected, if any."""
    from lib_faceid.diagnosis.kept import diagnose_run, facts_of_run, say_not_it, to_try, try_change

    if other := [name for name in ("image", "parameters", "people", "facts", "plain") if body.get(name) is not None]:
        raise UnitError(f"run and {other[0]} were given; one of them was expected.")
    journal, number = services.journal(), text(body, "run")
    run = journal.run(number)
    if body.get("not_it") is not None:
        run = say_not_it(journal, run.number, text(body, "not_it"))
    facts = replace(facts_of_run(run), noticed=body.get("noticed", ""))
    found = diagnose_run(journal, run.number, facts)
    if body.get("try") is not None:
        one = to_try(found, text(body, "try"))
        run = try_change(journal, run.number, one.change, one.row.id)
    trial = run.diagnosis.get("trial") if body.get("try") is not None else None
    return {**found.as_dict(), "facts": facts.as_dict(), "run": run.id, "trial": trial}


def facts_in(body: Mapping[str, Any], services: ApiServices) -> Facts:
    """Return the facts that a request gives, or those of its picture. Raises FaceIDError."""
    given, image = body.get("facts"), body.get("image")
    if (given is None) == (image is None):
        raise UnitError("Either image or facts is expected: a picture with its settings, or what is known of a run.")
    if given is not None:
        return Facts.from_dict(given)
    source = photo_from_request(image, services.policy())
    parameters = body.get("parameters")
    if parameters is None:
        parameters = _parameters(source)
    if not isinstance(parameters, str):
        raise UnitError(f"parameters is of the type {type(parameters).__name__}; a text was expected.")
    people = _people(body, services)
    looks = services.face_analyser() if people else None  # without anybody to compare with, no face is looked for
    plain = body.get("plain")
    plain_rgb = None if plain is None else read_photo(photo_from_request(plain, services.policy()))
    return facts_of_picture(parameters, read_photo(source), people, looks, plain_rgb)


def templates_of(services: ApiServices) -> dict[str, Any]:
    """Return the prompt templates there are, and a sentence for each file that is left out."""
    found, problems = read_templates(services.templates_folder())
    rows = [{**one.as_dict(), "prompt": one.prompt} for one in found.values()]
    return {"templates": rows, "problems": problems}


def _parameters(source: Any) -> str:
    """Return the settings in a picture's bytes."""
    content = source if isinstance(source, bytes) else b""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return parameters_in(image, "image")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"image is no picture that can be read ({str(error)[:80]}).") from error
    except FileError as error:
        raise UnitError(f"{error} Give them as parameters.") from error


def _people(body: Mapping[str, Any], services: ApiServices) -> dict[int | str, Known]:
    values = body.get("people", [])
    if not isinstance(values, list) or len(values) > MAX_UNITS:
        raise UnitError(f"people must be a list of up to {MAX_UNITS} references.")
    found: dict[int | str, Known] = {}
    for number, value in enumerate(values):
        unit = reference_in({f"people[{number}]": value}, f"people[{number}]")
        if unit.person:
            person = services.people().load(unit.person)
            found[number] = Known(services.people().identity(unit.person), person.record)
        else:
            joined = join_unit(unit, services.face_analyser(), policy=services.policy())
            found[number] = Known(joined.identity, joined.record)
    return found
