"""The thing itself: whoever is asked for is who is seen, also somebody nobody trained on, and more so with more weight.

The shipped miniature draws strangers whom its training never saw through the whole engine; SCRFD and ArcFace look at
the pictures. Thresholds are what was measured (docs/MINIATURE.md) less the spread of as few pictures as CI can draw.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.likeness import marks_of, marks_of_pairs
from gallery import BLUE, Drawn, Gallery, photo_of, strangers

from lib_faceid.effects.injection import Injection
from lib_faceid.faces.analyser import FaceAnalyser, largest
from lib_faceid.faces.recognisers import untrained_note
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature.trained import RECOGNISER, TRAINED_ADAPTER
from lib_faceid.pictures.photo import read_photo

pytest.importorskip("diffusers", reason="the miniature is drawn on diffusers")

STEPS = 8  # do as well as 20
PEOPLE = 6
FEW = ("never_seen_00", "never_seen_02")
RISE, RIGHT, OTHERS, RANK_1 = 0.24, 0.47, 0.25, 0.65
NEW_PARENTS, OF_TWO, CROSSED = 0.28, 0.47, 0.2
FOUND, COLOUR_KEPT = 0.95, 0.95


@pytest.fixture(scope="module")
def gallery(trained_checkpoint: Path, analyser: FaceAnalyser, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    people = strangers("never_seen", PEOPLE) | strangers("new_parents", PEOPLE)
    return Gallery(tmp_path_factory.mktemp("gallery"), trained_checkpoint, analyser, people, STEPS)


def mean_likeness(gallery: Gallery, **settings: Any) -> float:
    """Return the mean likeness of a few people to themselves."""
    drawn = gallery.draw(FEW, range(len(FEW)), [BLUE] * len(FEW), **settings)
    return float(np.mean([one.likeness(gallery.people[name]) for name, one in zip(FEW, drawn, strict=True)]))


@pytest.fixture(scope="module")
def right(gallery: Gallery) -> float:
    """What the controls are compared with."""
    return mean_likeness(gallery)


@pytest.mark.slow("it draws six people at four weights")
def test_likeness_rises_with_the_weight_and_is_of_the_right_person(gallery: Gallery) -> None:
    marks = {weight: marks_of(gallery, "never_seen", (0,), weight=weight) for weight in (0, 0.2, 0.4, 0.8)}
    likeness = [one.right for one in marks.values()]
    assert all(after > before for before, after in pairwise(likeness)), likeness
    assert likeness[3] > likeness[0] + RISE
    assert marks[0.8].right >= RIGHT
    assert marks[0.8].others <= OTHERS
    assert marks[0.8].rank_1 >= RANK_1
    assert marks[0.8].found >= FOUND
    assert marks[0.8].colour >= COLOUR_KEPT


def test_people_of_parents_that_training_never_had(gallery: Gallery) -> None:
    assert marks_of(gallery, "new_parents", (0,)).right >= NEW_PARENTS


def test_the_strangers_are_as_the_face_models_see_their_photos(gallery: Gallery, analyser: FaceAnalyser) -> None:
    for name in (FEW[0], "new_parents_00"):
        face = largest(analyser.search(read_photo(photo_of(name))).require())
        vector = gallery.people[name].id_embeddings[0].numpy()
        assert face.id_embedding @ vector / np.linalg.norm(face.id_embedding) / np.linalg.norm(vector) > 0.999


def test_weight_0_is_the_picture_without(gallery: Gallery) -> None:
    without = gallery.draw_nobody([0], [BLUE])[0].pixels
    assert np.array_equal(gallery.draw(FEW[:1], [0], [BLUE], weight=0)[0].pixels, without)


def test_swapped_cond_and_uncond_draw_somebody_else(
    gallery: Gallery, right: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: an engine that gives the person to the wrong rows must fail the tests above."""
    set_rows = Injection.set_rows
    monkeypatch.setattr(Injection, "set_rows", lambda self, rows: set_rows(self, [-row for row in rows]))
    assert mean_likeness(gallery) < right / 2


@pytest.fixture(scope="module")
def pairs(gallery: Gallery) -> list[Drawn]:
    """The pictures of two people each, drawn once."""
    drawn: list[Drawn] = []
    with pytest.MonkeyPatch.context() as patch:
        draw_pairs = gallery.draw_pairs
        patch.setattr(gallery, "draw_pairs", lambda *asked: drawn.extend(draw_pairs(*asked)) or drawn)
        marks_of_pairs(gallery, "never_seen")
    return drawn


def test_two_people_stand_where_their_regions_are(
    gallery: Gallery, pairs: list[Drawn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "draw_pairs", lambda *_: pairs)
    marks = marks_of_pairs(gallery, "never_seen")
    assert marks.right >= OF_TWO
    assert marks.right > marks.others + 0.1
    assert marks.crossed <= CROSSED


def test_people_who_stand_on_each_others_side_are_counted(
    gallery: Gallery, pairs: list[Drawn], analyser: FaceAnalyser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: an engine that exchanges the regions must fail the test above. Its pictures are those, exchanged."""
    exchanged = [np.roll(one.pixels, one.pixels.shape[1] // 2, axis=1) for one in pairs]
    drawn = [Drawn(pixels, analyser.detect(pixels)) for pixels in exchanged]
    monkeypatch.setattr(gallery, "draw_pairs", lambda *_: drawn)
    assert marks_of_pairs(gallery, "never_seen").crossed > 0.8


def test_half_of_the_steps_and_other_styles_are_less(gallery: Gallery, right: float) -> None:
    """What a diagnosis of weak likeness has to find is there to be found."""
    assert mean_likeness(gallery, start=0.6) < right
    assert mean_likeness(gallery, style=1) < right


def test_the_adapter_says_on_whose_vectors_it_was_trained(gallery: Gallery) -> None:
    adapter = load_adapter(TRAINED_ADAPTER)
    assert adapter.recogniser == RECOGNISER
    assert not untrained_note(gallery.people[FEW[0]].recogniser, adapter.recogniser)
    assert untrained_note("w600k_r50", adapter.recogniser)
