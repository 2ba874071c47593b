"""Weight types and a user's own factors: what each block gets, and what a wrong text is told."""

from __future__ import annotations

import pytest

from lib_faceid.errors import MismatchError, UnitError
from lib_faceid.units.layer_weights import LayerWeights, read_factors
from lib_faceid.units.weight_types import BLOCKS, WEIGHT_TYPES

BLOCK_COUNT = {"SD 1.5": 16, "SDXL": 11}
MIDDLE = {"SD 1.5": 6, "SDXL": 4}
ALL_BUT = {"SD 1.5": {*range(4), *range(6, 16)}, "SDXL": {*range(3), *range(4, 11)}}

# Written out from the formulas of ComfyUI_IPAdapter_plus (commit 9d076a3), once more and in another way than the table.
STYLE = {"SD 1.5": dict.fromkeys([0, 1, 2, 3, 9, 10, 11, 12, 13, 14, 15], 1.0), "SDXL": {6: 1.0}}
COMPOSITION = {"SD 1.5": {4: 0.25, 5: 1.0}, "SDXL": {3: 1.0}}
STRONG_STYLE = {
    "SD 1.5": dict.fromkeys([0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], 1.0),
    "SDXL": dict.fromkeys([0, 1, 2, 4, 5, 6, 7, 8, 9, 10], 1.0),
}
PRECISE_COMPOSITION = {
    "SD 1.5": {0: 1, 1: 1, 2: 1, 3: 1, 4: 0.25, 5: 1, 6: 0.1, 7: 0.1, 8: 0.1, 9: 1, 10: 1, 11: 1, 12: 1, 13: 1, 14: 1}
    | {15: 1},
    "SDXL": {0: 0.1, 1: 0.1, 2: 0.1, 3: 1, 4: 0.1, 5: 0.1, 6: 1, 7: 0.1, 8: 0.1, 9: 0.1, 10: 0.1},
}


def expected(name: str, family: str) -> list[float]:
    count, middle = BLOCK_COUNT[family], MIDDLE[family]
    blocks = range(count)
    half = count / 2
    both = STYLE[family] | COMPOSITION[family]
    table = {
        "linear": [1.0 for _ in blocks],
        "ease in": [0.05 + 0.95 * (1 - t / count) for t in blocks],
        "ease out": [0.05 + 0.95 * (t / count) for t in blocks],
        "ease in-out": [0.05 + 0.95 * (1 - abs(t - half) / half) for t in blocks],
        "reverse in-out": [0.05 + 0.95 * (abs(t - half) / half) for t in blocks],
        "weak input": [0.2 if t < middle else 1.0 for t in blocks],
        "weak output": [0.2 if t > middle else 1.0 for t in blocks],
        "weak middle": [0.2 if t == middle else 1.0 for t in blocks],
        "strong middle": [1.0 if t == middle else 0.2 for t in blocks],
        "style transfer": [STYLE[family].get(t, 0.0) for t in blocks],
        "composition": [COMPOSITION[family].get(t, 0.0) for t in blocks],
        "strong style transfer": [STRONG_STYLE[family].get(t, 0.0) for t in blocks],
        "style and composition": [both.get(t, 0.0) for t in blocks],
        "style transfer precise": [both.get(t, 0.0) for t in blocks],
        "composition precise": [PRECISE_COMPOSITION[family].get(t, 0.0) for t in blocks],
    }
    return table[name]


PEERS = (
    "linear, ease in, ease out, ease in-out, reverse in-out, weak input, weak output, weak middle, strong middle, "
    "style transfer, composition, strong style transfer, style and composition, style transfer precise, "
    "composition precise"
)


def test_the_fifteen_types_have_the_names_and_the_order_of_the_peers() -> None:
    assert ", ".join(WEIGHT_TYPES) == PEERS


@pytest.mark.parametrize("family", BLOCKS)
@pytest.mark.parametrize("name", PEERS.split(", "))
def test_factors_are_those_of_the_peers(name: str, family: str) -> None:
    assert WEIGHT_TYPES[name].factors[family] == pytest.approx(expected(name, family))
    assert LayerWeights(name).factors(family) == WEIGHT_TYPES[name].factors[family]


def test_only_the_precise_types_swap_sides() -> None:
    swapping = {name: one.swapped for name, one in WEIGHT_TYPES.items() if any(one.swapped.values())}
    assert swapping == {
        "style transfer precise": {"SD 1.5": {4, 5}, "SDXL": {3}},
        "composition precise": ALL_BUT,
    }


def test_blocks_are_counted_as_they_are_run() -> None:
    assert BLOCKS["SD 1.5"] == (*["input"] * 6, "middle", *["output"] * 9)
    assert BLOCKS["SDXL"] == (*["input"] * 4, "middle", *["output"] * 6)


def test_every_type_says_what_it_does_in_one_line() -> None:
    told = [one.does for one in WEIGHT_TYPES.values()]
    assert len(set(told)) == len(told)
    assert all(line.endswith(".") and len(line) <= 100 and "\n" not in line for line in told)


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("3:2.5,6:1", {3: 2.5, 6: 1.0}),
        (" 3 : 2.5 , 6:-1 ", {3: 2.5, 6: -1.0}),
        ("15:.5", {15: 0.5}),
        ("0:0,1:5", {0: 0.0, 1: 5.0}),
        (", ".join(["1"] * 11), (1.0,) * 11),
        ("0.5," * 15 + "+2", (0.5,) * 15 + (2.0,)),
        ("", ()),
        ("  ", ()),
    ],
)
def test_texts_that_are_right(text: str, factors: object) -> None:
    assert read_factors(text) == factors


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1,2,3", r'3 factors; 16 \(SD 1.5\) or 11 \(SDXL\) were expected.*"3:2.5,6:1"'),
        ("0.5", "1 factors"),
        ("3:", "factor ''; a number from -5 to 5"),
        ("3:2.5,", "has ''; a block from 0 to 15"),
        ("3:2.5,6", "has '6'; a block from 0 to 15"),
        ("3:2,3:2", "block 3 twice"),
        ("16:1", "has '16:1'; a block from 0 to 15"),
        ("-1:1", "has '-1:1'; a block"),
        ("3:nan", "factor 'nan'"),
        ("3:inf", "factor 'inf'"),
        ("3:1e9", "factor '1e9'"),
        ("3:5.1", "factor '5.1'"),
        ("3:1_0", "factor '1_0'"),
        ("3:٣", "factor '٣'"),
        ("٣:1", "has '٣:1'"),
        ("3:2:1", "factor '2:1'"),
        (",".join(["1"] * 15 + ["x"]), "factor 'x'"),
        ("3:1;6:1", "factor '1;6:1'"),
    ],
)
def test_texts_that_are_wrong_are_told_what_is_right(text: str, told: str) -> None:
    with pytest.raises(UnitError, match=f"layer_weights has .*{told}" if "has" not in told else told):
        read_factors(text)


def test_own_factors_take_the_place_of_the_types() -> None:
    assert LayerWeights("ease in", "3:2.5,6:1").factors("SDXL") == (0, 0, 0, 2.5, 0, 0, 1, 0, 0, 0, 0)
    sixteen = ",".join(map(str, range(-3, 5))) + ",0" * 8
    assert LayerWeights("composition", sixteen).factors("SD 1.5") == (*range(-3, 5), *[0] * 8)


def test_a_precise_type_swaps_its_blocks_whatever_the_factors() -> None:
    assert LayerWeights("style transfer precise", "3:2,6:1").swapped("SDXL") == {3}
    assert LayerWeights("style transfer", "3:2,6:1").swapped("SDXL") == set()


def test_factors_for_another_family_are_refused() -> None:
    with pytest.raises(MismatchError, match="names block 15, and SDXL has blocks 0 to 10"):
        LayerWeights(own="3:1,15:1").factors("SDXL")
    with pytest.raises(MismatchError, match="has 16 factors, and SDXL has 11 blocks"):
        LayerWeights(own=",".join("1" * 16)).factors("SDXL")
    with pytest.raises(MismatchError, match=r"has 11 factors, and SD 1.5 has 16 blocks"):
        LayerWeights(own=",".join("1" * 11)).factors("SD 1.5")


def test_nothing_but_zeros_does_nothing() -> None:
    assert not LayerWeights(own="3:0,6:0.0").acts
    assert not LayerWeights(own=",".join("0" * 11)).acts
    assert LayerWeights(own="3:0,6:0.1").acts
    assert all(LayerWeights(name).acts for name in WEIGHT_TYPES)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnitError, match="weight_type is 'ease'; one of linear, ease in"):
        LayerWeights("ease")
