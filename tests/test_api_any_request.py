"""No request whatever makes a route fail: generated bodies, bytes and names get an answer or a sentence."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
import torch
from api_server import ColourAnalyser, Fixture, picture
from examples import examples
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from lib_faceid.api.api import PREFIX
from lib_faceid.api.routes import ROUTES
from lib_faceid.references.identity import Identity
from lib_faceid.units.schema import PICTURE_SCHEMA
from lib_faceid.units.unit import FIELDS

ANNA = Identity(torch.ones(1, 512), recogniser=ColourAnalyser.recogniser)
CLIENT = Fixture().client  # nobody is saved there
PINK, BLUE, NOBODY = picture(), picture((10, 20, 250)), picture((0, 0, 0))


texts = some.one_of(
    some.text(some.characters(), max_size=8),  # with halves of characters and zeros
    some.sampled_from(
        ["", PINK, NOBODY, "largest", "1", "0", "99999999", "../a.png", "C:\\a.png", "http://[", "data:,"]
    ),
)
numbers = some.one_of(some.integers(-(10**30), 10**30), some.floats())
names = some.one_of(
    some.sampled_from([*FIELDS, "image", "name", "overwrite", "crops", "first", "second", "units", "weight"]), texts
)
values = some.recursive(
    some.one_of(some.none(), some.booleans(), numbers, texts),
    lambda inner: some.one_of(some.lists(inner, max_size=4), some.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)


def bodies_of(schema: dict[str, Any]) -> some.SearchStrategy[Any]:
    """Bodies that fit a route's schema, that nearly do, and that do not at all."""
    fields = {name: some.one_of(fitting(told), values) for name, told in schema["properties"].items()}
    nearly = some.builds(
        lambda body, more: {**body, **more},
        some.fixed_dictionaries({}, optional=fields),
        some.dictionaries(names, values, max_size=1),
    )
    return some.one_of(fitting(schema), nearly, values)


def fitting(schema: dict[str, Any]) -> some.SearchStrategy[Any]:
    """Values that a schema describes; pictures are mostly pictures."""
    if schema.get("description") == PICTURE_SCHEMA["description"]:
        return some.one_of(some.sampled_from([PINK, BLUE, NOBODY, f"data:image/png;base64,{PINK}"]), texts)
    if "anyOf" in schema or "enum" in schema:
        return some.one_of(*map(fitting, schema.get("anyOf", ())), *map(some.just, schema.get("enum", ())))
    if schema["type"] == "array":
        return some.lists(fitting(schema["items"]), max_size=3)
    if schema["type"] == "object":
        fields = {name: fitting(one) for name, one in schema.get("properties", {}).items()}
        needed = {name: fields.pop(name) for name in schema.get("required", ())}
        return some.fixed_dictionaries(needed, optional=fields)
    if schema["type"] == "number":
        return some.floats(schema["minimum"], schema["maximum"])
    return (
        some.booleans() if schema["type"] == "boolean" else some.one_of(some.sampled_from(["Anna", "largest"]), texts)
    )


GOOD: dict[str, Any] = {
    "check": {"units": [{"image": PINK}]},
    "detect": {"image": PINK},
    "compare": {"first": PINK, "second": {"person": "Anna"}},
    "save_face": {"name": "Bea", "images": [PINK]},
    "diagnose": {"facts": {"prompt": "a man in a garden"}},
    "score": {"images": [PINK], "people": [{"person": "Anna"}]},
    "journal": {"person": "Anna", "since": "2026-11-26"},
    "journal_compare": {"first": "F-000001", "second": "F-000002"},
    "journal_tree": {"run": "F-000002"},
    "journal_curve": {"person": "Anna"},
    "journal_edit": {"run": "F-000001", "note": "good", "tags": ["a"]},
    "journal_forget": {"person": "Anna"},
    "approve": {"name": "Anna", "by": "Ben"},
}


def halved(value: Any) -> Any:
    """The same with half of a letter for each text: JSON can say it, UTF-8 cannot."""
    if isinstance(value, dict):
        return {name: halved(one) for name, one in value.items()}
    return [halved(one) for one in value] if isinstance(value, list) else "\ud800"


def check_never_fails(response: Any) -> None:
    assert response.status_code in (200, 404, 405, 413, 415, 422), response.text
    answer = response.json()
    if response.status_code != 200:
        assert isinstance(answer["detail"], str)
        assert len(answer["detail"]) < 2000


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda route: route.answer)
def test_no_body_makes_a_route_fail(route: Any) -> None:
    served = Fixture()
    answered: set[int] = set()

    @settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(bodies_of(route.body))
    @example(GOOD[route.answer])
    @example(halved(GOOD[route.answer]))
    @example({})
    def run(body: Any) -> None:
        served.people.forget_all()
        served.people.save("Anna", ANNA)
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        response = served.client.request(route.method, PREFIX + route.path, content=content, headers=headers)
        check_never_fails(response)
        answered.add(response.status_code)

    run()
    assert 200 in answered
    assert 422 in answered or not route.body.get("required")


@settings(max_examples=examples(20), deadline=None)
@given(some.sampled_from(ROUTES), some.binary(max_size=40), some.sampled_from(["application/json", "text/plain", "é"]))
def test_no_bytes_make_a_route_fail(route: Any, content: bytes, kind: str) -> None:
    url, client = PREFIX + route.path.format(name="Anna"), Fixture().client
    headers = {"Content-Type": kind.encode()}
    for method in ("GET", "POST", "DELETE", "PUT"):
        check_never_fails(client.request(method, url, content=content, headers=headers))


@settings(max_examples=examples(20), deadline=None)
@given(some.text(min_size=1, max_size=30))
def test_no_name_makes_deleting_fail(name: str) -> None:
    url = f"{PREFIX}/faces/{quote(name.encode('utf-8', 'surrogatepass'), safe='')}"
    check_never_fails(CLIENT.delete(url))
