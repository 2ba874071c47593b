"""Presets: ours, the user's own in one JSON file, and files that are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_faceid.errors import UnitError
from lib_faceid.units.presets import BUILT_IN, PRESET_FIELDS, delete_preset, read_presets, save_preset
from lib_faceid.units.unit import Unit

VALUES = {"weight": 0.5, "structure": 0.4, "lora": 0.3, "start": 0.2, "end": 0.9}


def test_ours_are_the_four_of_the_requirements() -> None:
    numbers = {name: tuple(preset[field] for field in PRESET_FIELDS) for name, preset in BUILT_IN.items()}
    assert numbers == {
        "Balanced": (0.8, 1.0, 0.6, 0.0, 1.0),
        "Strong likeness": (1.0, 1.5, 0.7, 0.0, 1.0),
        "Follow prompt & style": (0.7, 0.6, 0.5, 0.2, 1.0),
        "Identity only, free hair & pose": (0.8, 0.0, 0.6, 0.0, 1.0),
    }
    for preset in BUILT_IN.values():
        Unit.from_dict({"enabled": True, **preset})


def test_a_preset_is_saved_replaces_ours_and_is_deleted(tmp_path: Path) -> None:
    file = tmp_path / "new" / "presets.json"
    assert save_preset(file, "  My\n own ", VALUES) == "My own"
    save_preset(file, "Balanced", VALUES)
    assert read_presets(file)["My own"] == read_presets(file)["Balanced"] == VALUES
    delete_preset(file, "Balanced")
    assert read_presets(file)["Balanced"] == BUILT_IN["Balanced"]
    assert list(json.loads(file.read_text("utf-8"))) == ["My own"]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_name_must_be_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnitError, match="letters"):
        save_preset(tmp_path / "presets.json", name, VALUES)


def test_a_value_must_fit_the_unit(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match="weight"):
        save_preset(tmp_path / "presets.json", "Mine", {**VALUES, "weight": 7})


def test_ours_cannot_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match="comes with the extension"):
        delete_preset(tmp_path / "presets.json", "Balanced")
    with pytest.raises(UnitError, match="no preset 'nobody'"):
        delete_preset(tmp_path / "presets.json", "nobody")


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"a": 3}', '{"a": {"weight": "much"}}', "\x00"])
def test_a_damaged_file_costs_only_what_is_damaged(tmp_path: Path, content: str) -> None:
    file = tmp_path / "presets.json"
    file.write_text(content, "utf-8")
    assert read_presets(file) == BUILT_IN
    good = {"good": VALUES, "bad": {"weight": 99}}
    file.write_text(json.dumps(good), "utf-8")
    assert read_presets(file) == {**BUILT_IN, "good": VALUES}
    assert read_presets(None) == BUILT_IN
