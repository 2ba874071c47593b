"""The world that the miniature is trained on: people who are nobody, the same for the same seed, in groups apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from lib_faceid.faces.geometry import TEMPLATE
from training.captions import COLOURS_RGB
from training.people import KEPT_BACK, PARENTS
from training.strangers import CANVAS_PX, IMPORTANCE, MOST_OF_ONE, Parent, _shares, canvas_points, make_stranger
from training.world import (
    DRAWING,
    PHOTO_PX,
    SIZE_PX,
    draw_picture,
    make_sittings,
    make_world,
    sit,
    stranger,
    take_photo,
)

if TYPE_CHECKING:
    from training.recogniser import Recogniser


def parent(seed: int) -> Parent:
    generator = np.random.default_rng(seed)
    points = canvas_points(TEMPLATE) + generator.normal(0, 2, (5, 2))
    return Parent(f"parent {seed}", generator.uniform(0, 255, (CANVAS_PX, CANVAS_PX)), points)


@pytest.fixture(scope="module")
def parents() -> list[Parent]:
    return [parent(seed) for seed in range(5)]


class Means:
    """A recogniser that sees the mean colour."""

    def embeddings(self, crops_rgb: np.ndarray) -> np.ndarray:
        return crops_rgb.reshape(len(crops_rgb), -1, 3).mean(1).astype(np.float32)


def test_the_same_number_is_the_same_person_and_groups_are_apart(parents: list[Parent]) -> None:
    first, again = (stranger(parents, "train", 3, 0) for _ in range(2))
    assert np.array_equal(first.face_rgb, again.face_rgb)
    for other in (stranger(parents, "train", 4, 0), stranger(parents, "other", 3, 0), stranger(parents, "train", 3, 1)):
        assert not np.array_equal(first.face_rgb, other.face_rgb)


def test_nobody_who_exists_is_drawn() -> None:
    generator = np.random.default_rng(0)
    for count in (2, 3):
        for _ in range(50):
            shares = _shares(count, generator)
            assert shares.sum(1) == pytest.approx(1)
            assert (IMPORTANCE @ shares).max() <= MOST_OF_ONE


def test_parents_of_training_and_those_kept_back_are_different_people() -> None:
    assert len(PARENTS) == 24
    assert len(KEPT_BACK) == 8
    assert not {one.name for one in PARENTS} & {one.name for one in KEPT_BACK}
    assert not {one.photo for one in (*PARENTS, *KEPT_BACK)} & {"Paul.jpeg", "Paul2.jpeg", "Chris.jpeg"}


def test_a_picture_stands_on_its_colour_and_a_drawing_has_none(parents: list[Parent]) -> None:
    one = make_stranger(parents, np.random.default_rng(0))
    for colour in COLOURS_RGB:
        picture, points = draw_picture(one, colour, np.random.default_rng(1))
        assert picture.shape == (SIZE_PX, SIZE_PX, 3)
        assert (picture[0, 0] == colour).all()
        assert (np.abs(points - SIZE_PX / 2) < SIZE_PX / 3).all()
    drawn, _ = draw_picture(one, COLOURS_RGB[0], np.random.default_rng(1), DRAWING)
    middle = drawn[56:72, 56:72].astype(int)
    assert np.ptp(middle, axis=-1).max() < 16, "ink on paper"


def test_a_photo_is_never_the_picture(parents: list[Parent]) -> None:
    one = make_stranger(parents, np.random.default_rng(0))
    first, second = (take_photo(one, np.random.default_rng(seed)) for seed in (0, 1))
    assert first[0].shape == (PHOTO_PX, PHOTO_PX, 3)
    assert not np.allclose(first[1], second[1], atol=1), "the face stands elsewhere"


def test_a_sitting_is_one_moment_in_the_picture_and_on_the_photo(parents: list[Parent]) -> None:
    one = make_stranger(parents, np.random.default_rng(0))
    pictures, photos, _ = zip(*(sit(one, (0, 0, 255), np.random.default_rng(seed)) for seed in range(6)), strict=True)
    assert all((picture[0, 0] == (0, 0, 255)).all() for picture in pictures)
    faces = [np.stack(each)[:, at, at].mean(-1) for each, at in ((pictures, slice(48, 80)), (photos, slice(96, 160)))]
    light = np.stack([face.reshape(6, -1).mean(1) for face in faces])
    assert np.ptp(light[0]) > 10, "in light that differs"
    assert np.abs(light[0] - light[1]).max() < 3, "on both the same"


def test_sittings_have_a_face_for_each_picture(parents: list[Parent]) -> None:
    pictures, faces = make_sittings(parents, range(3, 5), 0, lambda _: None)
    assert pictures.shape == (2, 2, SIZE_PX, SIZE_PX, 3)
    assert faces.shape == (2, 2, 224, 224, 3)


def test_a_world_has_everybody_in_several_pictures_and_photos(parents: list[Parent]) -> None:
    located: list[int] = []

    def locate(photo_rgb: np.ndarray) -> None:
        located.append(len(photo_rgb))

    world = make_world(parents, cast("Recogniser", Means()), range(3, 9), 0, locate)
    assert world.person.tolist() == [3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]
    assert world.photo_embeddings.shape == (6, 2, 3)
    assert (world.photo_embeddings[:, 0] != world.photo_embeddings[:, 1]).any(1).all()
    assert world.style.sum() == 2
    assert set(world.colour.tolist()) == set(range(5))
    assert located == [PHOTO_PX] * 12
