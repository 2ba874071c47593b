"""What a browser kept of our own page's form is read as anybody's request is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio")

from lib_faceid.app.own_page import build_page  # noqa: E402
from lib_faceid.app.own_page_form import read_form  # noqa: E402
from lib_faceid.app.resources import Resources  # noqa: E402
from lib_faceid.app.session import Session  # noqa: E402
from lib_faceid.models.folders import Roots  # noqa: E402

WHOLE = '{"a": "0.5", "b": "\\"text\\"", "c": "false"}'
ODD = ["0", "-1", "1e999", "NaN", "true", "null", "[]", "{}", '"x"', "10" * 400, '"\\u0000"', "[[1]]", "0.30000001"]


def test_each_value_is_json_of_its_own() -> None:
    assert read_form(WHOLE) == {"a": 0.5, "b": "text", "c": False}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": 1}', '{"a": "{"}', "[" * 100_000, '{"a": null}'])
def test_what_cannot_be_read_is_nothing(text: str) -> None:
    assert read_form(text) == {}


@pytest.mark.parametrize("text", ODD)
def test_any_value_is_taken_or_left(text: str) -> None:
    """Of every component: a value of the field, or none at all, and never an error."""
    page = build_page(Session(Resources(Roots((Path("none"),)))))
    opened, names = _opened(page)
    updates = opened(json.dumps(dict.fromkeys(names, text)))
    assert len(updates) == len(names)
    filled = {name: one for name, one in zip(names, updates, strict=True) if isinstance(one, dict)}
    taken = {name: one["value"] for name, one in filled.items() if "value" in one}
    assert "txt2img_faceid_0_images" not in taken
    assert not [name for name in taken if name.endswith(("_face", "_mask", "_negative_images"))]
    for name in ("txt2img_faceid_0_weight", "txt2img_width", "txt2img_count"):
        assert not isinstance(taken.get(name), (bool, str, list, dict))


def test_a_control_row_comes_back_without_its_picture(tmp_path: Path) -> None:
    """A net that is not here any more leaves the row off; that a picture was there is said where it is missed."""
    nets = tmp_path / "ControlNet"
    nets.mkdir()
    (nets / "pose.safetensors").touch()
    opened, names = _opened(build_page(Session(Resources(Roots((tmp_path,))))))

    def filled(**kept: Any) -> dict[str, Any]:
        text = json.dumps({f"faceid_control_1_{name}": json.dumps(value) for name, value in kept.items()})
        updates = dict(zip(names, opened(text), strict=True))
        return {name: one.get("value") if isinstance(one, dict) else one for name, one in updates.items()}

    found = filled(net="pose", hint="edges", strength=0.4, start=0.1, end=0.9, picture=True)
    assert [found[f"faceid_control_1_{name}"] for name in ("net", "hint", "strength", "start", "end")] == [
        "pose", "edges", 0.4, 0.1, 0.9,
    ]  # fmt: skip
    assert "faceid_control_1_picture" not in found
    assert "Control 1: its picture is not kept" in found["faceid_control_gone"]
    for other in ({"net": "gone", "picture": True}, {"net": "pose", "picture": False}, {"picture": True}):
        assert filled(**other)["faceid_control_gone"] == ""
    assert filled(net="gone", strength=3, hint="depth") == filled()


def _opened(page: Any) -> tuple[Any, list[str]]:
    """Return what answers when the page opens, and the ids of what it fills."""
    fns = page.fns.values() if isinstance(page.fns, dict) else page.fns
    opened = next(one for one in fns if "wire_form." in getattr(one.fn, "__qualname__", ""))
    at = list(fns).index(opened)
    outputs = getattr(opened, "outputs", None) or [page.blocks[one] for one in page.dependencies[at]["outputs"]]
    return opened.fn, [one.elem_id for one in outputs]
