"""A run's diagnosis in the journal: found again by its picture, kept, said not to be it, tried with one change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from journal_runs import run_of
from PIL import Image

from lib_faceid.commands.diagnose import words_of
from lib_faceid.diagnosis.kept import diagnose_picture, diagnose_run, facts_of_run, say_not_it, to_try, try_change
from lib_faceid.errors import UnitError
from lib_faceid.journal.journal import Journal, open_journal
from lib_faceid.journal.run import Drawn, Run, UsedUnit
from lib_faceid.journal.shown import diagnosis_lines
from lib_faceid.ui.services import Services

SETTINGS = {
    "Steps": "20", "Sampler": "DDIM", "CFG scale": "7", "Seed": "5", "Size": "512x768", "Model": "some",
    "FaceID 0": "adapter: a.bin, variant: faceid, weight: 0.1, refs: d3ca32c0, algo: 1",
}  # fmt: skip
SCORE = {
    "version": 1, "likeness": 0.2, "recogniser": "w600k_mbf-9cc6e4a7", "faces": 1, "others": 0, "size_px": [512, 768],
    "units": [{"unit": 0, "likeness": 0.2, "box": [0.2, 0.2, 0.6, 0.8], "is_comparable": True}],
}  # fmt: skip


def low(weight: float = 0.1, seed: int = 5, **more: Any) -> Run:
    """A run of a photo that nobody saved, in which the person is weak and the prompt contradicts itself."""
    line = SETTINGS["FaceID 0"].replace("0.1", f"{weight:g}")
    unit = UsedUnit(0, {"adapter": "a.bin", "variant": "faceid", "weight": weight}, "ab" * 32, ("d3ca32c0",))
    settings = {**SETTINGS, "FaceID 0": line}
    run = Run("portrait, smiling, serious", settings=settings, units=(unit,), pictures=(Drawn(seed, SCORE),))
    return replace(run, **more)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def test_a_picture_finds_its_run_and_the_diagnosis_is_kept_with_it(journal: Journal) -> None:
    first = journal.add(low())
    journal.add(low(seed=6))
    parameters = first.infotext() + ", FaceID likeness: 0.20"
    found, run = diagnose_picture(journal, parameters, facts_of_run(first))
    assert run is not None
    assert run.id == "F-000001"
    assert [one.row.id for one in found.findings] == ["low_weight", "contradiction"]
    kept = journal.run(1).diagnosis
    assert [row["id"] for row in kept["rows"]] == ["low_weight", "contradiction"]
    assert "weight 0.1" in kept["words"]
    assert any("weight 0.1" in line for line in diagnosis_lines(kept))
    assert diagnose_picture(journal, parameters.replace("Steps: 20", "Steps: 21"), facts_of_run(first))[1] is None
    assert diagnose_picture(None, parameters, facts_of_run(first))[1] is None


def test_what_was_said_not_to_be_it_is_not_proposed_in_the_whole_tree(journal: Journal) -> None:
    journal.add(low())
    child = journal.add(low(0.2, parent=1))
    journal.add(low(0.1, seed=9))
    say_not_it(journal, child.number, "low_weight")
    assert [one.row.id for one in diagnose_run(journal, 1).findings] == ["contradiction"]
    assert diagnose_run(journal, 1).as_dict()["refused"] == ["low_weight"]
    say_not_it(journal, 1, "contradiction")
    found = diagnose_run(journal, 2)
    assert not found.findings
    assert not found.is_clean
    assert "Nothing else is known" in found.words
    assert journal.run(2).diagnosis["not_it"] == ["low_weight"]
    with pytest.raises(UnitError, match="is no row of the map"):
        say_not_it(journal, 1, "bad luck")


def test_what_was_said_not_to_be_it_of_a_person_comes_last_in_her_other_runs(journal: Journal) -> None:
    """Of a photo that nobody saved as of a saved person; of others nothing is known."""
    another = UsedUnit(0, low().units[0].settings, "", ("99998888",))
    journal.add(low())
    journal.add(low(0.1, seed=9))
    journal.add(low(0.1, seed=9, units=(another,)))
    saved = [replace(low(seed=seed).units[0], people=("Anna",)) for seed in (1, 2)]
    journal.add_many([low(seed=seed, units=(one,)) for seed, one in enumerate(saved, 1)])
    say_not_it(journal, 1, "low_weight")
    found = diagnose_run(journal, 2)
    assert [(one.row.id, one.was_refused) for one in found.findings] == [("contradiction", False), ("low_weight", True)]
    assert [row["was_refused"] for row in found.as_dict()["rows"]] == [False, True]
    assert "of another run of this person it was not it" in words_of("F-000002", found)
    from lib_faceid.ui.diagnosis import rows_html

    assert rows_html(found.as_dict()["rows"], 1).count("Of another run of this person it was not it.") == 1
    assert to_try(found).row.id == "contradiction"
    for number in (3, 4, 5):
        assert [one.row.id for one in diagnose_run(journal, number).findings] == ["low_weight", "contradiction"]
    say_not_it(journal, 4, "low_weight")
    assert [one.row.id for one in diagnose_run(journal, 5).findings] == ["contradiction", "low_weight"]
    journal.remove([1])
    assert not diagnose_run(journal, 2).findings[1].was_refused, "what is gone says nothing"


def test_what_is_tried_becomes_a_child_with_one_change(journal: Journal) -> None:
    run = journal.add(low())
    change = to_try(diagnose_run(journal, 1)).change
    try_change(journal, 1, change, "low_weight")
    assert journal.add(low(0.8, seed=6)).parent is None  # another seed
    other = low(0.8)
    assert journal.add(replace(other, settings={**other.settings, "Steps": "30"})).parent is None  # two changes
    child = journal.add(low(0.8))
    assert (child.parent, child.tried) == (1, "FaceID 0 weight: 0.1 to 0.8")
    assert journal.add(low(0.8)).parent is None  # once
    assert journal.run(1).diagnosis["trial"]["row"] == "low_weight"
    assert [step.id for step in journal.tree(run.number)] == ["F-000001", child.id]


def test_a_prompt_that_is_tried_and_the_best_of_several(journal: Journal) -> None:
    journal.add(low())
    try_change(journal, 1, {"target": "job", "unit": None, "field": "prompt", "value": "portrait, smiling"})
    assert journal.add(low(prompt="portrait, smiling")).parent == 1
    try_change(journal, 1, {"target": "job", "unit": None, "field": "best_of", "value": 4})
    searched = {"FaceID search": "best of: 4, first seed: 5, tried: 4, UNet calls: 24"}
    best = low(settings={**low().settings, **searched}, pictures=(Drawn(7, SCORE),))
    assert journal.add(best).parent == 1


def test_nothing_to_try_is_said(journal: Journal) -> None:
    journal.add(low())
    found = diagnose_run(journal, 1)
    with pytest.raises(UnitError, match="'waxy' does not apply"):
        to_try(found, "waxy")


def test_the_page_keeps_what_its_buttons_do(journal: Journal) -> None:
    pytest.importorskip("gradio")
    from lib_faceid.ui import diagnosis

    run = journal.add(low())
    services = Services(journal=lambda: journal)
    state, html, *_ = diagnosis._looked(services, run.infotext() + ", FaceID likeness: 0.20")
    assert "Kept in the journal with F-000001." in html
    state, *_ = diagnosis._next(services, state)
    assert journal.run(1).diagnosis["not_it"] == ["low_weight"]
    typed = json.loads(diagnosis._tried(services, state, 0)[0])
    assert (typed["prompt"], typed["seed"], typed["best_of"]) == ("portrait, smiling", 5, 1)
    assert journal.add(low(prompt=typed["prompt"])).parent == 1


def test_a_run_without_scores_or_with_words_of_somebodys_own(journal: Journal) -> None:
    journal.add(run_of("Anna", diagnosis="too dark"))
    diagnose_run(journal, 1)
    assert say_not_it(journal, 1, "waxy").diagnosis["not_it"] == ["waxy"]


def test_the_api_keeps_it_with_a_run() -> None:
    pytest.importorskip("fastapi")
    from api_server import Fixture

    fixture = Fixture()
    number = fixture.journal.add(low(), finds_parent=False).id
    answer = fixture.post("/diagnose", {"run": number, "not_it": "contradiction", "try": "low_weight"})
    assert [row["id"] for row in answer["rows"]] == ["low_weight"]
    assert (answer["refused"], answer["run"]) == (["contradiction"], number)
    assert (answer["trial"]["field"], answer["trial"]["value"], answer["trial"]["seed"]) == ("weight", 0.8, 5)
    assert fixture.journal.add(low(0.8)).parent == int(number[2:])
    refused = fixture.post("/diagnose", {"facts": {"prompt": ""}, "try": "low_weight"})
    assert refused == (422, "try goes with run, which was not given: F-000123, as the journal calls it.")
    assert fixture.post("/diagnose", {"run": number, "image": "x"})[0] == 422
    assert "does not apply" in fixture.post("/diagnose", {"run": number, "try": "contradiction"})[1]


def test_without_anybody_named_no_face_is_looked_for() -> None:
    pytest.importorskip("fastapi")
    from api_server import Fixture, picture

    def none() -> Any:
        raise AssertionError("face models were loaded")

    fixture = Fixture()
    fixture.services = replace(fixture.services, face_analyser=none)
    from lib_faceid.api.diagnosing import facts_in

    facts = facts_in({"image": picture(), "parameters": low().infotext()}, fixture.services)
    assert facts.look is not None


def test_a_look_at_weight_0_is_compared_with_and_without_it_that_is_said() -> None:
    pytest.importorskip("fastapi")
    from api_server import Fixture, picture

    asked = {"image": picture(), "parameters": low().infotext()}
    fixture = Fixture()
    alone, beside = (
        fixture.post("/diagnose", asked),
        fixture.post("/diagnose", {**asked, "plain": picture((90, 90, 90))}),
    )
    assert any("weight 0 were not looked at" in line for line in alone["unseen"])
    assert not any("weight 0 were not looked at" in line for line in beside["unseen"])
    assert beside["facts"]["plain_look"]["saturation"] == 0.0
    assert beside["facts"]["look"] == alone["facts"]["look"]


def test_a_run_is_compared_with_pictures_at_weight_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lib_faceid.__main__ import main
    from lib_faceid.models.folders import usual_roots

    pictures = {}
    for name, level in {"drawn": 90, "plain": 0}.items():
        noise = np.random.default_rng(5).integers(0, 40, (64, 64, 3), np.uint8)
        pictures[name] = tmp_path / f"{name}.png"
        Image.fromarray(noise + np.uint8(level)).save(pictures[name])
    score = {**SCORE, "size_px": [64, 64]}
    run = low(pictures=(Drawn(5, score, str(pictures["drawn"])),))
    assert facts_of_run(run).plain_look is None
    plain = facts_of_run(run, [np.zeros((64, 64, 3), np.uint8)]).plain_look
    assert plain is not None
    assert plain.clipped == 1.0
    roots = usual_roots(tmp_path)
    journal = open_journal(roots)
    journal.add(run)
    asked = ["journal", "diagnose", "F-000001", "--webui", str(tmp_path)]
    assert main(asked) == 0
    assert "weight 0 were not looked at" in capsys.readouterr().out
    assert main([*asked, "--plain", str(pictures["plain"])]) == 0
    assert "weight 0 were not looked at" not in capsys.readouterr().out
    assert main([*asked, "--plain"]) == 2, "there is no checkpoint here"
    assert "There is no checkpoint" in capsys.readouterr().err
    pictures["drawn"].unlink()
    assert main([*asked, "--plain", str(pictures["plain"])]) == 2
    assert "not where they were" in capsys.readouterr().err


def test_a_picture_at_weight_0_is_drawn_where_the_run_was_drawn(tmp_path: Path) -> None:
    from lib_faceid.app.again import at_weight_0
    from lib_faceid.app.resources import Resources
    from lib_faceid.app.session import Session
    from lib_faceid.models.folders import Roots

    run = low(versions={"host": "webui"})
    with pytest.raises(UnitError, match="was drawn by webui, and would differ here"):
        at_weight_0(Session(Resources(Roots((tmp_path,)))), run, run.pictures)
