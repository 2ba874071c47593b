"""A picture's metadata in the page: every field comes back, the person is looked for, and what is missing is said."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_faceid.references.analysis import digest
from lib_faceid.units.infotext import unit_to_infotext
from lib_faceid.units.unit import FIELDS, Unit

gr = pytest.importorskip("gradio")

from lib_faceid.ui.paste import missing, still_missing  # noqa: E402
from lib_faceid.ui.photos import add  # noqa: E402
from lib_faceid.ui.units import Services, build_units  # noqa: E402


def photo(shade: int) -> Image.Image:
    return Image.fromarray(np.full((30, 40, 3), shade, np.uint8))


def hashes(photos: list[dict[str, Any]]) -> list[str]:
    return [digest(np.asarray(Image.open(io.BytesIO(base64.b64decode(one["image"])))))[:8] for one in photos]


def line(*references: str, **fields: Any) -> str:
    return unit_to_infotext(Unit(enabled=True, **fields), "mine", "plus", references)


HERE = Services(
    adapter_files=lambda: [Path("mine.bin")], saved_of=lambda hashes, _purpose: "Ann" if "aaaaaaaa" in hashes else ""
)


def test_what_is_missing_of_a_pasted_picture_is_said_in_a_sentence() -> None:
    none_here = missing(HERE, line("1a2b3c4d", "5e6f7a8b"), [], "")
    assert none_here == (
        "The picture was made from photos that are not here (1a2b3c4d, 5e6f7a8b). "
        "Add the photos or pick a saved person."
    )
    one = missing(HERE, line("1a2b3c4d"), add([], [photo(1)])[0], "")
    assert one == (
        "The picture was made from a photo that is not here (1a2b3c4d). Add the photo or pick a saved person."
    )
    assert missing(HERE, line("1a2b3c4d"), [], "Ann") == ""
    assert "metadata do not carry" in missing(HERE, line("1a2b3c4d", region="mask", mask="x"), [], "Ann")


def test_photos_that_are_still_in_the_unit_are_not_missing() -> None:
    photos, _ = add([], [photo(1), photo(2)])
    assert missing(HERE, line(*hashes(photos)), photos, "") == ""
    assert missing(HERE, line(hashes(photos)[1]), photos, "") == ""
    assert missing(HERE, line(*hashes(photos), "1a2b3c4d"), photos, "") != ""


def test_an_adapter_that_is_not_installed_is_named() -> None:
    for services, said in ((Services(adapter_files=list), "mine, which is not here"), (Services(), "not available")):
        assert said in missing(services, line("1a2b3c4d"), [], "Ann")


def test_the_sentence_goes_when_the_photos_come_and_when_others_are_chosen() -> None:
    photos, _ = add([], [photo(1), photo(2), photo(3)])
    wanted = line(*hashes(photos[:2]))
    assert hashes(photos)[1] in still_missing(HERE, wanted, photos[:1])
    assert still_missing(HERE, wanted, photos[:2]) == ""
    assert still_missing(HERE, wanted, photos[2:]) == ""
    assert still_missing(HERE, "", photos) == ""


def test_a_host_fills_in_every_field_and_the_saved_person_found_by_hash() -> None:
    with gr.Blocks():
        units = build_units("txt2img", HERE, 2)
    params = {"FaceID 1": line("aaaaaaaa", weight=0.4)}
    given = {component: told(params) for component, told in units.infotext_fields}
    values = dict(zip(FIELDS, (given[one] for one in units.components[len(FIELDS) :]), strict=True))
    assert (values["enabled"], values["weight"], values["person"]) == (True, 0.4, "Ann")
    assert given[units.components[0]] is False
    assert {given[one] for one in units.components[1 : len(FIELDS)]} == {None}
    assert len(given) == len(units.components) + 2 + 2  # the texts that arrive; and what a search is set back to
    assert {given[one] for one in units.options if one in given} == {None}
    searched = {one: told({"FaceID search": "best of: 8"}) for one, told in units.infotext_fields}
    assert [searched[one] for one in units.options if one in searched] == [1, 1]


def test_each_image_of_a_batch_finds_its_own_person() -> None:
    by_hash = {"aaaaaaaa": "Ann", "bbbbbbbb": "Ben"}
    services = Services(saved_of=lambda hashes, _purpose: by_hash.get("".join(hashes), ""))
    with gr.Blocks():
        units = build_units("txt2img", services, 1)
    told = dict(units.infotext_fields)[units.components[list(FIELDS).index("person")]]
    assert told({"FaceID 0": line("aaaaaaaa", "bbbbbbbb", batch="one each")}) == "Ann | Ben"
    assert told({"FaceID 0": line("aaaaaaaa", "cccccccc", batch="one each")}) == ""
