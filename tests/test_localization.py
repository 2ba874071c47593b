"""Nothing of the page is left out of a translation: `localizations/*.json`, as the WebUI and our own page read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio")

from page_texts import of_components, of_purposes, photo_hints, sentences  # noqa: E402

from lib_faceid.app.hints import STRANGER  # noqa: E402
from lib_faceid.app.own_page import build_page  # noqa: E402
from lib_faceid.app.page_files import LANGUAGES, languages  # noqa: E402
from lib_faceid.app.resources import Resources  # noqa: E402
from lib_faceid.app.session import Session  # noqa: E402
from lib_faceid.inventory.check import GROUPS  # noqa: E402
from lib_faceid.likeness.meaning import WORDS  # noqa: E402
from lib_faceid.methods.registry import variants  # noqa: E402
from lib_faceid.models.folders import Roots  # noqa: E402
from lib_faceid.units.unit import FIELDS  # noqa: E402
from lib_faceid.units.weight_types import WEIGHT_TYPES  # noqa: E402

FOLDER = Path(__file__).resolve().parents[1] / "localizations"
NAMES = {"🔄", *(one.id for one in variants())}
"""Not words: they are the same in every language."""
LEFT_OUT: Mapping[str, str] = {
    "Factors for {}: {}.": "a list of figures, for screen readers",
    "Port {} is in use. Choose another one with --port N.": "said at the console",
    "The page is at {} (Ctrl+C ends it).": "said at the console",
    "The picture was made from {} not here{}. {} or pick a saved {}.": "its grammar is English: one, or several",
    "{} Check setup, below, says where to get what is missing.": "goes on after a sentence that is translated",
    "{} finished picture{} kept.": "its grammar is English: one, or several",
    "There is no face {} in it: there {}. Choose 'largest' or a number that is there.": "as two: one face, or several",
    "The head is {} by about {} degrees: use a photo at eye level.": "as two: lowered, or raised",
    "{} For more, put a Stable Diffusion checkpoint into models/Stable-diffusion, and get an adapter and the face "
    "models in Check setup. To see what it can, choose the saved person instead of the photo.": "whole as STRANGER",
}
"""A sentence of the page that stays English -> why. So do errors and what the diagnosis finds (docs/PAGE.md)."""


@lru_cache
def shown() -> frozenset[str]:
    """Everything that stands in the page."""
    page = build_page(Session(Resources(Roots((Path("none"),)))))
    choices = {one for field in FIELDS.values() if isinstance(field.kind, tuple) for one in field.kind}
    types = {one.does for one in WEIGHT_TYPES.values()}
    groups = set(GROUPS.values())
    return frozenset({*of_components(page), *of_purposes(), *choices, *groups, *WORDS, *types} - NAMES)


@lru_cache
def words(name: str) -> dict[str, str]:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


@pytest.fixture(params=sorted(LANGUAGES.values()))
def translation(request: Any) -> dict[str, str]:
    return words(request.param)


def test_all_files_are_offered() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(LANGUAGES.values())
    assert json.loads(languages())["de"] == words("de_DE")


def test_every_label_button_option_and_info_is_there(translation: Mapping[str, str]) -> None:
    assert {"Enable", "Add photos…", "style transfer", "Save image", "Unit 0"} <= shown()
    missing = shown() - set(translation)
    assert not {one for one in missing if not re.fullmatch(r"Unit \d", one)}
    assert "Unit {}" in translation


def test_every_sentence_is_there_or_is_left_out_for_a_reason(translation: Mapping[str, str]) -> None:
    found = sentences() | photo_hints() | {STRANGER}
    assert "There is no picture yet. Draw one first." in found
    assert found - set(translation) - set(LEFT_OUT) == set()
    assert set(LEFT_OUT) <= found, "what is left out must be there at all"
    assert not set(LEFT_OUT) & set(translation)


def test_a_translation_keeps_what_is_put_in_and_is_never_translated_again(translation: Mapping[str, str]) -> None:
    for text, told in translation.items():
        assert told.strip() == told != "", text
        places = re.findall(r"\{(\d*)\}", told)
        numbered = [str(at + 1) for at in range(text.count("{}"))]
        assert places == [""] * len(numbered) or sorted(places) == numbered, text
        assert translation.get(told, told) == told, f"{text!r} would be translated twice"


def test_what_is_called_by_its_word_keeps_the_word(translation: Mapping[str, str]) -> None:
    """Tags, the API and the metadata know an option by its English word: it stands behind its translation."""
    for field in FIELDS.values():
        for option in field.kind if isinstance(field.kind, tuple) and field.name != "purpose" else ():
            assert option in (translation[option], translation[option].rpartition("(")[2].rstrip(")")), option
