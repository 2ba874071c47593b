"""Likeness in the legend of the WebUI's X/Y/Z plot: below each cell, and the mean of each column and row.

The plot's own function draws the cells and the grids. Where people were looked at, its grids are put together anew from
the cells with their captions, by the same functions of the WebUI; the lone pictures stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from modules import images
from PIL import Image, ImageDraw

from lib_faceid.console import say as log
from lib_faceid.hosts.webui.scores import forget_scores, scores_by_image
from lib_faceid.likeness.score import PictureScore

__all__ = ["put_likeness_into_legend"]

_ORIGINAL = "faceid_original"
CAPTION = 0.09  # of a cell's height
SMALLEST_PX = 12
INK, PAPER = "black", "white"

Place = tuple[int, int, int]
"""Column, row and sub-grid of a cell."""


def put_likeness_into_legend(plot: Any) -> None:
    """Have the plot's grids say how alike the people in their cells are. plot: its module; may be called again."""
    original = getattr(plot.draw_xyz_grid, _ORIGINAL, plot.draw_xyz_grid)

    @wraps(original)
    def drawn(p: Any, *args: Any, **named: Any) -> Any:
        if args or not named.get("draw_legend") or not {"xs", "ys", "zs", "cell"} <= named.keys():
            return original(p, *args, **named)
        seen = _Seen(tuple(len(named[name]) for name in ("xs", "ys", "zs")))
        result = original(p, **{**named, "cell": seen.watching(p, named["cell"])})
        if seen.scores and len(result.images) == seen.first + seen.count:
            _put_in(result, seen, named)
        return result

    setattr(drawn, _ORIGINAL, original)
    plot.draw_xyz_grid = drawn


@dataclass(eq=False)
class _Seen:
    """What was seen in the cells."""

    size: tuple[int, ...]
    scores: dict[Place, list[PictureScore]] = field(default_factory=dict[Place, list[PictureScore]])

    @property
    def count(self) -> int:
        """How many cells there are."""
        return self.size[0] * self.size[1] * self.size[2]

    @property
    def first(self) -> int:
        """Where the first cell stands among the plot's images: behind the whole and a grid for each z."""
        return 1 + self.size[2]

    def watching(self, p: Any, cell: Callable[..., Any]) -> Callable[..., Any]:
        """Return what draws a cell, and keeps its scores: the jobs of all cells share the parameters of `p`."""

        def drawn(x: Any, y: Any, z: Any, ix: int, iy: int, iz: int) -> Any:
            forget_scores(p)
            processed = cell(x, y, z, ix, iy, iz)
            if found := scores_by_image(p):
                self.scores[ix, iy, iz] = list(found.values())
            return processed

        return drawn

    def words(self, places: Iterable[Place]) -> str:
        """Return the mean likeness of some cells; "" where nobody was looked at."""
        pictures = [score for place in places for score in self.scores.get(place, ())]
        known = [score.likeness for score in pictures if score.likeness is not None]
        if not pictures:
            return ""
        without = f", {len(pictures) - len(known)} without" if known and len(known) < len(pictures) else ""
        return f"{sum(known) / len(known):.2f}{without}" if known else "no likeness"

    def along(self, axis: int) -> list[str]:
        """Return the words for each value of an axis."""
        return [self.words(one for one in self.scores if one[axis] == at) for at in range(self.size[axis])]


def _put_in(result: Any, seen: _Seen, named: Mapping[str, Any]) -> None:
    """Make the grids of a finished plot anew, with what was seen; and say the means."""
    columns, rows, depth = seen.size
    each = columns * rows
    labels = [_annotations(named[f"{axis}_labels"], seen.along(at), is_first=at < 2) for at, axis in enumerate("xyz")]
    places = [(ix, iy, iz) for iz in range(depth) for iy in range(rows) for ix in range(columns)]
    cells = [
        _captioned(image, seen.words([place])) for image, place in zip(result.images[seen.first :], places, strict=True)
    ]
    for iz in range(depth):
        some = cells[iz * each : (iz + 1) * each]
        grid, (width, height) = images.image_grid(some, rows=rows), _largest(some)
        result.images[1 + iz] = images.draw_grid_annotations(
            grid, width, height, labels[0], labels[1], named.get("margin_size", 0)
        )
    grids = result.images[1 : 1 + depth]
    whole = images.image_grid(grids, rows=1)
    result.images[0] = images.draw_grid_annotations(whole, *_largest(grids), labels[2], [[images.GridAnnotation()]])
    for line in _summary(seen, named):
        log(line)
        result.comments += f"{line}\n"


def _annotations(labels: Sequence[Any], words: Sequence[str], *, is_first: bool) -> list[list[Any]]:
    """Return what stands at an axis: each label, and where the axis has several values the mean below it."""
    is_told = len(labels) > 1 or (is_first and bool(labels and str(labels[0])))
    return [
        [images.GridAnnotation(str(label))] + ([images.GridAnnotation(f"likeness {mean}")] if is_told and mean else [])
        for label, mean in zip(labels, words, strict=True)
    ]


def _summary(seen: _Seen, named: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each axis that has several values."""
    lines: list[str] = []
    for at, axis in enumerate("xyz"):
        labels = [str(one) for one in named[f"{axis}_labels"]]
        if len(labels) > 1:
            means = "; ".join(
                f"{label}: {mean or 'nobody'}" for label, mean in zip(labels, seen.along(at), strict=True)
            )
            lines.append(f"FaceID: mean likeness along {axis.upper()}: {means}.")
    return lines


def _captioned(image: Image.Image, words: str) -> Image.Image:
    """Return a picture with its likeness below it; none of its pixels is covered."""
    size_px = max(SMALLEST_PX, round(image.height * CAPTION))
    found = Image.new("RGB", (image.width, image.height + size_px + size_px // 2), PAPER)
    found.paste(image, (0, 0))
    middle = (image.width / 2, image.height + found.height)
    ImageDraw.Draw(found).text((middle[0], middle[1] / 2), words, INK, images.get_font(size_px), "mm")
    return found


def _largest(pictures: Iterable[Image.Image]) -> tuple[int, int]:
    sizes = [one.size for one in pictures]
    return max(width for width, _ in sizes), max(height for _, height in sizes)
