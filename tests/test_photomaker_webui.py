"""People in AUTOMATIC1111's prompts, its text side played: places, chunks, emphasis, ANDs, schedules, both passes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from played_text import End, Prompts, play_text
from played_webui import forget_hosts, play_webui
from torch import Tensor

from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.text import Person, Text, Writing
from lib_faceid.errors import HostError, UnitError

WIDTHS = 5, 3
ON = Schedule(weight=1.0)


class Weights:
    """What is written is told by its last numbers: 1000 and whose it is."""

    name = "played"

    def fused(self, rows: Tensor, ids: Tensor) -> Tensor:
        return torch.cat([rows[:, :-1], 1000 + ids[:, -1:]], dim=1)


@dataclass(frozen=True)
class Source:
    key: int
    rows: int = 2

    def encode(self) -> Tensor:
        return torch.full((self.rows, sum(WIDTHS)), float(self.key))


def person(*keys: int, rows: int = 2, schedule: Schedule | None = ON) -> Person:
    return Person(Text(Weights(), [Source(key, rows) for key in keys], "img"), schedule)


class WebUI:
    """A job of the played WebUI, and its steps."""

    def __init__(self, package: Any, model: Any) -> None:
        from lib_faceid.hosts.a1111.writing import written_cond

        self.package, self.model, self._written = package, model, written_cond
        self.said: dict[str, int] = {}

    def conds(self, prompts: list[str], steps: int, hires: int | None = None) -> Any:
        parser, batch = self.package.prompt_parser, []
        for prompt in prompts:
            ((indexes,), texts, _) = parser.get_multicond_prompt_list(Prompts([prompt]))
            schedules = parser.get_learned_conditioning_prompt_schedules([texts[i] for i, _ in indexes], steps, hires)
            batch.append([SimpleNamespace(schedules=[End(end, text) for end, text in one]) for one in schedules])
        return SimpleNamespace(batch=batch)

    def step(
        self,
        prompts: list[str],
        writing: Writing,
        at: int = 0,
        *,
        negative: str = "",
        is_hires: bool = False,
        is_shuffled: bool = False,
    ) -> tuple[Any, Any]:
        """Give the conditioning of a step as it was, and as it is written, with everybody in the steps that are his."""
        steps = 4
        p = SimpleNamespace(
            prompts=prompts, negative_prompts=[negative], hr_prompts=prompts, hr_negative_prompts=[negative],
            c=self.conds(prompts, steps), hr_c=self.conds(prompts, steps, 6), firstpass_steps=steps, steps=steps,
            width=64, height=32, hr_upscale_to_x=128, hr_upscale_to_y=64, hr_second_pass_steps=6,
            hr_sampler_name=None, sampler_name="x", is_hr_pass=is_hires, comments=self.said,
            comment=lambda text: self.said.update({text: 1}),
        )  # fmt: skip
        texts = [
            next(one.cond for one in part.schedules if at <= one.end_at_step)
            for parts in (p.hr_c if is_hires else p.c).batch
            for part in parts
        ]
        size = (128, 64) if is_hires else (64, 32)
        rows = [self.model.get_learned_conditioning(Prompts([text], *size)) for text in texts]
        longest = max(len(row["crossattn"][0]) for row in rows)
        padded = [
            torch.cat([found := row["crossattn"][0], found[-1:].expand(longest - len(found), -1)]) for row in rows
        ]
        cond = {"crossattn": torch.stack(padded), "vector": torch.cat([row["vector"] for row in rows])}
        self.model.asked.clear()
        latents = torch.arange(len(prompts)).float().repeat_interleave(len(texts) // len(prompts))
        latents = latents.roll(1) if is_shuffled else latents
        x = torch.cat([latents, torch.arange(len(prompts)).float()])[:, None]
        params = SimpleNamespace(text_cond=cond, denoiser=SimpleNamespace(step=at), x=x)
        writing.set_progress(at / steps, 1 / steps)
        return cond, self._written(p, writing, params)


@pytest.fixture
def webui(monkeypatch: pytest.MonkeyPatch) -> Generator[WebUI]:
    package = play_webui(monkeypatch)
    model = play_text(package, WIDTHS)
    yield WebUI(package, model)
    forget_hosts()


def written(cond: Any, row: int = 0) -> list[tuple[int, int]]:
    """Where somebody is written in a row, and who."""
    last = cond["crossattn"][row, :, -1]
    return [(at, int(value) - 1000) for at, value in enumerate(last.tolist()) if value >= 1000]


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
        assert after["crossattn"][0, 2, 0] == webui.model.conditioner.embedders[0].token(token)
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
    assert "tokenize" not in vars(webui.model.conditioner.embedders[0]), "nothing stays behind"
    assert "tokenize_line" not in vars(webui.model.conditioner.embedders[1])


def test_refusals_of_the_host(webui: WebUI, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnitError, match="The negative prompt has the trigger word"):
        webui.step(["a man img"], Writing([person(7)]), negative="blurry, img")
    other, plain = webui.model.conditioner.embedders[1], webui.model.conditioner.embedders[1].tokenize
    with monkeypatch.context() as patch:
        patch.setitem(vars(other), "tokenize", lambda texts: [[3] * (len(one) > 3) + one for one in plain(texts)])
        with pytest.raises(HostError, match="read the prompt differently"):
            webui.step(["a man img in a hat"], Writing([person(7)]))
        assert other.tokenize(["a"]) == [[18]], "another extension's function is there again"
    with monkeypatch.context() as patch:
        patch.setattr(webui.package.shared.opts, "use_old_emphasis_implementation", True)
        with pytest.raises(HostError, match="old emphasis implementation"):
            webui.step(["a man img"], Writing([person(7)]))
    with pytest.raises(HostError, match="It cannot be told which prompt"):  # rows of two images, in another order
        webui.step(["a man img AND a tree"] * 2, Writing([person(7)]), is_shuffled=True)
