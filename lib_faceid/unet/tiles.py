"""Which part of the picture a UNet call shows, where another extension draws the picture in tiles."""

from __future__ import annotations

from collections.abc import Sequence

from lib_faceid.units.region import WHOLE, Box

__all__ = ["Tiles"]


class Tiles:
    """The UNet calls of one step of the denoiser, in their order, and where in the picture each of them is."""

    def __init__(
        self,
        canvas: tuple[int, int] | None = None,
        batches: Sequence[Sequence[Box]] = (),
        places: Sequence[Box] = (),
    ) -> None:
        """Take the size of the whole picture and its tiles; without a size, whatever comes is the whole.

        canvas: height and width of the latents; batches: the tiles of the first call, of the second, ..., in fractions
        of the picture. After the last the first comes again: all are drawn anew for each part of the conditioning.
        places: parts that are drawn in calls between these, which name them by number, from 1.
        """
        self._canvas = canvas
        self._batches = batches
        self._places = places
        self._calls = 0
        self._rows_of_tile = 0

    @property
    def has_places(self) -> bool:
        """Whether there are calls that name their place."""
        return bool(self._places)

    def next_parts(self, size: tuple[int, int], rows: int, place: int = 0) -> Sequence[Box] | None:
        """Return the parts that the coming call shows, each in as many rows as the others; None where not known.

        size: height and width of the call's latents; rows: how many it has; place: the one that it names, or 0.
        """
        if place:
            return self._places[place - 1 : place] or None
        if self._canvas is None or size == self._canvas:
            return (WHOLE,)
        if not self._batches:
            return None
        at = self._calls % len(self._batches)
        parts = self._batches[at]
        self._calls += 1
        each, rest = divmod(rows, len(parts))
        if at == 0:
            self._rows_of_tile = each
        fits = all(_size(part, self._canvas) == size for part in parts)
        return parts if fits and each == self._rows_of_tile and not rest else None


def _size(part: Box, canvas: tuple[int, int]) -> tuple[int, int]:
    return round((part.bottom - part.top) * canvas[0]), round((part.right - part.left) * canvas[1])
