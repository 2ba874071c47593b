"""One contract: what a unit has, the page shows, API and command line take, metadata tell, the X/Y/Z plot can vary.

Everything here follows `FIELDS`. Whatever is not everywhere stands in EXCEPTIONS, with the reason.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from other_values import other

from lib_faceid.commands.unit_options import add_unit_options, units_of
from lib_faceid.hosts.webui.plot_axes import axis_options
from lib_faceid.units.infotext import infotext_key, pasted, unit_to_infotext
from lib_faceid.units.job_options import OPTIONS
from lib_faceid.units.overrides import with_overrides
from lib_faceid.units.schema import unit_schema
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.unit import FIELDS, Photo, Range, Unit

gr = pytest.importorskip("gradio")

from lib_faceid.ui.purpose import COMBINE  # noqa: E402
from lib_faceid.ui.units import Services, build_units  # noqa: E402

# (where, name): why the unit's field is not there, or why there is a name that is no field.
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("schema", "image"): "short for images with one photo",
    ("infotext", "enabled"): "a line that is there is of a unit that is on",
    ("infotext", "images"): "a picture does not carry the photos: refs does",
    ("infotext", "person"): "a picture tells nobody who is in it",
    ("infotext", "mask"): "too large for a line of text",
    ("infotext", "negative_images"): "photos again",
    ("infotext", "pose"): "one more",
    ("infotext", "refs"): "short hashes of the photos, by which they are found again",
    ("infotext", "algo"): "which version drew it",
    ("axes", "images"): "nobody types a photo",
    ("axes", "mask"): "nor a mask",
    ("axes", "negative_images"): "nor this one",
    ("axes", "pose"): "nor that one",
    ("options", "enabled"): "who is typed is drawn",
    ("options", "photo"): "a file for images; it may be given again",
    ("options", "images"): "named by --photo",
    ("options", "photo_weight"): "of the photo before it",
    ("options", "identity"): "a file for person",
    ("options", "and"): "what follows is for the next person",
    ("options", "unlike"): "what negative_images was called before",
}


def other_unit() -> Unit:
    return Unit(**{name: other(field) for name, field in FIELDS.items()})


@lru_cache
def components(count: int = 1, tab: str = "txt2img") -> list[Any]:
    with gr.Blocks():
        return build_units(tab, Services(), count).components  # every service of `Services()` raises: none is asked


def axes() -> dict[str, Any]:
    """The axes of unit 0, by the field whose label they carry."""

    def make(label: str, parse: Any, apply: Any, choices: Any) -> Any:
        return SimpleNamespace(label=label, parse=parse, apply=apply, choices=choices)

    named = {f"[FaceID 0] {field.label}": name for name, field in FIELDS.items()}
    mine = [option for option in axis_options(make, 1, {}) if "[FaceID 0]" in option.label]
    return {named.get(str(option.label), ""): option for option in mine}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    add_unit_options(parser)
    return parser


def options() -> list[str]:
    """The options of the command line without their dashes, in the order of the fields; then what is no field."""
    names = [name.lstrip("-").replace("-", "_") for action in parser()._actions for name in action.option_strings]
    return [name for name in FIELDS if name in names] + [name for name in names if name not in FIELDS]


def line_of(unit: Unit) -> str:
    return unit_to_infotext(unit, unit.adapter, unit.variant, ["3f9c1a2b"])


# ------------------------------------------------------------------------------------------------ the names, everywhere
NAMES: Mapping[str, Callable[[], list[str]]] = {
    "page": lambda: [
        one.elem_id.removeprefix("txt2img_faceid_0_") if one.elem_id else "images" for one in components()
    ],
    "schema": lambda: list(unit_schema()["properties"]),
    "infotext": lambda: re.findall(r"(?:^|, )(\w+): ", line_of(other_unit())),
    "axes": lambda: list(axes()),
    "options": options,
}


@pytest.mark.parametrize("where", NAMES)
def test_every_field_is_there_in_its_order_and_nothing_else(where: str) -> None:
    excepted = {name for place, name in EXCEPTIONS if place == where}
    names = NAMES[where]()
    fields = [name for name in FIELDS if name not in excepted]
    assert names == fields + [name for name in names if name in excepted - set(FIELDS)]
    assert excepted - set(FIELDS) <= set(names), "an exception that is none any more"


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_the_page_has_the_fields_of_all_units_one_after_the_other(tab: str, count: int) -> None:
    shown = components(count, tab)
    ids = [one.elem_id for one in shown]
    unseen = ("images",)  # a state has no element
    assert ids == [
        None if name in unseen else f"{tab}_faceid_{number}_{name}" for number in range(count) for name in FIELDS
    ]
    assert units_from_args([one.value for one in shown]) == [Unit()] * count


def test_the_plot_has_each_axis_for_all_units_and_for_each() -> None:
    options = axis_options(lambda label, *_args, **_choices: label, 2, {})
    labels = [FIELDS[name].label for name in axes()]
    of_units = [f"[FaceID{number}] {label}" for number in ("", " 0", " 1") for label in labels]
    assert options == of_units + [f"[FaceID] {OPTIONS[name].label}" for name in ("best_of", "likeness_target")]


# ----------------------------------------------------------------------------------------------- a value, through each
def through_the_page(name: str, value: Any) -> Any:
    values = [value if field == name else one.value for field, one in zip(FIELDS, components(), strict=True)]
    return getattr(units_from_args(values)[0], name)


def through_the_metadata(name: str, value: Any) -> Any:
    line = line_of(Unit(**{name: value}))
    return pasted({infotext_key(0): line}, 0, name)


def through_the_plot(name: str, value: Any) -> Any:
    axis, p = axes()[name], SimpleNamespace()
    axis.apply(p, axis.parse(str(value)), [])
    return getattr(with_overrides([Unit(enabled=True)], p)[0], name)


def through_the_options(name: str, value: Any) -> Any:
    person = [] if name == "person" else ["--person", "Anna"]
    text = str(value[0].image if isinstance(value, tuple) else value)  # a picture is named by its file
    typed = parser().parse_args([*person, f"--{name.replace('_', '-')}", text])
    arrived = getattr(units_of(typed.units)[0], name)
    if isinstance(arrived, tuple):
        return tuple(Photo(str(photo.image)) for photo in arrived)
    return str(arrived) if isinstance(arrived, Path) else arrived


THROUGH: Mapping[str, Callable[[str, Any], Any]] = {
    "page": through_the_page,
    "schema": lambda name, value: getattr(Unit.from_dict({name: value}), name),
    "infotext": through_the_metadata,
    "axes": through_the_plot,
    "options": through_the_options,
}


@pytest.mark.parametrize(
    ("where", "name"), [(where, name) for where in THROUGH for name in FIELDS if (where, name) not in EXCEPTIONS]
)
def test_a_value_arrives_unchanged(where: str, name: str) -> None:
    value = other(FIELDS[name])
    assert value != FIELDS[name].default
    arrived = THROUGH[where](name, value)
    assert (arrived, type(arrived)) == (value, type(value))


# ------------------------------------------------------------------------------------------------- what is said of it
@pytest.mark.parametrize("name", FIELDS)
def test_labels_defaults_bounds_and_choices_agree(name: str) -> None:
    field, told = FIELDS[name], unit_schema()["properties"][name]
    (shown,) = [one for one, of in zip(components(), FIELDS, strict=True) if of == name]
    assert told["title"] == field.label
    assert name in ("images", "mask", "negative_images", "pose") or shown.label == field.label  # a state has no label
    if name != "enabled":  # in a request, a unit with a photo or a person is on by itself
        assert told["description"] == field.help
        assert told.get("default") == (list(field.default) if isinstance(field.default, tuple) else field.default)
    if isinstance(field.kind, Range):
        assert (told["minimum"], told["maximum"]) == (field.kind.lowest, field.kind.highest)
        assert (shown.minimum, shown.maximum, shown.step) == (field.kind.lowest, field.kind.highest, field.kind.step)
    if isinstance(field.kind, tuple):
        listed = [choice[0] if isinstance(choice, tuple) else choice for choice in shown.choices]  # gradio 4 has pairs
        assert told["enum"] == axes()[name].choices() == list(field.kind)
        assert listed == COMBINE["person"] if name == "combine" else listed == list(field.kind)
