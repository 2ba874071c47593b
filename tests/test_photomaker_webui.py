"""People in the prompts of WebUIs, their text side played: places, chunks, emphasis, ANDs, schedules, both passes."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import torch
from played_text import EMPHASIS
from played_webui import forget_hosts
from played_writing import WIDTHS, WebUI, person, play_a1111, play_forge, written

from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.text import Writing
from lib_faceid.errors import HostError, UnitError


@pytest.fixture(params=[play_a1111, play_forge])
def webui(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[WebUI]:
    yield request.param(monkeypatch)
    forget_hosts()


def test_a_person_is_written_at_her_word_and_nowhere_else(webui: WebUI) -> None:
    before, after = webui.step(["a man img in a hat"], Writing([person(7)]))
    assert written(after) == [(2, 7), (3, 7)]
    assert before["crossattn"].shape == after["crossattn"].shape
    token = [before["crossattn"][0, 2, 0].item()] * 2
    assert after["crossattn"][0, 2:4, 0].tolist() == token, "the word's last token, once for each row"
    assert after["vector"][0, -2:].tolist() == [64, 32]
    assert written(before) == [], "the WebUI keeps what it has for other jobs"


def test_where_the_trigger_is_put_in_the_rest_is_the_webuis_own(webui: WebUI) -> None:
    writing = Writing([person(7, schedule=Schedule(weight=1.0, start=0.5))])
    before, after = webui.step(["a man in a hat"], writing)
    assert torch.equal(before["crossattn"], after["crossattn"])
    assert not webui.model.asked, "and nothing is encoded for it"
    assert writing.calls == 0
    _, after = webui.step(["a man in a hat"], writing, at=2)
    assert written(after) == [(2, 7), (3, 7)]
    assert webui.model.asked == ["a man img in a hat"]
    assert writing.calls == 1
    assert any("written at 'man'" in text for text in webui.said)


def test_before_the_start_the_text_has_no_trigger(webui: WebUI) -> None:
    writing = Writing([person(7, schedule=Schedule(weight=1.0, start=0.5))])
    _, after = webui.step(["a man img in a hat"], writing)
    plain, _ = webui.step(["a man in a hat"], Writing([person(7)]))
    assert torch.equal(after["crossattn"], plain["crossattn"])
    off = Writing([person(7, schedule=None)])  # a unit that acts in the other pass only
    assert torch.equal(webui.step(["a man img in a hat"], off, at=3)[1]["crossattn"], plain["crossattn"])
    assert off.calls == 0


def test_emphasis_is_given_to_what_was_written(webui: WebUI) -> None:
    _, plain = webui.step(["a man img in a hat"], Writing([person(7)]))
    for prompt in ("a (man:1.5) img in a hat", "a (man img:1.5) in a hat"):
        _, after = webui.step([prompt], Writing([person(7)]))
        torch.testing.assert_close(after["crossattn"][0, 2:4], plain["crossattn"][0, 2:4] * 1.5)
        torch.testing.assert_close(after["crossattn"][0, 4:], plain["crossattn"][0, 4:])


@pytest.mark.parametrize("way", EMPHASIS)
def test_the_emphasis_is_the_webuis_own(webui: WebUI, way: str) -> None:
    """Whatever it does with a word's row is done with the person in it, and what she is made of has none of it."""
    for one in webui.model.embedders:
        one.emphasis = way
    before, after = webui.step(["(a:0.5) (man:1.5) img in a hat"], Writing([person(7)]))
    (last,) = webui.model.embedders[1].encode_with_transformers(torch.zeros(1, 77))
    text = webui.step(["(a:0.5) (man man:1.5) in a hat"], Writing([person(7, schedule=None)]))[0]["crossattn"][0]
    factor = text[2, WIDTHS[0] + 1] / last[2, 1]  # by which the second encoder's numbers were multiplied in this row
    assert (way == "Ignore") == (factor == 1)
    torch.testing.assert_close(after["crossattn"][0, 2:4, -1], 1007 * factor.expand(2))
    torch.testing.assert_close(after["crossattn"][0, :, :-1], text[:, :-1])
    assert before["crossattn"].shape == after["crossattn"].shape


def test_half_a_weight_is_half_of_the_change(webui: WebUI) -> None:
    whole, half = (
        webui.step(["a man img"], Writing([person(7, schedule=Schedule(weight=weight))]))[1]["crossattn"][0, 2, -1]
        for weight in (1.0, 0.5)
    )
    assert (float(whole), float(half)) == (1007.0, 503.5)


def test_parts_between_ands_and_texts_in_turn(webui: WebUI) -> None:
    _, after = webui.step(["a tree AND a man img"], Writing([person(7)]))
    assert (written(after, 0), written(after, 1)) == ([], [(2, 7), (3, 7)])
    _, after = webui.step(["a man img AND a king img"], Writing([person(7), person(8)]))
    assert (written(after, 0), written(after, 1)) == ([(2, 7), (3, 7)], [(2, 8), (3, 8)])
    for at, token in ((2, "man"), (3, "king")):
        _, after = webui.step(["a [man:king:2] img"], Writing([person(7)]), at=at)
        assert written(after) == [(2, 7), (3, 7)]
        assert after["crossattn"][0, 2, 0] == webui.model.embedders[0].token(token)
    _, early = webui.step(["a [man:man img:2]"], Writing([person(7)]), at=1)
    _, late = webui.step(["a [man:man img:2]"], Writing([person(7)]), at=3)
    assert (written(early), written(late)) == ([], [(2, 7), (3, 7)])


def test_breaks_and_long_prompts(webui: WebUI) -> None:
    _, after = webui.step(["a tree BREAK a man img"], Writing([person(7)]))
    assert written(after) == [(79, 7), (80, 7)]
    _, after = webui.step([f"{'word ' * 100}man img"], Writing([person(7)]))
    assert written(after) == [(77 + 26, 7), (77 + 27, 7)]
    for before in (73, 74, 75):  # she does not lie in two chunks: the next one begins with her
        _, after = webui.step([f"{'word ' * before}man img"], Writing([person(7)]))
        first = before + 1 if before == 73 else 78
        assert written(after) == [(first, 7), (first + 1, 7)], before
    two = f"{'word ' * 74}man img, {'word ' * 72}king img"
    _, after = webui.step([two], Writing([person(7), person(8)]))
    assert written(after) == [(78, 7), (79, 7), (155, 8), (156, 8)]
    before, after = webui.step([f"{'word ' * 74}man img AND a tree"], Writing([person(7)]))
    assert (before["crossattn"].shape[1], after["crossattn"].shape[1]) == (154, 154)
    assert written(after, 1) == []


def test_each_image_has_its_own(webui: WebUI) -> None:
    _, after = webui.step(["a man img", "a king img"], Writing([person(7, 8)]))
    assert [written(after, row) for row in range(2)] == [[(2, 7), (3, 7)], [(2, 8), (3, 8)]]
    _, after = webui.step(["a man img"] * 2, Writing([person(7)]))
    assert len(webui.model.asked) == 1, "one text, encoded once for the batch"


def test_the_second_pass_has_its_own_steps_and_size(webui: WebUI) -> None:
    _, after = webui.step(["a man img"], Writing([person(7)]), is_hires=True)
    assert written(after) == [(2, 7), (3, 7)]
    assert after["vector"][0, -2:].tolist() == [128, 64]


@pytest.mark.parametrize(
    ("prompt", "rows", "sentence"),
    [
        ("img, a man", 2, "follows no word"),
        ("a man BREAK img", 2, "follows no word"),
        ("a house", 2, "no word for a person"),
        ("an embedding img", 2, "is an embedding"),
        ("a man img", 80, "does not fit into one chunk"),
    ],
)
def test_what_cannot_be_right_is_refused(webui: WebUI, prompt: str, rows: int, sentence: str) -> None:
    with pytest.raises(UnitError, match=sentence):
        webui.step([prompt], Writing([person(7, rows=rows)]))
    assert "tokenize" not in vars(webui.model.embedders[0]), "nothing stays behind"
    assert "tokenize_line" not in vars(webui.model.embedders[1])


def test_refusals_of_the_host(webui: WebUI, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnitError, match="The negative prompt has the trigger word"):
        webui.step(["a man img"], Writing([person(7)]), negative="blurry, img")
    other, plain = webui.model.embedders[1], webui.model.embedders[1].tokenize
    with monkeypatch.context() as patch:
        patch.setitem(vars(other), "tokenize", lambda texts: [[3] * (len(one) > 3) + one for one in plain(texts)])
        with pytest.raises(HostError, match="read the prompt differently"):
            webui.step(["a man img in a hat"], Writing([person(7)]))
        assert other.tokenize(["a"]) == [[18]], "another extension's function is there again"
    zeros = torch.zeros(77, WIDTHS[0])
    monkeypatch.setattr(webui.model.embedders[0], "encoded", lambda _chunks: [zeros])
    with pytest.raises(HostError, match="which rows of the encoded prompt are whose"):
        webui.step(["a man img"], Writing([person(7)]))


def test_refusals_of_automatic1111(monkeypatch: pytest.MonkeyPatch) -> None:
    webui = play_a1111(monkeypatch)
    with pytest.raises(HostError, match="It cannot be told which prompt"):  # rows of two images, in another order
        webui.step(["a man img AND a tree"] * 2, Writing([person(7)]), is_shuffled=True)
    webui.package.shared.opts.use_old_emphasis_implementation = True
    with pytest.raises(HostError, match="old emphasis implementation"):
        webui.step(["a man img"], Writing([person(7)]))
    webui.package.shared.opts.use_old_emphasis_implementation = False
    webui.model.conditioner = None
    with pytest.raises(HostError, match="the prompts of SDXL only"):
        webui.step(["a man img"], Writing([person(7)]))
    forget_hosts()
