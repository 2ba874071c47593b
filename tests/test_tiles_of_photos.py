"""A face of 40 px is found wherever it lies in a large photo, and how long that takes has a bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from lib_faceid.faces.analyser import FaceAnalyser, largest
from lib_faceid.faces.geometry import Floats, View
from lib_faceid.faces.search import VIEWS, Sighting, search_photo
from lib_faceid.faces.tiles import MAX_TILES, MIN_FACE_PX, SEEN_PX, TILE_PX, WHOLE_PX, Tile, is_large, tiles_of

SIZES = (
    (1080, 12_000), (12_000, 9_000), (10_000, 11_000), (32_000, 3_400), (65_535, 1_678), (4_000, 3_000), (1_500, 1_100),
    (65_535, 40),
)  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_every_face_is_whole_and_large_enough_in_a_tile(size: tuple[int, int]) -> None:
    """Faces of every size from 40 px on, at random places: 28 px in a tile that holds them wholly, or in the whole."""
    tiles = list(tiles_of(size))
    assert 0 < len(tiles) <= MAX_TILES
    assert all(tile.size_px <= TILE_PX and tile.size_px % 32 == 0 for tile in tiles)
    random = np.random.default_rng(0)
    for _ in range(300):
        side = min(float(MIN_FACE_PX * 2 ** random.uniform(0, 6)), *size)
        x, y = (random.uniform(0, edge - side) for edge in size)
        seen = max(
            [side * WHOLE_PX / max(size)]
            + [
                side * tile.scale
                for tile in tiles
                if tile.left <= x and tile.top <= y and x + side <= tile.right and y + side <= tile.bottom
            ]
        )
        assert seen >= min(SEEN_PX, side * 0.7) * 0.85, (side, x, y)


def test_small_photos_are_looked_at_whole() -> None:
    assert not is_large((1024, 1024))
    assert is_large((1100, 200))


class Counted:
    """A photo without a face, which counts how often it is looked at."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        self.size_px = size_px
        self.views = self.tiles = self.pixels = 0

    def view(self, view: View, quarter_turns: int) -> Sighting:
        self.views += 1
        return Sighting.nothing()

    def tile(self, tile: Tile, quarter_turns: int) -> Sighting:
        self.tiles += 1
        self.pixels += tile.size_px**2
        return Sighting.nothing()

    def around(self, box: Floats, quarter_turns: int) -> Sighting:
        raise AssertionError("there is nobody to look at")


@pytest.mark.parametrize("size", SIZES)
def test_the_bound(size: tuple[int, int]) -> None:
    """Without a face: every view and every tile in four rotations, and no more."""
    photo = Counted(size)
    assert search_photo(photo).best_score == 0
    assert photo.views == 4 * len(VIEWS)
    assert photo.tiles <= 4 * MAX_TILES
    assert photo.pixels <= 4 * MAX_TILES * TILE_PX**2


@pytest.mark.parametrize("place", [(28, 5500), (0, 0), (600, 11_500)])
@pytest.mark.parametrize("size", [200, 512, 1024])
def test_in_a_long_screenshot(
    place: tuple[int, int], size: int, analyser: FaceAnalyser, photo: Callable[[str], np.ndarray]
) -> None:
    """The astronaut's face has 46, 120 and 240 px; what is found is the same person in the same place."""
    small = np.asarray(Image.fromarray(photo("astronaut.png")).resize((size, size), Image.Resampling.LANCZOS))
    long = np.linspace(90, 160, 1080)[None, :, None] + np.random.default_rng(0).normal(0, 4, (12_000, 1080, 1))
    long = long.clip(0, 255).astype(np.uint8).repeat(3, axis=2)
    x, y = min(place[0], 1080 - size), min(place[1], 12_000 - size)
    long[y : y + size, x : x + size] = small
    (face,), expected = analyser.detect(long), largest(analyser.detect(small))
    assert np.allclose(face.points - (x, y), expected.points, atol=0.06 * expected.size_px)
    a, b = face.id_embedding, expected.id_embedding
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.8
