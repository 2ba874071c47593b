"""A unit is checked when it is made, and says in words what is wrong with it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from lib_faceid.errors import UnitError
from lib_faceid.units.script_args import units_from_args
from lib_faceid.units.unit import AUTO, FIELDS, Photo, Range, Unit

DEFAULTS: dict[str, Any] = {
    "enabled": False,
    "images": (),
    "person": "",
    "purpose": "person",
    "face": "largest",
    "combine": "average",
    "adapter": AUTO,
    "variant": AUTO,
    "weight": 0.8,
    "structure": 1.0,
    "lora": 0.6,
    "start": 0.0,
    "end": 1.0,
    "fade": 0.0,
    "clip_crop": "face",
    "image_crop": AUTO,
    "hires": "both",
    "weight_type": "linear",
    "layer_weights": "",
    "region": "everywhere",
    "mask": None,
    "feather": 32,
    "batch": "together",
    "negative_images": (),
    "noise": 0.0,
    "adetailer": "region",
    "adetailer_weight": 1.0,
    "net_weight": 0.8,
    "net_start": 0.0,
    "net_end": 1.0,
    "keypoints": "photo",
    "pose": None,
    "detail": 9,
}
BOUNDS = {
    "detail": (1, 27),
    "weight": (0, 2),
    "structure": (0, 3),
    "lora": (0, 1.5),
    "start": (0, 1),
    "end": (0, 1),
    "fade": (0, 0.5),
    "feather": (0, 256),
    "noise": (0, 1),
    "adetailer_weight": (0, 2),
    "net_weight": (0, 2),
    "net_start": (0, 1),
    "net_end": (0, 1),
}
NUMBERS = sorted(BOUNDS)


def made(**settings: Any) -> Unit:
    return Unit(**settings)


def test_defaults_and_their_order() -> None:
    """The order is that of the page's components and of flat API arguments."""
    assert Unit().to_dict() == DEFAULTS
    assert list(Unit().to_dict()) == list(DEFAULTS) == [one.name for one in dataclasses.fields(Unit)]


def test_every_field_is_labelled_and_explained() -> None:
    for one in dataclasses.fields(Unit):
        assert one.metadata["label"]
        assert one.metadata["help"].endswith(".")


@pytest.mark.parametrize("name", NUMBERS)
def test_bounds(name: str) -> None:
    lowest, highest = BOUNDS[name]
    allowed = FIELDS[name].kind
    assert isinstance(allowed, Range)
    assert (allowed.lowest, allowed.highest) == (lowest, highest)
    assert 0 < allowed.step <= (highest - lowest) / 10
    assert lowest <= DEFAULTS[name] <= highest
    for value in (lowest, highest, (lowest + highest) / 2):
        assert getattr(made(**{name: value}), name) == value
    for value in (lowest - 1e-6, highest + 1e-6, -1, highest + 100):
        with pytest.raises(
            UnitError, match=rf"^{name} is {value}; a number from {lowest:g} to {highest:g} was expected"
        ):
            made(**{name: value})


def test_only_numbers_have_a_range() -> None:
    assert {name for name, field in FIELDS.items() if isinstance(field.kind, Range)} == set(BOUNDS)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, True, False, "0.5", "", None, [0.5], {}, 0.5j, 10**400, -(10**400), b"1"],
    ids=lambda value: f"{type(value).__name__} {str(value)[:8]}",
)
def test_what_is_no_number_in_range(name: str, value: Any) -> None:
    with pytest.raises(UnitError, match=rf"^{name} is .+; a number from .+ was expected\.$") as caught:
        made(**{name: value})
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("value", [1, 0, "true", None, [], 1.0])
def test_enabled_is_true_or_false(value: Any) -> None:
    with pytest.raises(UnitError, match=r"^enabled is .+; true or false was expected\.$"):
        made(enabled=value)


@pytest.mark.parametrize("name", ["adapter", "variant"])
@pytest.mark.parametrize("value", [None, 1, True, ["a"], b"a"])
def test_names_are_text(name: str, value: Any) -> None:
    with pytest.raises(UnitError, match=rf"^{name} is .+; a text was expected\.$"):
        made(**{name: value})


def test_a_long_wrong_value_is_not_repeated() -> None:
    with pytest.raises(UnitError, match=r"^weight is a str; a number"):
        made(weight="x" * 10_000)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.6, 0.5), (1.0, 1.0), (1, 0)])
def test_start_comes_before_end(start: float, end: float) -> None:
    with pytest.raises(UnitError, match=rf"start is {start:g} and end is {end:g}: start must come before end"):
        Unit(enabled=True, start=start, end=end)
    Unit(enabled=False, start=start, end=end)  # half-way through the user's typing
    with pytest.raises(UnitError, match=rf"net_start is {start:g} and net_end is {end:g}: net_start must come before"):
        Unit(enabled=True, net_start=start, net_end=end)


@pytest.mark.parametrize(
    ("hires", "passes"), [("both", [True, True]), ("first", [True, False]), ("hires", [False, True])]
)
def test_the_passes_a_unit_acts_in(hires: str, passes: list[bool]) -> None:
    unit = Unit(enabled=True, person="Ada", hires=hires)
    assert [unit.acts_in(hires=second) for second in (False, True)] == passes


def test_units_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Unit().weight = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "acts"),
    [
        ({}, False),
        ({"enabled": True}, False),
        ({"images": (Photo("x"),)}, False),
        ({"enabled": True, "images": (Photo("x"),)}, True),
        ({"enabled": True, "person": "Ada"}, True),
        ({"enabled": True, "images": (Photo("x"),), "weight": 0}, False),
        ({"enabled": True, "person": "Ada", "weight": 0.0}, False),
    ],
)
def test_which_units_act(settings: dict[str, Any], acts: bool) -> None:
    assert made(**settings).acts is acts


# ------------------------------------------------------------------------------------------------------------ as a dict
def test_there_and_back_again() -> None:
    for unit in (
        Unit(),
        Unit(enabled=True, person="Ada", adapter="a.bin", variant="plus", weight=1.2, lora=0, start=0.1, end=0.9),
        Unit(images=(Photo("x"), Photo("y", 0.5))),
    ):
        assert Unit.from_dict(unit.to_dict()) == unit


def test_photos_of_a_request() -> None:
    for images in (["x"], "x", [{"image": "x"}], [{"image": "x", "weight": 1}], (Photo("x"),)):
        assert Unit.from_dict({"images": images}).images == (Photo("x"),)
    assert Unit.from_dict({"image": "x"}).images == (Photo("x"),)
    assert Unit.from_dict({"images": ["x", {"image": "y", "weight": 0.5}]}).images == (Photo("x"), Photo("y", 0.5))


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"image": "x", "images": ["y"]}, "image and images were both given"),
        ({"images": [{"picture": "x"}]}, r"has \['picture'\]; image, and perhaps weight"),
        ({"images": ["x"] * 21}, "up to 20 photos"),
        ({"images": [{"image": "x", "weight": -1}]}, "a weight from 0 to 10"),
        ({"images": [None]}, "up to 20 photos"),
        ({"combine": "sum"}, "one of average, median, tokens, concatenate, add, subtract was expected"),
        ({"hires": True}, "one of both, first, hires was expected"),
    ],
)
def test_a_request_that_cannot_be(request_: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnitError, match=sentence):
        Unit.from_dict(request_)


def test_every_field_of_a_request_is_optional() -> None:
    assert Unit.from_dict({}) == Unit()
    assert Unit.from_dict({"weight": 1}) == Unit(weight=1)


def test_a_request_with_an_image_is_on_by_itself() -> None:
    assert Unit.from_dict({"image": "x"}).enabled
    assert not Unit.from_dict({"image": "x", "enabled": False}).enabled
    assert not Unit.from_dict({"image": None}).enabled


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("wieght", r"did you mean 'weight'\?"),
        ("strukture", r"did you mean 'structure'\?"),
        ("Weight", r"did you mean 'weight'\?"),
        ("adaptor", r"did you mean 'adapter'\?"),
        ("xyz", r"fields are enabled, images, person, purpose, face, combine, adapter, variant, weight"),
        ("", "fields are"),
    ],
)
def test_an_unknown_field_is_named(field: str, hint: str) -> None:
    with pytest.raises(UnitError, match=rf"^unknown field '{field}' \(.*{hint}"):
        Unit.from_dict({field: 1, "weight": 0.5})


def test_a_request_without_text_keys() -> None:
    with pytest.raises(UnitError, match="unknown field '1'"):
        Unit.from_dict({1: 2})  # type: ignore[dict-item]


# ------------------------------------------------------------------------------------------- as a host's flat arguments
def test_flat_arguments_of_the_page() -> None:
    units = [Unit(enabled=True, images=(Photo("x"),), weight=0.3), Unit(), Unit(lora=1.5)]
    flat = [value for unit in units for value in unit.to_dict().values()]
    assert units_from_args(flat) == units
    assert units_from_args([]) == []


@pytest.mark.parametrize("count", [1, len(FIELDS) - 2, len(FIELDS) + 1])
def test_flat_arguments_of_another_version_are_refused(count: int) -> None:
    """Cut to whole units, they would be somebody else's settings or nobody's."""
    sent = [*Unit().to_dict().values(), None][:count]
    with pytest.raises(UnitError, match=rf"{count} values .* {len(FIELDS)} for each unit"):
        units_from_args(sent)


def test_dicts_of_a_request_before_the_defaults_of_the_page() -> None:
    """The WebUI fills up what a request leaves out with the page's defaults."""
    page = [value for _ in range(3) for value in DEFAULTS.values()]
    sent = [{"image": "x", "weight": 0.5}, {"image": "y"}]
    assert units_from_args([*sent, *page[2:]]) == [Unit.from_dict(values) for values in sent]


def test_the_unit_with_a_mistake_is_named() -> None:
    with pytest.raises(UnitError, match=r"^Unit 1: unknown field 'wieght' \(did you mean 'weight'\?\)$"):
        units_from_args([{"weight": 1}, {"wieght": 1}])
    flat = [*DEFAULTS.values(), *(DEFAULTS | {"weight": 9}).values()]
    with pytest.raises(UnitError, match=r"^Unit 1: weight is 9;"):
        units_from_args(flat)


# ---------------------------------------------------------------------------------------------------- weight types
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_type": "style"}, "weight_type is 'style'; one of linear, ease in, .* was expected"),
        (
            {"layer_weights": "3:2.5,6"},
            "layer_weights has '6'; a block from 0 to 15, a colon and a factor were expected",
        ),
        ({"layer_weights": "1,2"}, r"layer_weights has 2 factors; 16 \(SD 1.5\) or 11 \(SDXL\) were expected"),
        ({"layer_weights": 3}, "layer_weights is 3; a text was expected"),
    ],
)
def test_weight_types_are_checked_when_a_unit_is_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UnitError, match=message):
        made(**settings)


def test_a_unit_whose_factors_are_all_0_is_as_if_it_were_off() -> None:
    settings = {"enabled": True, "person": "Ada"}
    assert not made(**settings, layer_weights="3:0,6:0").acts
    assert made(**settings, layer_weights="3:0,6:0.1").acts
    assert made(**settings, weight_type="composition").acts


# ----------------------------------------------------------------------------------------------------------- regions
def test_a_mask_in_a_request_is_a_region_by_itself() -> None:
    assert Unit.from_dict({"image": "aGk=", "mask": "aGk="}).region == "mask"
    assert Unit.from_dict({"image": "aGk=", "mask": "aGk=", "region": "left"}).region == "left"


def test_a_region_is_written_in_one_way() -> None:
    assert made(region="  Top   LEFT ").region == "top left"


def test_a_mask_that_is_missing_is_named() -> None:
    with pytest.raises(UnitError, match=r"region is 'mask', but there is no mask\. Draw or upload one"):
        made(enabled=True, region="mask")


@pytest.mark.parametrize("region", ["lefft", "", "box 1 0 0 1"])
def test_a_region_that_is_none_is_named(region: str) -> None:
    with pytest.raises(UnitError, match=r"^region is '.*'; one of everywhere, auto, left"):
        made(region=region)
