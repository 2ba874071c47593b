"""Words for likenesses: from figures, by recogniser, and never more than the figures say."""

from __future__ import annotations

import json

import pytest

from lib_faceid.likeness.meaning import (
    FIGURES,
    WORDS,
    answer_of,
    console_text,
    infotext_of,
    level_of,
    meaning_of,
    words_of,
)  # fmt: skip
from lib_faceid.likeness.score import PictureScore, UnitScore

MBF, OTHER = "w600k_mbf-9cc6e4a7", "antelope-12345678"


def score(*likenesses: float | None, recogniser: str = MBF) -> PictureScore:
    units = tuple(UnitScore(number, one) for number, one in enumerate(likenesses))
    return PictureScore(recogniser, units, sum(one is not None for one in likenesses))


def test_the_words_are_those_of_the_figures() -> None:
    meaning = meaning_of(MBF)
    assert meaning
    assert meaning.borders == (pytest.approx(0.1345), 0.259, 0.425, 0.714)
    said = [words_of(likeness, MBF) for likeness in (meaning.different_mean, 0.2, 0.3, 0.425, 0.714)]
    assert tuple(said) == WORDS
    assert words_of(-1, MBF) == "not alike"


def test_what_was_not_measured_has_no_word() -> None:
    assert words_of(0.5, OTHER) == ""
    assert level_of(0.5, OTHER) is None
    assert level_of(None, MBF) is None
    assert console_text(score(0.5, recogniser=OTHER)) == "likeness 0.50"


def test_no_word_says_who_somebody_is() -> None:
    text = " ".join(WORDS).lower()
    assert not any(word in text for word in ("same", "is ", "match", "verif", "identif", "person"))


def test_every_row_of_the_table_is_in_order() -> None:
    for name in json.loads(FIGURES.read_text("utf-8")):
        borders = getattr(meaning_of(name), "borders", ())
        assert list(borders) == sorted(borders)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (score(0.468), "0.47"),
        (score(None), "no face"),
        (score(), ""),
        (score(0.47, 0.315), "0.32 (0: 0.47, 1: 0.32)"),
        (score(0.47, None), "incomplete (0: 0.47, 1: no face)"),
        (PictureScore(MBF, (UnitScore(0, 0.2, looks_like=1), UnitScore(1, 0.1, looks_like=0)), 2),
         "0.10 (0: 0.20, 1: 0.10, swapped)"),
        (PictureScore(MBF, (UnitScore("tag 0", is_comparable=False),), 1), "another recogniser"),
    ],
)  # fmt: skip
def test_the_metadata_have_two_digits(seen: PictureScore, text: str) -> None:
    assert infotext_of(seen) == text


def test_a_client_gets_words_and_can_read_it_back() -> None:
    seen = score(0.47, 0.2)
    answer = json.loads(json.dumps(answer_of(seen)))
    assert (answer["likeness"], answer["words"], answer["level"]) == (0.2, "hardly alike", 1)
    assert [unit["words"] for unit in answer["units"]] == ["alike", "hardly alike"]
    assert PictureScore.from_dict(answer) == seen


def test_a_line_for_the_console() -> None:
    assert console_text(score(0.47)) == "likeness 0.47 (alike)"
    assert console_text(score(0.47, None)) == "likeness FaceID 0 0.47 (alike), FaceID 1 no face"
