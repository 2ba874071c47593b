"""The schema says of a unit exactly what `Unit.from_dict` does."""

from __future__ import annotations

import math
import re
from typing import Any

import jsonschema
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as some

from lib_faceid.errors import UnitError
from lib_faceid.units.schema import unit_schema
from lib_faceid.units.unit import FIELDS, Range, Unit

SCHEMA = unit_schema()


def is_valid(values: Any) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(values)


def is_unit(values: dict[str, Any]) -> bool:
    try:
        Unit.from_dict({"enabled": False, **values})  # an active one also wants start before end
    except UnitError:
        return False
    return True


def test_it_is_a_schema_in_both_dialects() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft4Validator.check_schema(SCHEMA)  # what OpenAPI 3.0 took over, but for a few words
    told = re.findall(r"'(\$\w+|const|examples|exclusiveM\w+|nullable|prefixItems)':", str(SCHEMA))
    assert not told, "these words mean different things in OpenAPI 3.0 and 3.1"


def test_the_limits_are_those_of_the_unit() -> None:
    for name, field in FIELDS.items():
        kind = field.kind
        if isinstance(kind, Range):
            for value in (kind.lowest, kind.highest):
                assert is_valid({name: value}) and is_unit({name: value})  # noqa: PT018
            for value in (kind.lowest - 0.01, kind.highest + 0.01, "1", None, True):
                assert not is_valid({name: value}) and not is_unit({name: value}), (name, value)  # noqa: PT018


PHOTOS = [
    [],
    "text",
    ["text"] * 20,
    ["text"] * 21,
    {"image": "text"},
    {"image": "text", "weight": 10},
    {"image": "text", "weight": 10.1},
    {"image": "text", "weight": -0.1},
    {"image": "text", "weight": "1"},
    {"image": "text", "wieght": 1},
    {"weight": 1},
    [{"image": "text", "weight": 0}],
]


@pytest.mark.parametrize("name", ["image", "images"])
@pytest.mark.parametrize("photos", PHOTOS, ids=lambda photos: str(photos)[:40])
def test_photos(name: str, photos: Any) -> None:
    assert is_valid({name: photos}) == is_unit({name: photos})


texts = some.text(max_size=5)
anything = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(), texts, some.lists(texts, max_size=2)
)


def values_of(name: str) -> some.SearchStrategy[Any]:
    """Values that fit the field, or nearly, or not at all."""
    kind = FIELDS[name].kind
    if isinstance(kind, Range):
        return some.one_of(some.floats(kind.lowest - 0.1, kind.highest + 0.1), some.integers(-1, 4), anything)
    return some.one_of(some.sampled_from(kind), anything) if isinstance(kind, tuple) else anything


# Pictures may be pixels inside the program, and only text in a request; a region and a face have their own grammar.
APART = ("images", "negative_images", "mask", "pose", "region", "face")
units = some.fixed_dictionaries(
    {}, optional={name: values_of(name) for name in FIELDS if name not in APART} | {"x": texts}
)


@settings(max_examples=examples(60), deadline=None)
@given(units)
def test_what_the_schema_takes_the_unit_takes_and_nothing_else(values: dict[str, Any]) -> None:
    if any(isinstance(value, float) and not math.isfinite(value) for value in values.values()):
        assert not is_unit(values)  # JSON has no such number
        return
    assert is_valid(values) == is_unit(values), values
