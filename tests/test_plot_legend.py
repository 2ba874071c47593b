"""Likeness in the X/Y/Z plot's legend, with a plot that is played: captions below cells, and means."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont

from lib_faceid.likeness.meaning import LIKENESS_KEY
from lib_faceid.likeness.score import PictureScore, UnitScore
from tests.played_webui import forget_hosts, play_webui

SIZE_PX = 64


class Annotation:
    def __init__(self, text: str = "") -> None:
        self.text = text


def image_grid(pictures: list[Image.Image], rows: int) -> Image.Image:
    """What the WebUI's does: pictures of one size, row by row."""
    columns = len(pictures) // rows
    width, height = pictures[0].size
    found = Image.new("RGB", (columns * width, rows * height))
    for at, one in enumerate(pictures):
        found.paste(one, (at % columns * width, at // columns * height))
    return found


@pytest.fixture
def drawn_texts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[list[str]]]]:
    """The annotations of each grid, across and down, in the order of drawing."""
    images, texts = play_webui(monkeypatch).images, []

    def annotated(grid: Image.Image, _w: int, _h: int, across: Any, down: Any, _margin: int = 0) -> Image.Image:
        texts.append([[line.text for line in lines] for lines in (*across, *down)])
        return grid

    images.GridAnnotation, images.image_grid, images.draw_grid_annotations = Annotation, image_grid, annotated
    images.get_font = ImageFont.load_default
    yield texts
    forget_hosts()


def plot_of(likenesses: dict[tuple[int, int], float | None]) -> Any:
    """A plot's module; likenesses: of the cells (column, row) whose people are looked at."""
    scores = import_module("lib_faceid.hosts.webui.scores")

    def cell(p: Any, ix: int, iy: int) -> Image.Image:
        if (ix, iy) in likenesses:
            found = p.extra_generation_params.setdefault(LIKENESS_KEY, scores.Scores())
            found.add(0, 7, PictureScore("any", (UnitScore(0, likenesses[ix, iy]),), 1))
        return Image.new("RGB", (SIZE_PX, SIZE_PX), (10 * ix, 10 * iy, 0))

    def draw_xyz_grid(p: Any, xs: Any, ys: Any, zs: Any, cell: Any, **_: Any) -> Any:
        cells = [cell(x, y, zs[0], ix, iy, 0) for iy, y in enumerate(ys) for ix, x in enumerate(xs)]
        grid = image_grid(cells, len(ys))
        return SimpleNamespace(images=[grid, grid, *cells], comments="")

    return SimpleNamespace(draw_xyz_grid=draw_xyz_grid), lambda p: lambda _x, _y, _z, ix, iy, _iz: cell(p, ix, iy)


def draw(likenesses: dict[tuple[int, int], float | None], *, draw_legend: bool = True) -> Any:
    plot, cell_of = plot_of(likenesses)
    legend = import_module("lib_faceid.hosts.webui.plot_legend")
    legend.put_likeness_into_legend(plot)
    legend.put_likeness_into_legend(plot)  # the page is reloaded
    p = SimpleNamespace(extra_generation_params={})
    return plot.draw_xyz_grid(
        p, xs=[0.4, 0.8], ys=[7, 8], zs=[0], x_labels=["weight: 0.4", "weight: 0.8"], y_labels=["Seed: 7", "Seed: 8"],
        z_labels=[""], cell=cell_of(p), draw_legend=draw_legend, margin_size=0,
    )  # fmt: skip


def test_cells_have_captions_and_axes_their_means(drawn_texts: list[Any]) -> None:
    result = draw({(0, 0): 0.25, (1, 0): 0.5, (0, 1): 0.35, (1, 1): None})
    (grid, whole) = drawn_texts
    assert grid == [
        ["weight: 0.4", "likeness 0.30"],
        ["weight: 0.8", "likeness 0.50, 1 without"],
        ["Seed: 7", "likeness 0.38"],
        ["Seed: 8", "likeness 0.35, 1 without"],
    ]
    assert whole == [[""], [""]]
    assert "FaceID: mean likeness along X: weight: 0.4: 0.30; weight: 0.8: 0.50, 1 without." in result.comments
    assert "along Z" not in result.comments
    sizes = {one.size for one in result.images[2:]}
    assert sizes == {(SIZE_PX, SIZE_PX)}, "lone pictures stay as they are"
    rows = np.asarray(result.images[1])
    high = len(rows) // 2
    assert high > SIZE_PX
    assert (rows[:SIZE_PX, :SIZE_PX] == (0, 0, 0)).all()
    assert (rows[high : high + SIZE_PX, SIZE_PX:] == (10, 10, 0)).all()
    caption = rows[SIZE_PX:high, :SIZE_PX]
    assert (caption == 255).any(), "a strip of paper"
    assert (caption < 128).any(), "with ink on it"


def test_a_cell_without_people_has_none_of_the_one_before(drawn_texts: list[Any]) -> None:
    result = draw({(1, 0): 0.5})
    likeness = "likeness 0.50"
    assert drawn_texts[0] == [["weight: 0.4"], ["weight: 0.8", likeness], ["Seed: 7", likeness], ["Seed: 8"]]
    assert "weight: 0.4: nobody; weight: 0.8: 0.50." in result.comments


def test_without_people_or_legend_nothing_is_changed(drawn_texts: list[Any]) -> None:
    for result in (draw({}), draw({(0, 0): 0.5}, draw_legend=False)):
        assert result.images[0] is result.images[1]
        assert not result.comments
    assert not drawn_texts
