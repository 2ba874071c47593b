"""What users of an earlier version have in their files is still read, and means the same.

`fixtures/compat` was written by the code of commit a3290d2 (`fixtures/compat/make.py`) and stays as it is. Names of
fields may have changed since: a field of today is known by what an old name sets.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from api_server import Fixture
from compat_inputs import PAIRS, clip_hidden, seeded, small_unet, vectors, write_adapter
from safetensors.torch import load_file, save_file
from test_infotext import through_the_host

from lib_faceid import Contribution, Identity, People, Schedule, Unit, external, inject, load_adapter, merge_lora
from lib_faceid.commands.cli import main
from lib_faceid.hosts.webui.plot_axes import axis_options
from lib_faceid.units.infotext import infotext_key, unit_from_infotext
from lib_faceid.units.overrides import with_overrides
from lib_faceid.units.presets import read_presets
from lib_faceid.units.schema import unit_schema
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.tags import tag_key, units_of_tags
from lib_faceid.units.unit import FIELDS, Photo

FOLDER = Path(__file__).parent / "fixtures" / "compat"
TOLERANCE = 1e-5  # other processors add in another order: 1e-6 in numbers around 1. A wrong setting is 1e-3 or more.


def fixture(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


UNITS = fixture("units.json")
ORDER: list[str] = UNITS["order"]


def plain(value: Any) -> Any:
    """A unit's value as JSON has it."""
    if isinstance(value, Photo):
        return {"image": value.image, "weight": value.weight}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


@lru_cache
def today(name: str) -> str:
    """The field that an old name sets."""
    if name in FIELDS:
        return name
    everything = next(one["args"][0] for one in UNITS["requests"] if len(one["args"][0]) == len(ORDER))
    changed = Unit.from_dict({"enabled": False, name: everything[name]}).to_dict()
    (field,) = (one for one, value in Unit.from_dict({"enabled": False}).to_dict().items() if changed[one] != value)
    return field


def same_units(found: list[Unit], expected: list[dict[str, Any]]) -> None:
    """The units are those of the old version, which are written out; a field that is new is at its default."""
    assert found == [Unit.from_dict(values) for values in expected]
    for unit, values in zip(found, expected, strict=True):
        assert {name: plain(getattr(unit, today(name))) for name in values} == values


# ------------------------------------------------------------------------------------------------------- the unit's own
def test_defaults_are_what_they_were() -> None:
    assert {name: plain(FIELDS[today(name)].default) for name in ORDER} == UNITS["defaults"]


@pytest.mark.parametrize("request_", UNITS["requests"], ids=lambda one: "-".join(list(one["args"][0])[-2:]))
def test_units_of_api_requests(request_: dict[str, Any]) -> None:
    same_units(units_from_args(request_["args"]), request_["units"])


@pytest.mark.parametrize("flat", UNITS["flat"], ids=["all changed", "all default", "three units"])
def test_units_as_flat_lists_in_the_order_of_then(flat: dict[str, Any]) -> None:
    assert len(flat["args"]) % len(ORDER) == 0
    same_units(units_from_args(flat["args"]), flat["units"])


@pytest.mark.parametrize("flat", UNITS["flat"], ids=["all changed", "all default", "three units"])
def test_flat_lists_that_the_webui_fills_up_with_todays_page(flat: dict[str, Any]) -> None:
    """A request's list goes over the beginning of the page's values (`init_script_args` in modules/api/api.py)."""
    gr = pytest.importorskip("gradio")
    from lib_faceid.ui.units import Services, build_units

    with gr.Blocks():
        page = [one.value for one in build_units("txt2img", Services(), 3).arguments]
    args = [*flat["args"], *page[len(flat["args"]) :]]
    found = units_from_args(args)
    assert len(found) == 3
    count = len(flat["units"])
    same_units(found[:count], flat["units"])
    assert found[count:] == [Unit()] * (3 - count)


# ------------------------------------------------------------------------------------------------- metadata of pictures
INFOTEXT = fixture("infotext.json")


@pytest.mark.parametrize("row", INFOTEXT["lines"], ids=lambda row: row["line"].split(", weight")[0][-40:])
def test_lines_in_pictures(row: dict[str, Any]) -> None:
    fields, references = unit_from_infotext(through_the_host(infotext_key(0), row["line"]))
    same_units([Unit.from_dict(fields)], [row["fields"]])
    assert references == tuple(row["references"])


def test_keys_in_pictures() -> None:
    assert {number: infotext_key(int(number)) for number in INFOTEXT["keys"]} == INFOTEXT["keys"]


def test_tags_in_prompts() -> None:
    told = fixture("tags.json")
    for row in told["prompts"]:
        rest, units = units_of_tags(row["prompt"], "", lambda _: told["saved"])
        assert rest == row["rest"]
        same_units(units, row["units"])
    assert [tag_key(0), tag_key(3)] == told["keys"]


# ---------------------------------------------------------------------------------------------- presets, axes, options
def test_presets() -> None:
    presets, expected = read_presets(FOLDER / "presets.json"), fixture("presets_read.json")
    found = {name: {field: presets[name][today(field)] for field in preset} for name, preset in expected.items()}
    assert found == expected


def make_axis(label: str, parse: Any, apply: Any, choices: Any = None) -> Any:
    return SimpleNamespace(label=label, parse=parse, apply=apply, choices=choices)


@pytest.mark.parametrize("row", fixture("axes.json"), ids=lambda row: row["label"])
def test_axes_of_the_plot(row: dict[str, Any]) -> None:
    axes = {option.label: option for option in axis_options(make_axis, 3, {})}
    axis, p = axes[row["label"]], SimpleNamespace()
    axis.apply(p, axis.parse(row["text"]), [])
    values = [plain(getattr(unit, today(row["field"]))) for unit in with_overrides([Unit(enabled=True)] * 3, p)]
    assert [number for number, value in enumerate(values) if value == row["value"]] == row["changed"]
    assert set(row["choices"] or ()) <= set(axis.choices() if axis.choices else ())


def test_the_schemas_bounds_and_choices() -> None:
    now = unit_schema()["properties"]
    for name, told in fixture("schema.json").items():
        if name in now:  # an old name is understood; that today's clients are told of it is not needed
            assert [now[name].get(key) for key in ("type", "default")] == [told.get(key) for key in ("type", "default")]
            assert set(told.get("enum", ())) <= set(now[name].get("enum", ()))
            assert now[name].get("minimum", 0) <= told.get("minimum", 0)
            assert now[name].get("maximum", 0) >= told.get("maximum", 0)


def test_names_for_scripts_and_other_extensions(capsys: pytest.CaptureFixture[str]) -> None:
    names = fixture("names.json")
    assert [name for name in names["external"] if not hasattr(external, name)] == []
    assert names["title"] == external.TITLE
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    shown = capsys.readouterr().out
    assert [option for option in names["options"] if option not in shown] == []


# --------------------------------------------------------------------------------------------------------- saved people
PEOPLE = fixture("people.json")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> People:
    folder = tmp_path_factory.mktemp("compat") / "faces"
    shutil.copytree(FOLDER / "people", folder)
    packed = folder / "Clara.safetensors.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    return People(folder)


def test_everybody_is_there(library: People) -> None:
    assert list(library.names()) == list(PEOPLE)


def known(found: Any, then: Any) -> Any:
    """What was known then of what is known now: a report may have more measures today, and lack none."""
    if not isinstance(then, dict):
        return found
    return {key: known(found[key], value) for key, value in then.items()}


@pytest.mark.parametrize("name", PEOPLE)
def test_saved_people(library: People, name: str) -> None:
    expected, record = PEOPLE[name], library.load(name).record
    identity = library.identity(name)
    assert hashlib.sha256(identity.id_embeddings.numpy().tobytes()).hexdigest() == expected["id_embeddings_sha256"]
    told = {"faces": identity.num_faces, "recogniser": identity.recogniser, "tokens": identity.tokens}
    assert told == {key: expected[key] for key in told}
    assert list(identity.weights) == expected["weights"]
    assert identity.fingerprint == expected["fingerprint"], "pictures hold it, and the person is found by it"
    photos = [
        {"sha256": one.sha256, "weight": one.weight, "report": one.report and one.report.to_dict()}
        for one in record.photos
    ]
    assert (record.notes, [known(photo, then) for photo, then in zip(photos, expected["photos"], strict=True)]) == (
        expected["notes"],
        expected["photos"],
    )
    assert (None if record.thumbnail_rgb is None else record.thumbnail_rgb.tolist()) == expected["thumbnail_rgb"]


@pytest.mark.parametrize("name", PEOPLE)
def test_saved_people_are_found_by_what_pictures_say(library: People, name: str) -> None:
    expected = PEOPLE[name]
    for hashes in ([expected["fingerprint"][:8]], [photo["sha256"][:8] for photo in expected["photos"]]):
        found = library.made_from(hashes)
        assert not hashes or (found and found.name == name)


# ------------------------------------------------------------------------------------------------------------- HTTP API
SENTENCES = {"detail", "message", "messages", "reason", "reasons"}  # which words they have is free


def differences(found: Any, expected: Any, at: str = "") -> list[str]:
    """Where an answer of today lacks something of the old one or says something else; more may be in it."""
    if isinstance(expected, dict) and isinstance(found, dict):
        pairs = [(found.get(today(key) if key in ORDER else key), value, key) for key, value in expected.items()]
        return [
            line
            for one, value, key in pairs
            for line in (
                [f"{at}.{key}: {one!r}"] * (bool(one) != bool(value))
                if key in SENTENCES
                else differences(one, value, f"{at}.{key}")
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = zip(found, expected, strict=True)
        return [line for number, (a, b) in enumerate(pairs) for line in differences(a, b, f"{at}[{number}]")]
    is_same = found == pytest.approx(expected, abs=1e-3) if isinstance(expected, float) else found == expected
    return [] if is_same else [f"{at}: {found!r}, not {expected!r}"]


def test_routes_answer_what_they_answered() -> None:
    served = Fixture()
    for call in fixture("http.json"):
        response = served.client.request(call["method"], f"/ip-adapter-faceid{call['path']}", json=call["body"])
        assert response.status_code == call["status"], (call, response.json())
        assert differences(response.json(), call["answer"], call["path"]) == []
        if "hashes" in call:  # by which people are found again: the same photo has the same hash
            assert [photo.sha256 for photo in served.people.load("Anna").record.photos] == call["hashes"]


# ------------------------------------------------------------------------------------------------ what the UNet is told
@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    """People with CLIP features, from files of the old format that nothing of ours has written."""
    folder, (hidden, blank) = tmp_path_factory.mktemp("identities"), clip_hidden("Clara", 2)
    found: dict[str, Identity] = {}
    for name, faces, more in (
        ("one", 1, {}),
        ("two", 2, {}),
        ("averaged", 2, {"weights": "[1.0, 3.0]", "tokens": "average"}),
    ):
        tensors = {
            "id_embeddings": vectors("one" if name == "one" else "two", faces),
            "clip_hidden": hidden[:faces].contiguous(),
            "clip_hidden_uncond": blank,
        }
        save_file(tensors, folder / name, {"format": "faceid-identity-1", "recogniser": "", **more})
        found[name] = Identity.load(folder / name)
    return found


@pytest.mark.parametrize(("family", "variant"), PAIRS)
def test_tokens(identities: dict[str, Identity], tmp_path: Path, family: str, variant: str) -> None:
    adapter = load_adapter(write_adapter(tmp_path, variant, family))
    assert adapter.variant.id == variant
    kept = load_file(FOLDER / "tokens.safetensors")
    mine = {key for key in kept if key.startswith(f"{family} {variant} ")}
    assert len(mine) == 8
    for name in {key.rsplit(" ", 1)[0] for key in mine}:
        *_, person, structure = name.split(" ")
        tokens = adapter.encode(identities[person], {"structure": float(structure)})
        for side in ("cond", "uncond"):
            found = getattr(tokens, side)[:, ::32]
            torch.testing.assert_close(
                found, kept[f"{name} {side}"], atol=TOLERANCE, rtol=TOLERANCE, msg=f"{name} {side}"
            )


def test_calls_of_a_unet(identities: dict[str, Identity], tmp_path: Path) -> None:
    unet, kept = small_unet(), load_file(FOLDER / "unet.safetensors")
    latents, steps, context = seeded("latents", 2, 4, 8, 8), torch.full((2,), 500), seeded("context", 2, 77, 768)

    def call() -> torch.Tensor:
        with torch.no_grad():
            return unet(latents, steps, encoder_hidden_states=context).sample

    torch.testing.assert_close(call(), kept["bare"], atol=TOLERANCE, rtol=TOLERANCE, msg="the inputs are others")
    for variant in ("faceid", "plus", "plusv2", "portrait"):
        adapter = load_adapter(write_adapter(tmp_path, variant, "sd15"))
        person = Contribution(adapter.tokens([identities["two"]], {"structure": 1.2}), Schedule(weight=0.8))
        with merge_lora(unet, adapter, 0.6), inject(unet, [person]) as injection:
            injection.set_rows([0, 1])
            found = call()
        assert (found - kept["bare"]).abs().max() > 0.05, "the person changes too little to prove anything"
        torch.testing.assert_close(found, kept[variant], atol=TOLERANCE, rtol=TOLERANCE, msg=variant)
