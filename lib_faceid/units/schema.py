"""The unit as a JSON schema, made from its fields: for the HTTP API's pages, and for whoever writes a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lib_faceid.units.aim_request import AIMED_FIELDS
from lib_faceid.units.job_options import OPTIONS
from lib_faceid.units.photos import MAX_PHOTOS
from lib_faceid.units.unit import FIELDS, Field, Picture, Range

__all__ = ["PHOTO_SCHEMA", "PICTURE_SCHEMA", "aim_schema", "job_options_schema", "photos_schema", "unit_schema"]

PICTURE_SCHEMA: dict[str, Any] = {
    "type": "string",
    "description": "A picture as base64 or as a data URL. A path or a web address where the settings allow it.",
}
PHOTO_SCHEMA: dict[str, Any] = {
    "anyOf": [
        PICTURE_SCHEMA,
        {
            "type": "object",
            "properties": {
                "image": PICTURE_SCHEMA,
                "weight": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 10,
                    "default": 1.0,
                    "description": "How much the photo counts beside the others.",
                },
            },
            "required": ["image"],
            "additionalProperties": False,
        },
    ]
}


def unit_schema() -> dict[str, Any]:
    """Return the schema of one unit in a request, in the words that OpenAPI 3.0 and JSON Schema 2020-12 share."""
    properties = {name: _property(field) for name, field in FIELDS.items()}
    # Without it the unit is on when it says who is to be drawn: no default of its own.
    properties["enabled"] = {**properties["enabled"], "description": "By default on, where there is a photo or person."}
    del properties["enabled"]["default"]
    properties["image"] = {**photos_schema(), "title": "Photo", "description": "Short for images with one photo."}
    return {
        "title": "Unit",
        "type": "object",
        "description": 'One person, in "alwayson_scripts": {"IP-Adapter FaceID": {"args": [unit, ...]}}.',
        "properties": properties,
        "additionalProperties": False,
        "not": {"required": ["image", "images"]},
    }


def job_options_schema() -> dict[str, Any]:
    """Return the schema of what a request sets for the job as a whole, as one more object among its units."""
    properties = {name: _property(option) for name, option in OPTIONS.items()}
    for name in ("best_of", "keep"):
        properties[name]["type"] = "integer"
    return {
        "title": "Options of the job",
        "type": "object",
        "description": "One more object in the args of the units.",
        "properties": properties,
        "additionalProperties": False,
    }


def aim_schema() -> dict[str, Any]:
    """Return the schema of what a request aims for, as one more object among its units."""
    properties = {
        "aim": {"type": "number", "minimum": 0, "maximum": 1, "description": "The likeness to reach."},
        "by": {"type": "string", "enum": list(AIMED_FIELDS), "default": "weight", "description": "Searched for."},
        "unit": {"type": "integer", "minimum": 0, "default": 0, "description": "Whose setting and likeness."},
    }
    return {
        "title": "Aim for a likeness",
        "type": "object",
        "description": "One more object in the args of the units.",
        "properties": properties,
        "required": ["aim"],
        "additionalProperties": False,
    }


def photos_schema() -> dict[str, Any]:
    """Return the schema of one photo or several."""
    return {"anyOf": [*PHOTO_SCHEMA["anyOf"], {"type": "array", "items": PHOTO_SCHEMA, "maxItems": MAX_PHOTOS}]}


def _property(field: Field) -> dict[str, Any]:
    kind = field.kind if isinstance(field.kind, type) else type(field.kind)
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    schema = {"title": field.label, **_KINDS[kind](field.kind), "description": field.help}
    return schema if default is None else {**schema, "default": default}


_KINDS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    bool: lambda _: {"type": "boolean"},
    str: lambda _: {"type": "string"},
    list: lambda _: photos_schema(),
    tuple: lambda choices: {"type": "string", "enum": list(choices)},
    Picture: lambda _: dict(PICTURE_SCHEMA),
    Range: lambda limits: {"type": "number", "minimum": limits.lowest, "maximum": limits.highest},
}
