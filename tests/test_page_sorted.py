"""Our own page sorts the pictures of a job by likeness."""

from __future__ import annotations

import pytest
from PIL import Image

pytest.importorskip("gradio")

from lib_faceid.app.own_page_scores import can_be_sorted, most_alike_first
from lib_faceid.app.session import GeneratedImage
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.likeness.score import PictureScore, UnitScore


def picture(seed: int, likeness: float | None, *, is_scored: bool = True) -> GeneratedImage:
    score = PictureScore("any", (UnitScore(0, likeness),), 1) if is_scored else None
    return GeneratedImage(Image.new("RGB", (8, 8)), Request("a person", seed=seed), "", 0.0, score=score)


def test_the_most_alike_is_first_and_who_has_no_likeness_is_last() -> None:
    pictures = [picture(0, None), picture(1, 0.3), picture(2, None, is_scored=False), picture(3, 0.6), picture(4, 0.3)]
    assert [one.request.seed for one in most_alike_first(pictures)] == [3, 1, 4, 0, 2]
    assert can_be_sorted(pictures)


def test_one_picture_or_nobody_looked_at_needs_no_button() -> None:
    assert not can_be_sorted([picture(0, 0.5)])
    assert not can_be_sorted([picture(0, 0.5), picture(1, None, is_scored=False)])
