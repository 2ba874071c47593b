"""The folds of the diagnosis and of templates: one change at a time, the next row after *Not it*, a prompt filled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from lib_faceid.app.last_pictures import LastPictures
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import GeneratedImage
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
    state, html, try_it, not_it = diagnosis._looked(SERVICES, PARAMETERS)
    assert [row["id"] for row in state["rows"]] == ["low_weight", "contradiction"]
    assert "weight 0.1; likeness 0.20" in html
    assert try_it["visible"]
    assert not_it["visible"]
    state, html, _, _ = diagnosis._next(SERVICES, state)
    assert "exclude each other" in html
    state, html, try_it, not_it = diagnosis._next(SERVICES, state)
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
        prepared = ()

    last = LastPictures(Resources(Roots((tmp_path,))))
    unit = UnitScore(0, 0.5, Box(0.2, 0.2, 0.8, 0.8))
    score = PictureScore("a", (unit,), faces=2, others=1, size_px=(64, 64)) if has_score else None
    image = Image.fromarray(np.full((64, 64, 3), 90, np.uint8))
    last.keep(DoneJob(), [GeneratedImage(image, Request("p"), PARAMETERS, 1.0, score=score)])  # pyright: ignore[reportArgumentType]
    facts = last.facts_of(f"\n{PARAMETERS}\n")
    assert facts.look is not None
    assert facts.others == (1 if has_score else 0)
    assert facts.units[0].likeness == ((0.5,) if has_score else (0.2,))
    assert last.facts_of("another").look is None
