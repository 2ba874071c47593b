"""What encoders are shown of a reference image: square, padded, whole, face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPImageProcessor

from lib_faceid.encoders.clip_vision import preprocess
from lib_faceid.encoders.crops import CROPS, Crop, around_face, crop, padded, square, whole
from lib_faceid.errors import NoFaceError, PhotoError, UnitError

Pixels = NDArray[np.uint8]
RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)
BOX = (10.0, 10.0, 30.0, 40.0)
sizes = pytest.mark.parametrize("size", [(300, 200), (200, 300), (224, 224), (37, 91), (1, 1), (3, 900), (900, 3)])


def noise(height_px: int, width_px: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), np.uint8)


def stripes(*colours: tuple[int, int, int], width_px: int = 100, height_px: int = 100) -> Pixels:
    """Columns of plain colours, side by side."""
    return np.concatenate([np.full((height_px, width_px, 3), colour, np.uint8) for colour in colours], axis=1)


@sizes
@pytest.mark.parametrize("how", CROPS)
def test_each_gives_the_square_that_clip_is_given(how: Crop, size: tuple[int, int]) -> None:
    image_rgb = noise(*size)
    before = image_rgb.copy()
    made = crop(image_rgb, how, [BOX])
    assert (made.shape, made.dtype) == ((224, 224, 3), np.uint8)
    assert np.array_equal(image_rgb, before)
    assert np.array_equal(square(made), made), "the preprocessing changes nothing about it"
    assert crop(image_rgb, how, [BOX], 384).shape == (384, 384, 3)


@pytest.mark.parametrize("size", [(300, 200), (333, 500), (91, 37), (80, 640)])
def test_square_is_the_crop_of_transformers(size: tuple[int, int]) -> None:
    image_rgb = noise(*size)
    expected = CLIPImageProcessor()(image_rgb, return_tensors="pt")["pixel_values"][0]
    for seen in (image_rgb, square(image_rgb)):
        assert torch.allclose(preprocess(seen), expected, rtol=0, atol=1e-6)
    for other in (padded(image_rgb), whole(image_rgb)):
        assert not torch.allclose(preprocess(other), expected, rtol=0, atol=0.1)


def test_square_is_the_middle() -> None:
    assert np.unique(square(stripes(RED, GREEN, BLUE))[:, 4:-4].reshape(-1, 3), axis=0).tolist() == [list(GREEN)]
    upright = square(np.rot90(stripes(RED, GREEN, BLUE)))
    assert np.unique(upright[4:-4].reshape(-1, 3), axis=0).tolist() == [list(GREEN)]


@pytest.mark.parametrize("size", [(2, 60_000), (60_000, 2)])
def test_a_line_does_not_fill_the_memory(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Resized as a whole it would have 224 by 6.7 million pixels."""
    image_rgb = noise(*size)
    asked: list[tuple[int, int]] = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, size, how: asked.append(size) or resize(self, size, how))
    assert preprocess(image_rgb).shape == (3, 224, 224)
    assert len(asked) == 1
    assert max(asked[0]) == 8 * 224


@pytest.mark.parametrize("turn", [0, 1])
def test_padded_has_bars_and_the_whole_picture(turn: int) -> None:
    wide = np.rot90(stripes(RED, GREEN), turn)
    made = np.rot90(padded(np.ascontiguousarray(wide)), -turn)
    assert not made[:56].any()
    assert not made[-56:].any()
    assert made[56:-56, 4:108].reshape(-1, 3).tolist() == [list(RED)] * (112 * 104)
    assert made[56:-56, 116:-4].reshape(-1, 3).tolist() == [list(GREEN)] * (112 * 104)


def test_padded_keeps_a_line() -> None:
    assert padded(np.full((1, 5000, 3), RED, np.uint8))[111:113].any()


def test_whole_squeezes() -> None:
    made = whole(stripes(RED, GREEN))
    assert made[:, :108].reshape(-1, 3).tolist() == [list(RED)] * (224 * 108)
    assert made[:, 116:].reshape(-1, 3).tolist() == [list(GREEN)] * (224 * 108)
    image_rgb = noise(50, 70)
    assert np.array_equal(made, np.array(Image.fromarray(stripes(RED, GREEN)).resize((224, 224), 3)))
    assert np.array_equal(whole(image_rgb), np.array(Image.fromarray(image_rgb).resize((224, 224), 3)))


def cut(left: int, top: int, side: int) -> Callable[[Pixels], Pixels]:
    return lambda image_rgb: whole(image_rgb[top : top + side, left : left + side])


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(100.0, 80.0, 150.0, 130.0)], cut(85, 65, 80)),  # 1.6 times as much, around its middle
        ([(100.0, 80.0, 140.0, 130.0)], cut(80, 65, 80)),  # the longer side counts
        ([(0.0, 0.0, 5.0, 5.0), (100.0, 80.0, 150.0, 130.0), (20.0, 20.0, 60.0, 60.0)], cut(85, 65, 80)),  # the largest
        ([(0.0, 0.0, 50.0, 50.0)], cut(0, 0, 80)),  # moved into the picture
        ([(270.0, 170.0, 320.0, 220.0)], cut(220, 120, 80)),
        ([(20.0, -30.0, 220.0, 190.0)], cut(20, 0, 200)),  # as large as the picture allows
        ([(400.0, 300.0, 450.0, 350.0)], cut(220, 120, 80)),
    ],
)
def test_face_is_around_the_largest_one(
    boxes: list[tuple[float, float, float, float]], expected: Callable[[Pixels], Pixels]
) -> None:
    image_rgb = noise(200, 300)
    assert np.array_equal(around_face(image_rgb, boxes), expected(image_rgb))
    assert np.array_equal(crop(image_rgb, "face", boxes), expected(image_rgb))


def test_what_cannot_be_cropped_is_named() -> None:
    with pytest.raises(NoFaceError, match=r"no face was found in this image\. Use 'square'"):
        crop(noise(50, 50), "face")
    with pytest.raises(UnitError, match="crop is 'round'; one of square, padded, whole, face was expected"):
        crop(noise(50, 50), "round")  # pyright: ignore[reportArgumentType]
    for how in CROPS:
        with pytest.raises(PhotoError, match="uint8"):
            crop(np.zeros((5, 5), np.uint8), how, [BOX])  # pyright: ignore[reportArgumentType]
