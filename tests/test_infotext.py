"""A picture brings its unit back, in full, and tells nobody who was in the photo."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lib_faceid.units.infotext import ALGORITHM, infotext_key, pasted, unit_from_infotext, unit_to_infotext
from lib_faceid.units.unit import FIELDS, Photo, Unit

# The WebUI's own pattern for one key and its value (modules/infotext_utils.py of v1.10.1).
HOST_PARAMETER = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')

UNITS = [
    Unit(enabled=True),
    Unit(enabled=True, weight=1.25, structure=0.5, lora=0, start=0.2, end=0.9, hires="first", clip_crop="whole"),
    Unit(enabled=True, combine="median", face="2", adapter='my "odd", adapter: 50% é\n.bin', variant="plusv2"),
    Unit(enabled=True, weight_type="style transfer precise", layer_weights=" 3:2.5, 6:-1 "),
    Unit(enabled=True, layer_weights=",".join(["0.5"] * 16)),
]


def through_the_host(key: str, value: str) -> str:
    """What the WebUI reads back of a value that it wrote into a line among others."""
    quoted = json.dumps(value, ensure_ascii=False) if re.search(r"[,:\n]", value) else value
    found = dict(HOST_PARAMETER.findall(f"Steps: 4, Sampler: Euler, {key}: {quoted}, Version: v1.10.1"))
    return json.loads(found[key]) if found[key].startswith('"') else found[key]


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_written_comes_back(unit: Unit) -> None:
    line = unit_to_infotext(unit, unit.adapter, unit.variant, ["3f9c1a2b", "00ff00ff"])
    fields, references = unit_from_infotext(through_the_host(infotext_key(0), line))
    assert Unit(**fields) == unit
    assert references == ("3f9c1a2b", "00ff00ff")


def test_auto_is_written_as_what_it_became() -> None:
    line = unit_to_infotext(Unit(), "ip-adapter-faceid_sd15", "faceid")
    assert line == f"adapter: ip-adapter-faceid_sd15, variant: faceid, weight: 0.8, algo: {ALGORITHM}"


def test_nothing_tells_who_it_was() -> None:
    unit = Unit(enabled=True, images=(Photo("data:image/png;base64,SECRET"),), person="Somebody")
    line = unit_to_infotext(unit, "a", "faceid", ["3f9c1a2b"])
    assert "SECRET" not in line
    assert "Somebody" not in line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("weight: 0.5", {"weight": 0.5}),
        ("weight: a lot, lora: 0.2", {"lora": 0.2}),
        ("weight: 99, shine: 3, hires: never", {}),
        ("weight_type: ease, layer_weights: 3%3A, region: nowhere", {}),
        ("nonsense", {}),
        ("weight: , : , ::", {}),
    ],
)
def test_a_foreign_line_gives_what_can_be_read(line: str, expected: dict[str, Any]) -> None:
    fields, _ = unit_from_infotext(line)
    assert {name: value for name, value in fields.items() if value != FIELDS[name].default} == {
        "enabled": True
    } | expected


def test_a_pasted_text_gives_a_units_fields_or_nothing() -> None:
    params = {"FaceID 1": "adapter: mine, variant: plus, weight: 0.4", "FaceID 2": "ignored, it has no photo"}
    assert pasted(params, 1, "weight") == 0.4
    assert pasted(params, 1, "enabled") is True
    assert pasted(params, 1, "images") is None
    assert [pasted(params, number, "weight") for number in (0, 2)] == [None, None]


def test_units_that_a_picture_was_drawn_without_are_off() -> None:
    params = {"FaceID 1": "adapter: mine, variant: plus, weight: 0.4", "FaceID 2": "ignored, it has no photo"}
    assert [pasted(params, number, "enabled") for number in range(4)] == [False, True, False, False]
    others = {"Steps": "4", "FaceID 2": "ignored, it has no photo"}
    assert [pasted(others, number, "enabled") for number in (0, 2)] == [
        None,
        None,
    ]


def test_the_key_is_none_of_controlnets() -> None:
    assert not infotext_key(0).startswith("ControlNet")
