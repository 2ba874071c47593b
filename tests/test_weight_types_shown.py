"""What page and documentation show of the weight types is what the table says."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
import unets

from lib_faceid.ui.layer_plot import plot
from lib_faceid.unet.blocks import block_numbers
from lib_faceid.unet.layers import attention_layers
from lib_faceid.units.layer_weights import LayerWeights
from lib_faceid.units.weight_types import BLOCKS, WEIGHT_TYPES

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "WEIGHT_TYPES.md"
SHEET = DOCS / "weight_types.svg"


# ----------------------------------------------------------------------------------------------------------- the plot
def bars(svg: str) -> dict[int, tuple[float, bool, float]]:
    """block -> height, whether it is an outline, and its upper end, in pixels."""
    found: dict[int, tuple[float, bool, float]] = {}
    for rect in ET.fromstring(svg).iter("rect"):  # noqa: S314 - our own picture
        hint = rect.findtext("title") or ""
        number = int(re.findall(r"block (\d+)", hint)[0])
        found[number] = float(rect.attrib["height"]), rect.attrib["class"] == "faceid-swapped", float(rect.attrib["y"])
    return found


@pytest.mark.parametrize("family", BLOCKS)
@pytest.mark.parametrize("name", WEIGHT_TYPES)
def test_the_bars_are_as_high_as_the_factors(name: str, family: str) -> None:
    one = WEIGHT_TYPES[name]
    shown = bars(plot(family, one.factors[family], one.swapped[family]))
    assert shown.keys() == {t for t, factor in enumerate(one.factors[family]) if factor}
    tallest = max(height for height, _, _ in shown.values())
    largest = max(one.factors[family])
    for t, (height, is_swapped, _) in shown.items():
        assert is_swapped == (t in one.swapped[family])
        assert height / tallest == pytest.approx(one.factors[family][t] / largest, abs=0.04)


def test_factors_below_0_hang_below_the_line() -> None:
    shown = bars(plot("SDXL", LayerWeights(own="3:2,6:-1").factors("SDXL"), ()))
    assert shown.keys() == {3, 6}
    (up, _, top), (down, _, below) = shown[3], shown[6]
    assert up == pytest.approx(2 * down)
    assert below == pytest.approx(top + up)


def test_the_plot_says_in_words_what_it_shows() -> None:
    one = WEIGHT_TYPES["style transfer precise"]
    told = ET.fromstring(plot("SDXL", one.factors["SDXL"], one.swapped["SDXL"])).attrib  # noqa: S314 - our own picture
    assert told["role"] == "img"
    assert told["aria-label"].startswith("Factors for SDXL: input block 0 0, ")
    assert "input block 3 1 swapped, middle block 4 0" in told["aria-label"]
    assert told["aria-label"].endswith("output block 10 0.")


# ----------------------------------------------------------------------------------------------------------- the page
def test_the_page_says_and_shows_what_the_settings_do() -> None:
    shown = pytest.importorskip("lib_faceid.ui.layer_weights", reason="gradio").shown
    assert "Strong at first" in shown("ease in", "")
    assert shown("ease in", "").count("<svg") == 2
    assert "Dashed" not in shown("ease in", "")
    assert "Dashed blocks are swapped" in shown("composition precise", "")
    assert "take the type&#x27;s place. Dashed" in shown("composition precise", "3:1")
    assert "Every factor is 0" in shown("linear", "3:0")
    assert shown("linear", "3:1,14:1").count("<svg") == 1
    assert "names block 14, and SDXL has blocks 0 to 10" in shown("linear", "3:1,14:1")
    for wrong in (shown("linear", "<b>,1:1"), shown(None, "3:x")):
        assert "<svg" not in wrong
        assert "faceid-warning" in wrong
        assert "<b>" not in wrong


# -------------------------------------------------------------------------------------------------- the documentation
def types_table() -> str:
    head = "| weight type | what it does | factor of block t |\n|---|---|---|\n"
    rows = (
        f"| `{one.name}` | {one.does} | {one.formula.replace('|', chr(92) + '|')} |\n" for one in WEIGHT_TYPES.values()
    )
    return head + "".join(rows)


def blocks_table() -> str:
    head = "| block | SD 1.5 | in diffusers | SDXL | in diffusers |\n|---|---|---|---|---|\n"
    columns = [named for family in BLOCKS for named in (names(family, "ldm"), names(family, "diffusers"))]
    rows = (
        "| " + " | ".join([str(t), *(f"`{column[t]}`" if t < len(column) else "" for column in columns)]) + " |\n"
        for t in range(16)
    )
    return head + "".join(rows)


def names(family: str, kind: str) -> list[str]:
    """The name of each block in the UNets of the WebUI (ldm, sgm), or of diffusers."""
    unet = unets.published_names({"SD 1.5": "sd15", "SDXL": "sdxl"}[family])
    layers = attention_layers(unet)
    numbers, _ = block_numbers(layers)
    found = {numbers[layer.index]: layer.block for layer in layers if layer.is_cross}
    return [found[t] if kind == "ldm" else DIFFUSERS[family][t] for t in sorted(found)]


_UP = {
    "SD 1.5": [(level, t) for level in (1, 2, 3) for t in range(3)],
    "SDXL": [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)],
}
_DOWN = {"SD 1.5": [(level, t) for level in (0, 1, 2) for t in range(2)], "SDXL": [(1, 0), (1, 1), (2, 0), (2, 1)]}
DIFFUSERS = {
    family: [
        *(f"down_blocks.{level}.attentions.{t}" for level, t in _DOWN[family]),
        "mid_block.attentions.0",
        *(f"up_blocks.{level}.attentions.{t}" for level, t in _UP[family]),
    ]
    for family in BLOCKS
}


def sheet() -> str:
    """All types as one picture."""
    row, column = 104, 300
    style = (
        "text{fill:#6b7280;font:10px sans-serif;text-anchor:middle}.name{font-size:13px;text-anchor:start;fill:#6b7280}"
        ".faceid-mark{text-anchor:end}.faceid-factor{fill:#16a34a}line{stroke:#6b7280}"
        ".faceid-swapped{fill:none;stroke:#ca8a04;stroke-width:1.5;stroke-dasharray:3 2}"
    )
    drawn = ""
    for at, one in enumerate(WEIGHT_TYPES.values()):
        drawn += f'<text class="name" x="4" y="{at * row + 14}">{one.name}</text>\n'
        for place, family in enumerate(BLOCKS):
            chart = plot(family, one.factors[family], one.swapped[family])
            drawn += chart.replace("<svg ", f'<svg x="{4 + place * column}" y="{at * row + 18}" ', 1) + "\n"
    size = f"0 0 {2 * column - 90} {len(WEIGHT_TYPES) * row}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}"><style>{style}</style>\n{drawn}</svg>\n'


@pytest.mark.parametrize(("mark", "table"), [("types", types_table), ("blocks", blocks_table)])
def test_the_documentation_is_that_of_the_table(mark: str, table: Callable[[], str]) -> None:
    """With FACEID_WRITE_README=1 the table is put there instead."""
    first, last = f"<!-- {mark}: generated from lib_faceid/units/weight_types.py -->\n", f"<!-- /{mark} -->"
    before, rest = PAGE.read_text("utf-8").split(first)
    found, after = rest.split(last)
    if os.environ.get("FACEID_WRITE_README"):
        PAGE.write_text(before + first + table() + last + after, "utf-8")
    else:
        assert found == table()


def test_the_picture_is_that_of_the_table() -> None:
    """With FACEID_WRITE_README=1 it is drawn instead."""
    if os.environ.get("FACEID_WRITE_README"):
        SHEET.write_text(sheet(), "utf-8")
    assert SHEET.read_text("utf-8") == sheet()
