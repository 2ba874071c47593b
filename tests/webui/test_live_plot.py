"""The X/Y/Z plot in a real WebUI: its legend has the likeness of each cell, and the mean of each column and row."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from PIL import Image

from tests.webui.server import Server
from tests.webui.test_live_best import JOB, unit
from tests.webui.test_live_jobs import clean
from tests.webui.test_live_likeness import miniature, photos, scores_in

__all__ = ["miniature", "photos", "unit"]

WEIGHTS = (0.0, 0.6, 1.2)
SEEDS = (7, 8)


def test_the_legend_says_how_alike_each_cell_is(miniature: Server, unit: dict[str, object]) -> None:
    (plot,) = [
        one for one in miniature.get("/sdapi/v1/script-info") if one["name"] == "x/y/z plot" and not one["is_img2img"]
    ]
    axes = plot["args"][0]["choices"]
    across = [axes.index("[FaceID 0] Identity weight"), ", ".join(map(str, WEIGHTS)), []]
    down = [axes.index("Seed"), ", ".join(map(str, SEEDS)), []]
    arguments = [*across, *down, 0, "", [], True, True, False, True, False, False, False, 0, False]
    job = {**JOB, "steps": 6}
    answer = clean(miniature.txt2img(unit, script_name="x/y/z plot", script_args=arguments, **job))
    grid, cells = answer.images[0], answer.images[-6:]
    assert "FaceID 0: off (weight 0)" in answer.info["infotexts"][0], "the grid has the metadata of its first cell"
    if folder := os.environ.get("FACEID_SCREENSHOTS"):
        Image.fromarray(grid).save(Path(folder) / "plot.png")
    alike = np.array([[one["likeness"] for one in scores_in(answer) if one["seed"] == seed] for seed in SEEDS])
    assert alike.shape == (2, 2), "at weight 0 there is nobody to look for"
    means = {f"[FaceID 0] Identity weight: {weight}": alike[:, at].mean() for at, weight in enumerate(WEIGHTS[1:])}
    means |= {f"Seed: {seed}": alike[at].mean() for at, seed in enumerate(SEEDS)}
    for label, mean in means.items():
        assert f"{label}: {mean:.2f}" in answer.log, (label, mean)
    # The lone pictures are what they are without a plot; the grid has room below each for its caption.
    alone = clean(miniature.txt2img({**unit, "weight": 0.6}, **{**job, "seed": 7}))
    assert np.array_equal(cells[1], alone.images[0])
    assert grid.shape[0] > 2 * (cells[0].shape[0] + 12)
    assert any(np.array_equal(grid[y : y + 128, x : x + 128], cells[1]) for y, x in corners(grid, cells[1]))


def test_the_best_of_one_and_of_four_are_plotted_beside_each_other(miniature: Server, unit: dict[str, object]) -> None:
    (plot,) = [
        one for one in miniature.get("/sdapi/v1/script-info") if one["name"] == "x/y/z plot" and not one["is_img2img"]
    ]
    axes = plot["args"][0]["choices"]
    across = [axes.index("[FaceID] Best of"), "4, 1", []]
    down = [axes.index("[FaceID] Likeness target"), "0, 0.01", []]
    arguments = [*across, *down, 0, "", [], True, True, False, True, False, False, False, 0, False]
    job = {**JOB, "steps": 6}
    answer = clean(miniature.txt2img(unit, script_name="x/y/z plot", script_args=arguments, **job))
    texts = answer.info["infotexts"][-4:]
    assert [re.findall(r"tried: (\d+)", text) for text in texts] == [["4"], [], ["1"], []], "the easy target takes one"
    best, alone = scores_in(answer)[:2]
    assert best["likeness"] >= alone["likeness"]
    assert f"[FaceID] Best of: 4: {best['likeness']:.2f}"[:-3] in answer.log
    assert "mean likeness along Y: [FaceID] Likeness target: 0" in answer.log


def corners(grid: np.ndarray, cell: np.ndarray) -> list[tuple[int, int]]:
    """Where a cell may begin in a grid: its first pixels are there."""
    height, width = cell.shape[:2]
    found = np.argwhere((grid[: -height + 1, : -width + 1] == cell[0, 0]).all(axis=2))
    return [(int(y), int(x)) for y, x in found]
