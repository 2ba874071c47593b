"""The diagnosis: the planted cause comes first, good runs are left alone, and each row gives one change."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.diagnosis import GOOD, USUAL, Run, all_runs, halves, rates
from bench.formula import overloaded_runs
from bench.results import put_table
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from lib_faceid.commands.cli import main
from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.look import Look, look_at
from lib_faceid.diagnosis.map import MAP, diagnose, row_ids
from lib_faceid.diagnosis.picture import Known, facts_of_picture
from lib_faceid.diagnosis.reading import facts_of_parameters, with_looks, with_scores
from lib_faceid.diagnosis.reports import facts_of_report
from lib_faceid.errors import FaceIDError, UnitError
from lib_faceid.likeness.meaning import answer_of, infotext_of
from lib_faceid.likeness.score import PictureScore, UnitScore
from lib_faceid.units.parameters import parameters_from
from lib_faceid.units.unit import FIELDS, Unit

PAGE = Path(__file__).parents[1] / "docs" / "DIAGNOSIS.md"
RIGHT_FIRST, CLEAN = 0.85, 0.90
PARAMETERS = (
    "portrait of a man, calm\nNegative prompt: blurry\nSteps: 20, Sampler: DDIM, CFG scale: 7, Seed: 5, Size: 512x768, "
    'Model: some, FaceID 0: "adapter: a.bin, variant: faceid, weight: 0.2, start: 0.1, algo: 1"'
)  # fmt: skip


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return all_runs()


def ids(facts: Facts) -> list[str]:
    return [finding.row.id for finding in diagnose(facts).findings]


# ------------------------------------------------------------------ how often it is right


def test_the_half_that_was_kept_out_of_tuning(runs: list[Run]) -> None:
    tuning, kept = halves(runs)
    found = rates(kept)
    assert found.planted >= 30
    assert found.good >= 10
    assert len(runs) >= 60 + found.good
    assert found.first >= RIGHT_FIRST, found
    assert found.clean >= CLEAN, found
    assert not {run.name for run in tuning} & {run.name for run in kept}
    seen = rates(drawn_ones(kept))
    assert len(drawn_ones(runs)) >= 60
    assert seen.first >= RIGHT_FIRST, seen
    assert seen.clean >= CLEAN, seen


def test_the_split_is_the_same_each_time(runs: list[Run]) -> None:
    assert [run.name for run in halves(runs)[1]] == [run.name for run in halves(all_runs())[1]]


def test_every_planted_cause_is_a_row(runs: list[Run]) -> None:
    assert {run.planted for run in runs} <= {GOOD, *row_ids()}


def test_a_map_that_knows_nothing_is_found_out(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib_faceid.diagnosis.map.MAP", ())
    assert rates(halves(runs)[1]).first == 0


def test_the_page_has_the_table_and_the_figures(runs: list[Run], tmp_path: Path) -> None:
    """To write them: `python tests/test_diagnosis.py` in the project's folder."""
    copy = tmp_path / PAGE.name
    copy.write_text(PAGE.read_text("utf-8"), "utf-8")
    write_page(copy, runs)
    assert copy.read_text("utf-8") == PAGE.read_text("utf-8")


def write_page(page: Path, runs: list[Run]) -> None:
    head = ["| id | seen | likely cause | do now | rule for later |", "|---|---|---|---|---|"]
    rows = [f"| `{one.id}` | {one.seen} | {one.cause} | {one.do_now} | {one.rule} |" for one in MAP]
    put_table(page, "map", "\n".join([*head, *rows]) + "\n")
    head = ["| | planted cause first | nothing wrong found | runs with a cause | good runs |", "|---|---|---|---|---|"]
    tuning, kept = halves(runs)
    named = (
        ("half for tuning", tuning),
        ("half kept out", kept),
        ("drawn ones of that half", drawn_ones(kept)),
        ("the same, where the person's usual likeness is not known", [of_a_stranger(run) for run in drawn_ones(kept)]),
    )
    rows = [_rates_row(name, part) for name, part in named]
    put_table(page, "rates", "\n".join([*head, *rows]) + "\n")


def drawn_ones(runs: list[Run]) -> list[Run]:
    return [run for run in runs if not run.name.startswith("formula")]


def of_a_stranger(run: Run) -> Run:
    """The run as it is for who draws a person for the first time: the checkpoint's mean is all that is known."""
    return replace(run, facts=replace(run.facts, usual=USUAL))


def _rates_row(name: str, runs: list[Run]) -> str:
    found = rates(runs)
    return f"| {name} | {found.first:.1%} | {found.clean:.1%} | {found.planted} | {found.good} |"


# ------------------------------------------------------------------ rows


@pytest.mark.parametrize("name", row_ids())
def test_each_row_is_planted_and_found_somewhere(name: str, runs: list[Run]) -> None:
    extra = {
        "lora_off": Facts("portrait", units=(UnitFacts(lora=0.0, likeness=(0.2, 0.2)),)),
        "too_alike": Facts("portrait", units=(UnitFacts(likeness=(0.95,), weight=1.2),)),
    }
    facts = [extra[name]] if name in extra else [run.facts for run in runs if run.planted == name]
    assert any(name in ids(one) for one in facts)


def test_every_change_is_one_field_that_exists(runs: list[Run]) -> None:
    jobs = {"prompt", "negative", "cfg", "steps", "best_of"}
    for run in runs:
        for finding in diagnose(run.facts).findings:
            change = finding.change
            assert change.target != "unit" or change.field in FIELDS
            assert change.target != "job" or change.field in jobs
            assert (change.value is None) == (change.target == "reference")
            if change.target == "unit":
                Unit(**{change.field: change.value})


def test_a_change_changes_something(runs: list[Run]) -> None:
    for run in runs:
        for finding in diagnose(run.facts).findings:
            change = finding.change
            if change.target == "job" and change.field != "best_of":
                assert change.value != getattr(run.facts, change.field), (run.name, finding.row.id)


def test_enough_likeness_is_no_fault_of_a_low_weight() -> None:
    low = Facts("portrait", units=(UnitFacts(weight=0.2, likeness=(0.3, 0.28)),))
    enough = Facts("portrait", units=(UnitFacts(weight=0.2, likeness=(0.6, 0.62)),))
    assert ids(low)[0] == "low_weight"
    assert not ids(enough)


def test_nobody_looked_is_said() -> None:
    found = diagnose(Facts("cinematic portrait", units=(UnitFacts(weight=0.2),)))
    assert [finding.row.id for finding in found.findings] == ["low_weight"]
    assert any("Nobody looked" in line for line in found.unseen)
    assert any("CLIP" in line for line in found.unseen)


def test_the_worst_of_two_causes_comes_first() -> None:
    unit = UnitFacts(weight=0.4, start=0.6, likeness=(0.2,))
    assert ids(Facts("portrait", units=(unit,)))[:2] == ["late_start", "low_weight"]


def test_what_a_user_sees_counts() -> None:
    plain = Facts("portrait of a man, cinematic", units=(UnitFacts(likeness=(0.6,)),))
    assert not ids(plain)
    assert ids(replace(plain, noticed="expression")) == ["expression"]
    assert ids(replace(plain, noticed="style_ignored")) == ["style_ignored"]


def test_a_prompt_that_is_too_long_is_not_followed() -> None:
    assert all("style_ignored" in ids(facts) for facts in overloaded_runs())


def test_the_words_of_nothing() -> None:
    found = diagnose(Facts("portrait of a man, smiling", units=(UnitFacts(likeness=(0.6,)),)))
    assert found.is_clean
    assert found.as_dict()["rows"] == []
    assert "Nothing wrong" in found.words


# ------------------------------------------------------------------ looks


def test_wax_is_smoother_than_skin_and_a_hard_picture_harder(data_folder: Path) -> None:
    image = Image.open(data_folder / "photos" / "astronaut.png").convert("RGB")
    face = (0.35, 0.1, 0.55, 0.4)
    skin = look_at(np.asarray(image), face)
    wax = look_at(np.asarray(image.filter(ImageFilter.GaussianBlur(4))), face)
    hard = look_at(np.clip((np.asarray(image, np.float32) - 128) * 2.5 + 128, 0, 255).astype(np.uint8), face)
    assert wax.detail < 0.1 * skin.detail
    assert hard.contrast > 1.3 * skin.contrast
    assert hard.clipped > skin.clipped


@given(st.integers(1, 40), st.integers(1, 40), st.lists(st.floats(-2, 2), min_size=4, max_size=4))
def test_any_picture_and_any_box_has_a_look(width: int, height: int, box: list[float]) -> None:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    look = look_at(pixels, box)
    assert all(np.isfinite(value) for value in look.as_dict().values())
    assert Look.from_dict(look.as_dict()) == Look(**look.as_dict())


# ------------------------------------------------------------------ facts


def test_facts_of_metadata_scores_and_looks() -> None:
    facts = facts_of_parameters(parameters_from(PARAMETERS))
    assert (facts.prompt, facts.negative, facts.steps, facts.cfg, facts.seed) == (
        "portrait of a man, calm",
        "blurry",
        20,
        7,
        5,
    )
    assert (facts.units[0].weight, facts.units[0].start, facts.side_px) == (0.2, 0.1, 512)
    score = PictureScore("w600k_mbf-1", (UnitScore(0, 0.31),), faces=2, others=1, size_px=(512, 768))
    seen = with_scores(facts, [score, replace(score, units=(UnitScore(0),), others=0)])
    assert seen.units[0].likeness == (0.31, None)
    assert seen.others == 0.5
    looked = with_looks(seen, [np.zeros((64, 64, 3), np.uint8)])
    assert looked.look is not None
    assert looked.plain_look is None
    assert "low_weight" in ids(looked)


def test_a_refused_comparison_is_no_missing_face() -> None:
    score = PictureScore("b", (UnitScore(0, is_comparable=False),), faces=1)
    assert with_scores(Facts("portrait"), [score]).units[0].likeness == ()


@pytest.mark.parametrize(
    ("text", "likeness"), [("0.31", (0.31,)), ("no face", (None,)), ("not comparable", ()), ("-0.04", (-0.04,))]
)
def test_the_likeness_in_metadata_is_read(text: str, likeness: tuple[float | None, ...]) -> None:
    facts = facts_of_parameters(parameters_from(f"{PARAMETERS}, FaceID likeness: {text}"))
    assert facts.units[0].likeness == likeness
    two = f'{PARAMETERS}, FaceID 1: "adapter: a.bin, weight: 0.8", FaceID likeness: "0.1 (0: 0.1, 1: no face, swapped)"'
    first, second = facts_of_parameters(parameters_from(two)).units
    assert (first.likeness, second.likeness, first.swapped) == ((0.1,), (None,), True)


def test_what_was_written_of_a_score_is_read() -> None:
    units = (UnitScore(0, 0.123), UnitScore(1))
    text = infotext_of(PictureScore("a", units, faces=1))
    two = f'{PARAMETERS}, FaceID 1: "adapter: a.bin, weight: 0.8", FaceID likeness: "{text}"'
    assert [unit.likeness for unit in facts_of_parameters(parameters_from(two)).units] == [(0.12,), (None,)]


def test_swapped_people_are_found_in_scores() -> None:
    units = (UnitScore(0, 0.05, looks_like=1), UnitScore(1, 0.04, looks_like=0))
    facts = with_scores(Facts("two people"), [PictureScore("a", units, faces=2)])
    assert ids(facts)[0] == "swapped"


def test_facts_go_through_json(runs: list[Run]) -> None:
    for run in runs:
        told = run.facts.as_dict()
        assert Facts.from_dict(json.loads(json.dumps(told))).as_dict() == told


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
named = st.dictionaries(
    st.sampled_from(["prompt", "units", "cfg", "look", "others", "usual", "noticed", "text_match", "seed"]),
    plain,
    max_size=5,
)


@given(named | plain)
def test_any_facts_and_any_report_give_a_diagnosis_or_a_sentence(values: Any) -> None:
    for read in (lambda: [Facts.from_dict(values)], lambda: [facts for _, facts in facts_of_report(values)]):
        found: list[Facts] = []
        with suppress(FaceIDError):
            found = read()
        for one in found:
            json.dumps(diagnose(one).as_dict())


@given(st.text(max_size=300))
def test_any_metadata_gives_a_diagnosis(text: str) -> None:
    diagnose(facts_of_parameters(parameters_from(text)))


def test_unknown_fields_are_named() -> None:
    with pytest.raises(UnitError, match="wieght"):
        Facts.from_dict({"prompt": "", "units": [{"wieght": 1}]})


# ------------------------------------------------------------------ the command


def picture_with(parameters: str, path: Path) -> Path:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", parameters)
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(path, pnginfo=info)
    return path


def test_the_command_names_the_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = picture_with(PARAMETERS, tmp_path / "a.png")
    assert main(["diagnose", str(picture), "--face-models", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "low_weight" in out
    assert "Raise the identity weight from 0.2 to 0.8." in out
    report = tmp_path / "report.json"
    facts = {"prompt": "portrait", "units": [{"weight": 0.1, "likeness": [0.2]}]}
    report.write_text(json.dumps([{"facts": facts, "name": "one"}]), "utf-8")
    assert main(["diagnose", str(report), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["of"] == "report.json: one"
    assert one["rows"][0]["change"]["field"] == "weight"


def test_a_report_of_pictures_is_read_with_their_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture_with(PARAMETERS, tmp_path / "seed5.png")
    score = PictureScore("w600k_mbf-1", (UnitScore(0, 0.2),), faces=1, size_px=(64, 64))
    report = {"version": 1, "pictures": [{"file": "seed5.png", "seed": 5, "score": answer_of(score)}]}
    (tmp_path / "report.json").write_text(json.dumps(report), "utf-8")
    assert main(["diagnose", str(tmp_path / "report.json")]) == 0
    out = capsys.readouterr().out
    assert "report.json: seed5.png" in out
    assert "weight 0.2; likeness 0.20" in out


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pictures": 3}', '{"prompt": 5}'])
def test_a_report_that_is_none_is_a_sentence(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text(content, "utf-8")
    assert main(["diagnose", str(tmp_path / "report.json")]) == 2
    assert capsys.readouterr().err.startswith("Error: ")


def test_a_picture_without_settings_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert main(["diagnose", str(tmp_path / "a.png")]) == 2
    assert "carries no settings" in capsys.readouterr().err
    assert main(["diagnose", "nothing.png", "--noticed", "ugly"]) == 2
    assert "weak_reference" in capsys.readouterr().err


def test_a_picture_is_looked_at(analyser: Any, data_folder: Path) -> None:
    from lib_faceid.pictures.photo import read_photo
    from lib_faceid.references.joining import join_photos

    joined = join_photos([data_folder / "photos" / "Paul.jpeg"], analyser=analyser)
    known: dict[int | str, Known] = {0: Known(joined.identity, joined.record)}
    facts = facts_of_picture(PARAMETERS, read_photo(data_folder / "photos" / "Paul2.jpeg"), known, analyser)
    assert facts.units[0].mean == pytest.approx(0.6, abs=0.05)
    assert facts.units[0].reference
    assert facts.look
    assert facts.units[0].face_px
    other = facts_of_picture(PARAMETERS, read_photo(data_folder / "photos" / "Chris.jpeg"), known, analyser)
    assert ids(other)[0] == "low_weight"
    assert "low_weight" not in ids(facts)


if __name__ == "__main__":
    write_page(PAGE, all_runs())
