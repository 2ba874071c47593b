"""One contract: what a unit has, the page shows, the API takes, the metadata tell and the X/Y/Z plot can vary.

Everything here follows `FIELDS`. Whatever is not everywhere stands in EXCEPTIONS, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest

from lib_faceid.unit import FIELDS, Field, Photo, Range, Unit, units_from_args
from lib_faceid.units.infotext import infotext_key, pasted, unit_to_infotext
from lib_faceid.units.overrides import with_overrides
from lib_faceid.units.schema import unit_schema
from lib_faceid.xyz import axis_options

gr = pytest.importorskip("gradio")

from lib_faceid.page.units import Services, unit_components  # noqa: E402

# (where, name): why the unit's field is not there, or why there is a name that is no field.
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("schema", "image"): "short for images with one photo",
    ("infotext", "enabled"): "a line that is there is of a unit that is on",
    ("infotext", "images"): "a picture does not carry the photos: refs does",
    ("infotext", "person"): "a picture tells nobody who is in it",
    ("infotext", "refs"): "short hashes of the photos, by which they are found again",
    ("infotext", "algo"): "which version drew it",
    ("axes", "images"): "nobody types a photo",
}
# A second value for each field that does not say by itself what else it takes.
OTHERS: Mapping[str, Any] = {"images": (Photo("aGk="),), "face": "2"}


def other(field: Field) -> Any:
    """A value that the field takes, and that is not its default."""
    if field.name in OTHERS:
        return OTHERS[field.name]
    if isinstance(field.kind, Range):
        bound = field.kind.lowest if field.default > field.kind.lowest else field.kind.highest
        return round(field.default + (bound - field.default) / 4, 3)  # a quarter: start must stay before end
    if isinstance(field.kind, tuple):
        return next(choice for choice in field.kind if choice != field.default)
    return not field.default if field.kind is bool else f"other {field.name}"


def other_unit() -> Unit:
    return Unit(**{name: other(field) for name, field in FIELDS.items()})


@lru_cache
def components(count: int = 1, tab: str = "txt2img") -> list[Any]:
    with gr.Blocks():
        return unit_components(tab, Services(), count)  # every service of `Services()` raises: none is asked


def axes() -> dict[str, Any]:
    """The axes of unit 0, by the field whose label they carry."""

    def make(label: str, parse: Any, apply: Any, choices: Any) -> Any:
        return SimpleNamespace(label=label, parse=parse, apply=apply, choices=choices)

    named = {f"[FaceID 0] {field.label}": name for name, field in FIELDS.items()}
    mine = [option for option in axis_options(make, 1, {}) if "[FaceID 0]" in option.label]
    return {named.get(str(option.label), ""): option for option in mine}


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
    wanted = [f"{tab}_faceid_{number}_{name}" for number in range(count) for name in FIELDS]
    assert ids == [None if name.endswith("_images") else name for name in wanted]  # a state has no element
    assert units_from_args([one.value for one in shown]) == [Unit()] * count


def test_the_plot_has_each_axis_for_all_units_and_for_each() -> None:
    options = axis_options(lambda label, *_args, **_choices: label, 2, {})
    labels = [FIELDS[name].label for name in axes()]
    assert options == [f"[FaceID{number}] {label}" for number in ("", " 0", " 1") for label in labels]


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


THROUGH: Mapping[str, Callable[[str, Any], Any]] = {
    "page": through_the_page,
    "schema": lambda name, value: getattr(Unit.from_dict({name: value}), name),
    "infotext": through_the_metadata,
    "axes": through_the_plot,
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
    assert name == "images" or shown.label == field.label
    if name != "enabled":  # in a request, a unit with a photo or a person is on by itself
        assert told["description"] == field.help
        assert told["default"] == (list(field.default) if isinstance(field.default, tuple) else field.default)
    if isinstance(field.kind, Range):
        assert (told["minimum"], told["maximum"]) == (field.kind.lowest, field.kind.highest)
        assert (shown.minimum, shown.maximum, shown.step) == (field.kind.lowest, field.kind.highest, field.kind.step)
    if isinstance(field.kind, tuple):
        listed = [choice[0] if isinstance(choice, tuple) else choice for choice in shown.choices]  # gradio 4 has pairs
        assert told["enum"] == listed == axes()[name].choices() == list(field.kind)
