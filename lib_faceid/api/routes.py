"""The routes as data: where each is, what answers it, and what its page at /docs says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lib_faceid.api.bodies import MAX_UNITS, PERSON_FIELDS, REFERENCE_FIELDS
from lib_faceid.api.journal_answers import FILTERS
from lib_faceid.api.scoring import MOST_PICTURES
from lib_faceid.units.schema import PICTURE_SCHEMA, unit_schema

__all__ = ["REFUSED", "ROUTES", "Route"]


@dataclass(frozen=True)
class Route:
    """One route; below the common prefix."""

    method: str
    path: str
    answer: str
    """The method of `Answers`."""
    summary: str
    description: str
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    """The schema of the request's body; empty where it has none."""

    @property
    def openapi_extra(self) -> dict[str, Any] | None:
        """What FastAPI cannot see, because bodies are plain dicts: one code for pydantic 1 and 2."""
        if not self.body:
            return None
        return {"requestBody": {"required": True, "content": {"application/json": {"schema": self.body}}}}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    needed = {"required": required} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


def _part_of_unit(names: tuple[str, ...]) -> dict[str, Any]:
    properties = unit_schema()["properties"]
    return {name: properties[name] for name in names}


def _flag(default: bool, description: str) -> dict[str, Any]:
    return {"type": "boolean", "default": default, "description": description}


_DETAIL = _object(["detail"], detail={"type": "string"})
REFUSED: dict[int | str, dict[str, Any]] = {
    code: {"description": words, "content": {"application/json": {"schema": _DETAIL}}}
    for code, words in {
        422: "It cannot be done; `detail` says in a sentence what was found, what was expected, and what to do.",
        500: "A mistake of ours. The server's console has the details.",
    }.items()
}
_REFERENCE = {
    "anyOf": [PICTURE_SCHEMA, _object([], **_part_of_unit(REFERENCE_FIELDS))],
    "description": "Photos, or a saved person by name.",
}
_WANTED = {
    "anyOf": [PICTURE_SCHEMA, _object([], **_part_of_unit((*REFERENCE_FIELDS, "region")))],
    "description": "Photos, or a saved person by name; and the region that the unit acted in, if any.",
}
_NAME = {"type": "string", "description": "A name for the library."}

_RUN = {"type": "string", "description": "A run, as F-000123."}
_PERSON = {"type": "string", "description": "A saved person's name."}
JOURNAL_ROUTES = (
    Route("POST", "/journal", "journal", "Runs", "A page of the journal's list.", _object([], **FILTERS)),
    Route("GET", "/journal/{name}", "journal_run", "A run", "Everything that the journal keeps of it."),
    Route(
        "POST",
        "/journal/compare",
        "journal_compare",
        "Two runs",
        "What differs between them: settings, and scores.",
        _object(["first", "second"], first=_RUN, second=_RUN),
    ),
    Route(
        "POST",
        "/journal/tree",
        "journal_tree",
        "A run's tree",
        "The runs that were made from one another by changing one thing.",
        _object(["run"], run=_RUN),
    ),
    Route(
        "POST",
        "/journal/curve",
        "journal_curve",
        "A person's curve",
        "The likeness over the last runs.",
        _object(["person"], person=_PERSON),
    ),
    Route(
        "POST",
        "/journal/edit",
        "journal_edit",
        "Note and tags",
        "Gives a run another note, other tags, or both.",
        _object(["run"], run=_RUN, note={"type": "string"}, tags={"type": "array", "items": {"type": "string"}}),
    ),
    Route(
        "POST",
        "/journal/forget",
        "journal_forget",
        "Forget a person in the journal",
        "Takes somebody out for good, by name and by photos; nothing is left in the file.",
        _object(["person"], person=_PERSON),
    ),
    Route(
        "POST",
        "/approve",
        "approve",
        "Approve a person",
        "Writes down who agreed to a saved person as saved now, or takes that back.",
        _object(
            ["name"],
            name=_NAME,
            by={"type": "string", "description": "Who approves."},
            note={"type": "string"},
            withdraw=_flag(False, "Whether the approval is taken back instead."),
        ),
    ),
)

ROUTES = (
    Route("GET", "/version", "version", "Version", "Goes up where a client may have to know."),
    Route("GET", "/status", "status", "Check setup", "Models and packages: here, missing, and what Auto means."),
    Route("GET", "/models", "models", "Adapters", "What may stand in a unit's field `adapter`."),
    Route("GET", "/schema", "schema", "JSON schema of a unit", "The fields of a unit with ranges, defaults and help."),
    Route(
        "POST",
        "/check",
        "check",
        "Check units",
        "Says what `alwayson_scripts` would make of the units, without drawing: each with all its fields, or 422.",
        _object(["units"], units={"type": "array", "maxItems": MAX_UNITS, "items": unit_schema()}),
    ),
    Route(
        "POST",
        "/detect",
        "detect",
        "Faces in a photo",
        "Boxes, scores, numbers for the unit's field `face`, a report with hints, and the crops that would be used.",
        _object(["image"], image=PICTURE_SCHEMA, crops=_flag(True, "Whether the crops come along, as PNG in base64.")),
    ),
    Route(
        "POST",
        "/compare",
        "compare",
        "Are they the same person?",
        "The cosine between two references: photos or saved people.",
        _object(["first", "second"], first=_REFERENCE, second=_REFERENCE),
    ),
    Route(
        "POST",
        "/score",
        "score",
        "How alike is what was drawn?",
        "Whose face is whose in finished pictures, and how alike each is to who was asked for; in words what is amiss.",
        _object(
            ["images", "people"],
            images={"type": "array", "minItems": 1, "maxItems": MOST_PICTURES, "items": PICTURE_SCHEMA},
            people={
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_UNITS,
                "items": _WANTED,
                "description": "Who was asked for, of unit 0, 1, ...",
            },
        ),
    ),
    Route(
        "POST",
        "/diagnose",
        "diagnose",
        "What went wrong",
        "The rows of the map that apply to a run, the likeliest first, each with its evidence and one change to try.",
        _object(
            [],
            image=PICTURE_SCHEMA,
            parameters={"type": "string", "description": "The picture's metadata, where they are not in the image."},
            people={
                "type": "array",
                "maxItems": MAX_UNITS,
                "items": _REFERENCE,
                "description": "Who was asked for, of unit 0, 1, ...: so the likeness is looked at.",
            },
            facts={"type": "object", "description": "Instead: what is known of the run, as the answer's `facts` are."},
            noticed={"type": "string", "description": "What somebody sees: the id of a row."},
            plain={**PICTURE_SCHEMA, "description": "With image: what its settings and seed give at weight 0."},
            run={"type": "string", "description": "Instead: a run of the journal, which keeps its diagnosis."},
            not_it={"type": "string", "description": "With run: the id of a row that is not it, which is kept."},
            **{"try": {"type": "string", "description": "With run: the id of the row whose change you draw next."}},
        ),
    ),
    Route("GET", "/templates", "templates", "Prompt templates", "Blocks of prompts: the team's own, then ours."),
    Route("GET", "/faces", "faces", "Saved people and images", "The names in the library."),
    Route(
        "POST",
        "/faces",
        "save_face",
        "Save a person or an image",
        "Builds a person (or with purpose image, a prompt) from one to 20 photos, for the library. No photo is kept.",
        _object(
            ["name"],
            name=_NAME,
            **_part_of_unit(PERSON_FIELDS),
            overwrite=_flag(False, "Whether somebody of that name may be replaced."),
        ),
    ),
    Route("DELETE", "/faces/{name}", "delete_face", "Forget a person", "Deletes somebody from the library for good."),
    *JOURNAL_ROUTES,
    Route("POST", "/unload", "unload", "Free memory", "Models and known photos leave memory until they are needed."),
)
