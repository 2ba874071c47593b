"""The vocabulary: blocks, stacked and doubled words, contradictions; and words in and out of a prompt."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_faceid.diagnosis.of_picture import INSERTED
from lib_faceid.diagnosis.prompt_blocks import BLOCKS, MAX_LETTERS, VOCABULARY, read_blocks, with_words, without_words
from lib_faceid.diagnosis.templates import OURS, Template, read_template, read_templates, save_template
from lib_faceid.errors import FaceIDError, FileError, UnitError

WORDS = ["portrait of a man", "(cinematic:1.3)", "8k", "((8k))", "smiling", "serious", "<lora:a:1>", "BREAK", "[night]",
         "looking at the camera", "85mm", ",", "photo-realistic", "", "sunny", "\\(a\\)", "soft light",
         "black and white"]  # fmt: skip
prompts = st.lists(st.sampled_from(WORDS), max_size=12).map(", ".join) | st.text(max_size=200)


def test_the_blocks_of_a_prompt() -> None:
    found = read_blocks("portrait of an old man, slight smile, 85mm lens, soft window light, in a library, film noir")
    assert found.missing == ()
    assert found.found["expression"] == ("slight smile",)
    assert found.style == ("film noir",)
    assert read_blocks("portrait of a man").missing == ("expression", "camera", "light", "background", "style")


def test_stacked_and_doubled_words() -> None:
    found = read_blocks("photo, (masterpiece:1.4), 8k, best quality, 8K, photorealistic <lora:8k:1>")
    assert found.realism == ("masterpiece", "8k", "best quality", "8k", "photorealistic")
    assert found.doubled == ("8k",)
    assert found.strongest == 1.4
    assert read_blocks("((portrait))").strongest == pytest.approx(1.21)


def test_contradictions() -> None:
    (found,) = read_blocks("a man, night, bokeh, direct sunlight").contradictions
    assert (found.first, found.second) == ("night", "direct sunlight")
    assert not read_blocks("a man, smiling, golden hour, 85mm").contradictions


def test_a_longer_phrase_hides_its_parts() -> None:
    assert read_blocks("rembrandt lighting").style == ()
    assert read_blocks("closed-mouth smile").found["expression"] == ("closed-mouth smile",)
    assert read_blocks("soft, light").found["light"] == ("light",)  # no phrase goes over a comma


def test_another_script_is_not_judged() -> None:
    found = read_blocks("一位老人的肖像 柔和的光线")
    assert not found.is_readable
    assert found.missing == ()


def test_words_out_and_in() -> None:
    assert without_words(
        "portrait, (8k:1.3), ((masterpiece)), cinematic light, 8k <lora:a:1>", ["8k", "masterpiece"]
    ) == ("portrait, cinematic light, <lora:a:1>")
    assert (
        with_words("portrait, <lora:a:1> <faceid:Ann>", "soft light") == "portrait, soft light <lora:a:1> <faceid:Ann>"
    )
    assert with_words("", "soft light") == "soft light"


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_inserted_fills_its_block(block: str) -> None:
    assert block not in read_blocks(with_words("nothing much", INSERTED[block])).missing
    assert not read_blocks(", ".join(INSERTED.values())).contradictions


def test_the_vocabulary_has_no_phrase_that_cannot_be_found() -> None:
    known = json.loads(VOCABULARY.read_text("utf-8"))
    for block, phrases in known["blocks"].items():
        lost = [phrase for phrase in phrases if not read_blocks(phrase).found[block]]
        assert not lost, block
    assert all(read_blocks(phrase).realism for phrase in known["realism"])
    assert all(read_blocks(phrase).found["style"] for phrase in known["style"])
    assert set(known["medium"]) <= set(known["style"])


@given(prompts)
def test_any_prompt_is_read(prompt: str) -> None:
    found = read_blocks(prompt)
    assert found == read_blocks(prompt)
    assert set(found.found) == set(BLOCKS)
    assert json.dumps(found.as_dict())


@given(prompts, st.sampled_from(["8k", "cinematic", "smiling", "looking at the camera", "night", "black and white"]))
def test_what_was_taken_out_is_gone_and_nothing_else_came(prompt: str, word: str) -> None:
    left = without_words(prompt, [word])
    assert len("".join(left.split())) <= len("".join(prompt.split()))  # a blank may come after a comma
    hits = [phrase for phrases in read_blocks(prompt).found.values() for phrase in phrases] + [
        *read_blocks(prompt).realism
    ]
    after = [phrase for phrases in read_blocks(left).found.values() for phrase in phrases] + [
        *read_blocks(left).realism
    ]
    assert set(after) <= {*hits, *after}
    assert after.count(word) <= hits.count(word)


@given(prompts, st.sampled_from(list(INSERTED.values())))
def test_what_was_put_in_is_there(prompt: str, words: str) -> None:
    assert words in with_words(prompt, words)


def test_a_hostile_prompt_takes_no_time() -> None:
    began = time.perf_counter()
    for text in ("(" * MAX_LETTERS, "<" * MAX_LETTERS, ", " * MAX_LETTERS, "8k " * MAX_LETTERS, ":1.1)" * MAX_LETTERS):
        read_blocks(text)
        without_words(text, ["8k"])
    assert time.perf_counter() - began < 20


def test_no_text_is_a_sentence() -> None:
    with pytest.raises(UnitError, match="prompt is 5"):
        read_blocks(5)  # pyright: ignore[reportArgumentType]


# ------------------------------------------------------------------ templates


@pytest.mark.parametrize("path", sorted(OURS.glob("*.json")), ids=lambda path: path.stem)
def test_ours_are_whole_and_neutral(path: Path) -> None:
    template = read_template(path)
    found = read_blocks(template.prompt)
    assert found.missing == ()
    assert not found.style
    assert not found.realism
    assert not found.contradictions
    assert set(template.blocks) == set(BLOCKS)


def test_there_are_five() -> None:
    found, problems = read_templates()
    assert len(found) == 5
    assert not problems


def test_a_team_s_own_come_first_and_replace_ours(tmp_path: Path) -> None:
    save_template(tmp_path, Template("At work", {"subject": "a baker"}, "text"))
    save_template(tmp_path, Template("Häuptling / 1", {"light": "noon"}))
    (tmp_path / "broken.json").write_text("{", "utf-8")
    found, problems = read_templates(tmp_path)
    assert found["At work"].prompt == "a baker"
    assert found["Häuptling / 1"].prompt == "noon"
    assert len(found) == 6
    assert len(problems) == 1
    assert "broken.json" in problems[0]


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "5", '{"name": ""}', '{"name": 5}', '{"name": "a", "blocks": []}', '{"name": "a", "more": 1}',
        '{"name": "a", "blocks": {"smell": "b"}}', '{"name": "a", "blocks": {"light": 5}}',
        '{"name": "a", "negative": []}',
        '{"name": "a", "blocks": {"light": "' + "x" * 2000 + '"}}', '{"name": "' + "x" * 70_000 + '"}', "[" * 10_000,
    ],
)  # fmt: skip
def test_a_damaged_template_is_a_sentence(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, "utf-8")
    with pytest.raises(FileError, match=r"a\.json"):
        read_template(path)


@given(st.text(max_size=80), st.dictionaries(st.sampled_from([*BLOCKS, "x"]), st.text(max_size=20), max_size=4))
def test_any_template_is_saved_and_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, blocks: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("templates")
    try:
        path = save_template(folder, Template(name, blocks))
    except FaceIDError:
        assert not list(folder.iterdir())
    else:
        assert path.parent == folder
        assert read_template(path).blocks.keys() == blocks.keys()
