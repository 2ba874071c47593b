"""Faces that are drawn again: in group pictures of the miniature, each goes to the unit that drew it."""

from __future__ import annotations

from pathlib import Path

import pytest
from gallery import Gallery, strangers
from test_judging import ANNA, BERT, face, person

from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.jobs.redrawn import most_alike
from lib_faceid.likeness.judging import Expected

A, B = Expected(0, person(ANNA)), Expected("tag 0", person(BERT))


def test_each_unit_has_one_face_and_the_others_are_whose_they_are_most_like() -> None:
    faces = [face(0.1, anna=0.7, bert=0.6), face(0.5, anna=0.65, bert=0.1), face(0.9, bert=0.5)]
    assert most_alike([A, B], faces) == ["tag 0", 0, "tag 0"]
    assert most_alike([A, B], faces[:1]) == [0]
    assert (most_alike([], faces), most_alike([A], [])) == ([], [])


@pytest.mark.slow("draws pictures of two and of three people")
@pytest.mark.parametrize("people", [2, 3])
def test_in_group_pictures_each_face_gets_the_unit_that_drew_it(
    tmp_path: Path, trained_checkpoint: Path, analyser: FaceAnalyser, people: int
) -> None:
    pytest.importorskip("diffusers", reason="the miniature is drawn on diffusers")
    from bench.redrawn import choices_in_groups

    gallery = Gallery(tmp_path, trained_checkpoint, analyser, strangers("never_seen", 12), steps=8)
    found = choices_in_groups(gallery, analyser, people, pictures=6)
    assert found.by_likeness / found.faces > 0.9, found
    assert found.by_order < found.by_likeness
