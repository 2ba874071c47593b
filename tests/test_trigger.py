"""The trigger word: where people are written into a prompt, and what is refused; tokens with marks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_faceid.effects.text import Mark, marked
from lib_faceid.errors import UnitError
from lib_faceid.units.trigger import Line, keep, lines_of, places, refuse_negative


def one(text: str, people: int = 1) -> Line:
    ((line,),), _ = lines_of([[text]], "img", people)
    return line


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a man img in a hat", "a man in a hat"),
        ("(man img:1.3), city", "(man:1.3), city"),
        ("(man:1.3) IMG, city", "(man:1.3), city"),
        ("woman\nimg", "woman"),
        ("my_img, imgs, img2img", "my_img, imgs, img2img"),
    ],
)
def test_a_trigger_is_a_word_of_its_own_and_goes_with_its_space(text: str, plain: str) -> None:
    assert keep(text, "img", ()) == plain
    assert bool(places(text, "img")) == (plain != text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("portrait of a woman, city", "portrait of a woman img, city"),
        ("(Man:1.2) and a woman", "(Man img:1.2) and a woman"),
        ("a superman, a king's crown, a girl", "a superman, a king's crown, a girl img"),
    ],
)
def test_it_is_put_behind_the_first_word_for_a_person(text: str, written: str) -> None:
    assert one(text) == Line(written, (0,))
    assert keep(written, "img", ()) == text, "what is drawn without the person is the very prompt"


def test_parts_and_schedules() -> None:
    """Between ANDs, and in turn: a person may be in some parts and in some steps only."""
    (first, second), note = lines_of([["a tree"], ["a man", "a king"]], "img", 1)
    assert (first, second) == ([Line("a tree")], [Line("a man img", (0,)), Line("a king img", (0,))])
    assert note == "The person is written at 'man' and 'king' (img stands behind it)."
    (first, second), note = lines_of([["a man img"], ["a king img", "a king"]], "img", 1)
    assert [line.people for line in (*first, *second)] == [(0,), (0,), ()]
    assert not note
    (first, second), _ = lines_of([["a man img and a boy img"], ["a king img"]], "img", 3)
    assert [line.people for line in (*first, *second)] == [(0, 1), (2,)]


def test_who_does_not_act_is_not_in_the_text() -> None:
    line = one("a man img and a boy img", 2)
    assert line.drawn("img", {1: 0.5}) == Line("a man and a boy img", (1,))
    assert line.drawn("img", ()) == Line("a man and a boy")


@pytest.mark.parametrize(
    ("parts", "people", "sentence"),
    [
        ([["a house"]], 1, "no word for a person that the trigger word 'img' could follow"),
        ([["a man", "a house"]], 1, "no word for a person"),
        ([["a man img, a boy img"]], 1, "twice, and there is one person to write"),
        ([["a man"]], 2, "2 people are to be written into the prompt, and it does not say where"),
        ([["a man img"]], 2, "once, and there are 2 people"),
        ([["a man img", "a man img and a boy img"]], 2, "once in some steps and twice in others"),
    ],
)
def test_what_cannot_be_told(parts: list[list[str]], people: int, sentence: str) -> None:
    with pytest.raises(UnitError, match=sentence):
        lines_of(parts, "img", people)


def test_never_in_the_negative_prompt() -> None:
    refuse_negative(["blurry, imgs"], "img")
    with pytest.raises(UnitError, match="The negative prompt has the trigger word 'img'"):
        refuse_negative(["", "blurry img"], "img")


# -------------------------------------------------------------------------------------------------------------- tokens
WORDS = {"a": 1, "man": 2, "super": 3, "hero": 4, ",": 5, "img": 9, "BREAK": 6}


def tokens_of(segment: str) -> list[int]:
    return [WORDS[word] for word in segment.replace(",", " ,").lower().replace("break", "BREAK").split()]


def test_a_word_is_its_persons_and_its_last_token_is_repeated() -> None:
    text = "a super hero img, a man img"
    (found,) = marked([text], [tokens_of(text)], "img", 9, iter([3, 1]))
    assert found == [1, 3, 4, 4, 4, 5, 1, 2]
    assert [(token, token.person) for token in found if isinstance(token, Mark)] == [(4, 0)] * 3 + [(2, 1)]


def test_a_trigger_may_stand_behind_its_words_emphasis() -> None:
    segments = ["a ", "man", " img, a"]
    found = marked(segments, [tokens_of(one) for one in segments], "img", 9, iter([2]))
    assert found == [[1], [2, 2], [5, 1]]


@pytest.mark.parametrize("segments", [["img a man"], ["a man, img"], ["a man", "BREAK", "img"], ["", " img"]])
def test_a_trigger_follows_a_word(segments: list[str]) -> None:
    with pytest.raises(UnitError, match="follows no word"):
        marked(segments, [tokens_of(one) for one in segments], "img", 9, iter([2]))


def test_a_trigger_in_another_word_is_said() -> None:
    with pytest.raises(UnitError, match="a part of another word in 'a man-img2'"):
        marked(["a man-img2"], [[1, 2, 9, 7]], "img", 9, iter([2]))


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="img man,()[]:1|\n", max_size=40), st.integers(1, 3))
def test_any_text_gives_lines_or_a_sentence(text: str, people: int) -> None:
    try:
        line = one(text, people)
    except UnitError:
        return
    assert len(places(line.text, "img")) == len(line.people)
    assert not places(line.drawn("img", ()).text, "img")
