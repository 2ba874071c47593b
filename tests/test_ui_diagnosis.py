"""The folds of the diagnosis and of templates: one change at a time, the next row after *Not it*, a prompt filled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from lib_faceid.app.last_pictures import LastPictures
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.diagnosis.last_looks import LastLooks
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.likeness.score import PictureScore, UnitScore
from lib_faceid.models.folders import Roots
from lib_faceid.ui import diagnosis, templates
from lib_faceid.ui.services import Services
from lib_faceid.ui.units import build_units
from lib_faceid.units.region import Box
from lib_faceid.units.unit import FIELDS

PARAMETERS = (
    "portrait, smiling, serious\nSteps: 20, Sampler: DDIM, CFG scale: 7, Seed: 5, Size: 512x768, Model: some, "
    'FaceID 0: "adapter: a.bin, variant: faceid, weight: 0.1, algo: 1", FaceID likeness: 0.20'
)
SERVICES = Services()


def test_rows_one_after_the_other() -> None:
    state, html, try_it, not_it, compare = diagnosis._looked(SERVICES, PARAMETERS)
    assert not compare["visible"], "nobody saw how it looks"
    assert [row["id"] for row in state["rows"]] == ["low_weight", "contradiction"]
    assert "weight 0.1; likeness 0.20" in html
    assert try_it["visible"]
    assert not_it["visible"]
    state, html, *_ = diagnosis._next(SERVICES, state)
    assert "exclude each other" in html
    state, html, try_it, not_it, _ = diagnosis._next(SERVICES, state)
    assert "Another seed" in html
    assert not try_it["visible"]
    assert not not_it["visible"]


def test_try_this_changes_one_field_and_keeps_the_seed() -> None:
    state = diagnosis._looked(SERVICES, PARAMETERS)[0]
    typed, _, *updates = diagnosis._tried(SERVICES, state, 2 * len(FIELDS))
    changed = {at: update["value"] for at, update in enumerate(updates) if "value" in update}
    assert changed == {list(FIELDS).index("weight"): 0.8}
    assert json.loads(typed) == {"seed": 5, "generate": True, "best_of": 1, "keep": 1}
    typed, _, *updates = diagnosis._tried(SERVICES, {**state, "at": 1}, 2 * len(FIELDS))
    assert not [update for update in updates if "value" in update]
    assert json.loads(typed) == {
        "seed": 5, "generate": True, "best_of": 1, "keep": 1, "prompt": "portrait, smiling"
    }  # fmt: skip


def test_the_second_unit_is_the_second_unit() -> None:
    state = diagnosis._looked(SERVICES, PARAMETERS.replace("FaceID 0", "FaceID 1"))[0]
    _, _, *updates = diagnosis._tried(SERVICES, state, 2 * len(FIELDS))
    assert [at for at, update in enumerate(updates) if "value" in update] == [
        len(FIELDS) + list(FIELDS).index("weight")
    ]
    _, _, *updates = diagnosis._tried(SERVICES, state, len(FIELDS))  # the page has one unit
    assert not [update for update in updates if "value" in update]


def test_nothing_and_no_picture_and_a_problem() -> None:
    fine = PARAMETERS.replace("0.20", "0.70").replace(", serious", "")
    assert "Nothing wrong" in diagnosis._looked(SERVICES, fine)[1]
    assert "no picture yet" in diagnosis._looked(SERVICES, " ")[1]
    broken = replace(SERVICES, facts_of=lambda _: 1 / 0)  # pyright: ignore[reportArgumentType]
    assert "ZeroDivisionError" in diagnosis._looked(broken, "x")[1]


def test_a_change_that_only_a_user_can_make_has_no_button() -> None:
    row = {"seen": "<b>", "cause": "", "evidence": "", "rule": "", "change": {"words": "", "value": None}}
    shown = diagnosis._state({"rows": [row], "at": 0, "unseen": ["<i>"]})
    assert not shown[2]["visible"]
    assert shown[3]["visible"]
    assert "<b>" not in shown[1]
    assert "<i>" not in shown[1]


def test_the_folds_are_in_the_page_and_no_argument_of_a_job() -> None:
    with gr.Blocks() as page:
        units = build_units("txt2img", SERVICES, 2)
    ids = [getattr(block, "elem_id", None) for block in page.blocks.values()]
    assert {"txt2img_faceid_diagnosis_look", "txt2img_faceid_template_fill"} <= set(ids)
    arguments = {getattr(one, "elem_id", "") or "" for one in units.arguments}
    assert not [one for one in arguments if "diagnosis" in one or "template" in one]


def seen(level: int, box: Box | None = None, side_px: int = 64) -> tuple[np.ndarray, PictureScore]:
    """A picture of one grey with noise in its middle, and a score with its face there."""
    noise = np.random.default_rng(5).integers(0, 40, (side_px, side_px, 1), np.uint8)
    picture = np.full((side_px, side_px, 3), level, np.uint8) + noise
    unit = UnitScore(0, 0.5, box or Box(0.2, 0.2, 0.8, 0.8))
    return picture, PictureScore("a", (unit,), faces=1, size_px=(side_px, side_px))


def test_a_look_at_weight_0_belongs_to_the_pictures_of_the_same_settings() -> None:
    looks = LastLooks()
    plain = PARAMETERS.partition(', FaceID 0: "')[0].partition(" FaceID 0")[0].rstrip(", ") + ", FaceID compared: at 0"
    other = PARAMETERS.replace("Seed: 5", "Seed: 6")
    assert not looks.keep_plain(plain, seen(90)[0]), "there is no picture to compare with yet"
    for parameters in (PARAMETERS, other):
        looks.keep(parameters, *seen(90))
    assert looks.facts_of(PARAMETERS).plain_look is None
    assert looks.keep_plain(plain, np.zeros((64, 64, 3), np.uint8))
    facts = looks.facts_of(PARAMETERS)
    assert facts.plain_look is not None
    assert facts.plain_look.clipped == 1.0
    assert facts.look == looks.facts_of(other).look
    assert facts.units[0].likeness == (0.5,)
    assert looks.facts_of(other).plain_look is None
    for number in range(70):
        looks.keep(f"a\nSteps: {number}, Sampler: x, Size: 1x1", *seen(90))
    assert looks.facts_of(PARAMETERS).look is None, "only the last are known"


def test_a_click_compares_with_weight_0_by_our_own_page_or_by_the_hosts_button() -> None:
    looks = LastLooks()
    looks.keep(PARAMETERS, *seen(90))
    services = replace(SERVICES, facts_of=looks.facts_of)
    assert not diagnosis._looked(services, PARAMETERS)[4]["visible"], "nothing here can draw it"
    by_host = diagnosis._looked(services, PARAMETERS, by_host=True)
    assert by_host[4]["visible"]
    assert json.loads(diagnosis._plain_job(by_host[0])) == {"seed": 5, "request": '{"plain": true}', "generate": True}
    own = replace(services, draw_plain=lambda text: looks.keep_plain(text, seen(90)[0]) and None)
    state, html, *_, compare = diagnosis._looked(own, PARAMETERS)
    assert compare["visible"]
    assert "at weight 0 were not looked at" in html
    meanwhile, then = diagnosis._compared(own, state)
    assert "Drawing the same picture" in meanwhile[1]
    assert "at weight 0 were not looked at" not in then[1]
    assert not then[4]["visible"]
    assert diagnosis._again(own, state)[1] == then[1]
    looks.keep(PARAMETERS, *seen(90))
    assert "drawn with other settings" in diagnosis._again(own, state)[1]


def test_what_cannot_be_drawn_at_weight_0_is_a_sentence_below_the_diagnosis(tmp_path: Path) -> None:
    last = LastPictures(Session(Resources(Roots((tmp_path,)))))
    services = replace(SERVICES, facts_of=last.facts_of, draw_plain=last.draw_plain)
    _, then = diagnosis._compared(services, diagnosis._looked(services, PARAMETERS)[0])
    assert "none of the last" in then[1]
    assert "weight 0.1" in then[1]


def test_a_template_fills_the_prompt_and_is_saved(tmp_path: Path) -> None:
    services = replace(SERVICES, templates_folder=tmp_path)
    form = templates._blocks_of(services, "Window light")
    assert form[1] == "slight smile, looking to the side"
    request: dict[str, Any] = json.loads(templates._filled(*form))
    assert request["prompt"].startswith("portrait of a person, slight smile")
    assert request["negative"].startswith("blurry")
    choices, told = templates._save(services, "Ours", *form)
    assert "Ours" in choices["choices"]
    assert "ours.json" in told
    assert templates._blocks_of(services, "Ours") == form
    assert "name" in templates._save(services, "", *form)[1]
    assert "No templates" in templates._save(SERVICES, "Ours", *form)[1]


@pytest.mark.parametrize("has_score", [True, False])
def test_the_last_picture_is_looked_at(has_score: bool, tmp_path: Path) -> None:
    class DoneJob:
        prepared = asked_controls = ()

    last = LastPictures(Session(Resources(Roots((tmp_path,)))))
    unit = UnitScore(0, 0.5, Box(0.2, 0.2, 0.8, 0.8))
    score = PictureScore("a", (unit,), faces=2, others=1, size_px=(64, 64)) if has_score else None
    image = Image.fromarray(np.full((64, 64, 3), 90, np.uint8))
    last.keep(DoneJob(), [GeneratedImage(image, Request("p"), PARAMETERS, 1.0, score=score)])  # pyright: ignore[reportArgumentType]
    facts = last.facts_of(f"\n{PARAMETERS}\n")
    assert facts.look is not None
    assert facts.others == (1 if has_score else 0)
    assert facts.units[0].likeness == ((0.5,) if has_score else (0.2,))
    assert last.facts_of("another").look is None


def test_each_picture_of_a_job_is_looked_at_once_and_those_of_the_job_before_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(LastLooks, "keep", lambda _self, parameters, *_: looked.append(parameters))
    last = LastPictures(Session(Resources(Roots((tmp_path,)))))
    job: Any = SimpleNamespace(prepared=(), asked_controls=())
    image = Image.new("RGB", (64, 64))
    texts = [PARAMETERS.replace("Seed: 5", f"Seed: {seed}") for seed in (5, 6, 7)]
    pictures = [GeneratedImage(image, Request("p"), text, 1.0) for text in texts]
    for _ in range(2):  # the second job draws the very same pictures again
        for count in range(4):  # what the page tells of a job: none yet, one, two, three
            last.keep(job, pictures[:count])
    assert looked == [*texts, *texts]
