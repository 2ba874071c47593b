"""The best of several seeds on our own host: the miniature draws a stranger, and the face models choose."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.scoring_cost import PICTURES, watched
from bench.search_tables import LOOKS_TABLE, fingerprint
from gallery import BLUE, strangers

pytest.importorskip("diffusers", reason="pictures are drawn on diffusers")

from lib_faceid.app.aiming import Aiming
from lib_faceid.app.beginnings import TRAINED
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import GeneratedImage, Session
from lib_faceid.commands.cli import main
from lib_faceid.errors import MismatchError, UnitError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.aiming import goal_for
from lib_faceid.miniature.trained import TRAINED_ADAPTER
from lib_faceid.models.folders import Roots
from lib_faceid.references.identity import Identity
from lib_faceid.units.infotext import unit_from_infotext
from lib_faceid.units.job_options import INFOTEXT_KEY, UNSCORED, JobOptions
from lib_faceid.units.unit import Unit
from training.captions import caption

WHO = "never_seen_00"
REQUEST = Request("a photo of a person, blue background", size_px=(128, 128), steps=8, cfg=2, seed=7)


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("who") / f"{WHO}.identity.safetensors"
    strangers("never_seen", 1)[WHO].save(path)
    return path


@pytest.fixture(scope="module")
def session(trained_checkpoint: Path, face_models: Path, who: Path) -> Session:
    roots = Roots((who.parent,), face_models=face_models)
    return Session(Resources(roots, trained_checkpoint, adapters=(TRAINED_ADAPTER,), identities=(who,)))


@pytest.fixture(scope="module")
def unit(who: Path) -> Unit:
    return Unit(enabled=True, person=str(who), adapter=str(TRAINED_ADAPTER))


def generated(session: Session, unit: Unit, *requests: Request, **options: Any) -> list[GeneratedImage]:
    job = session.job([unit], requests[0])
    checkpoint = session.resources.find_checkpoint()
    return list(session.draw(checkpoint, job, requests, options=JobOptions(**options)))


def counted(session: Session, work: Callable[[], list[GeneratedImage]]) -> tuple[list[GeneratedImage], int]:
    """Return what was generated, and how often the UNet was called for it."""
    calls: list[int] = []
    handle = session._loaded(session.resources.find_checkpoint()).unet.register_forward_pre_hook(
        lambda *_: calls.append(1)
    )
    try:
        return work(), len(calls)
    finally:
        handle.remove()


def test_the_best_is_the_picture_of_its_seed_and_calls_are_counted(session: Session, unit: Unit) -> None:
    (best, second), calls = counted(session, lambda: generated(session, unit, REQUEST, best_of=4, keep=2))
    assert best.search
    assert best.search is second.search
    assert calls == best.search.calls < 4 * REQUEST.steps
    assert best.seeds == [7, 8, 9, 10]
    assert {best.request.seed, second.request.seed} == {best.seeds[one] for one in best.search.chosen}
    assert INFOTEXT_KEY in best.parameters
    plain, calls = counted(session, lambda: generated(session, unit, replace(REQUEST, seed=best.request.seed)))
    assert np.array_equal(np.asarray(plain[0].image), np.asarray(best.image))
    assert calls == REQUEST.steps
    assert INFOTEXT_KEY not in plain[0].parameters


def test_without_look_ahead_the_best_of_all_is_taken(session: Session, unit: Unit, analyser: FaceAnalyser) -> None:
    (best,), calls = counted(session, lambda: generated(session, unit, REQUEST, best_of=3, look_ahead=False))
    assert calls == 3 * REQUEST.steps
    assert best.search
    ends = [one.likeness for one in best.search.candidates]
    assert best.search.best == max(ends)  # type: ignore[type-var]
    faces = analyser.search(np.asarray(best.image)).faces
    person = strangers("never_seen", 1)[WHO].averaged().normed_embeddings[0].numpy()
    seen = max(float(one.id_embedding @ person / np.linalg.norm(one.id_embedding)) for one in faces)
    assert best.search.best == pytest.approx(seen, abs=1e-3)


def test_a_target_that_is_easy_takes_one_picture_and_the_next_picture_has_other_seeds(
    session: Session, unit: Unit
) -> None:
    requests = [REQUEST, replace(REQUEST, seed=8)]
    pictures, calls = counted(
        session, lambda: generated(session, unit, *requests, best_of=4, likeness_target=0.05, look_ahead=False)
    )
    assert [one.request.seed for one in pictures] == [7, 11]
    assert calls == 2 * REQUEST.steps


def test_nobody_and_another_recogniser_are_refused(session: Session, unit: Unit, tmp_path: Path) -> None:
    with pytest.raises(UnitError, match="best_of"):
        generated(session, replace(unit, enabled=False), REQUEST, best_of=2)
    stranger = strangers("never_seen", 1)[WHO]
    other = tmp_path / "other.identity.safetensors"
    Identity(stranger.id_embeddings, recogniser="w600k_r50-12345678").save(other)
    resources = replace(session.resources, identities=(other,))
    with pytest.raises(MismatchError, match="recogniser"):
        generated(Session(resources), replace(unit, person=str(other)), REQUEST, best_of=2)


def test_no_step_waits_for_a_look(session: Session, unit: Unit) -> None:
    """Each picture is looked at once, when its last UNet call is over; without scores none is, for the same calls."""
    short = replace(REQUEST, steps=3)
    scored, plain = (watched(session, unit, short, one) for one in (JobOptions(), UNSCORED))
    assert len(scored.calls) == len(plain.calls) == PICTURES * short.steps
    assert (len(scored.looks), scored.looks_within(short.steps)) == (PICTURES, 0)
    assert plain.looks == []


def test_aim_proposes_and_changes_nothing(session: Session, unit: Unit) -> None:
    short = replace(REQUEST, steps=4)
    found = Aiming(session, session.resources.find_checkpoint(), [unit], short).run(goal_for([unit], 0, "weight", 0.95))
    assert found.proposed is None
    assert "NOT reached" in found.sentence()
    assert found.curve[0].value == 0
    assert found.curve[0].change == 0
    assert all(one.change > 0 for one in found.curve[1:] if one.change is not None)
    assert unit.weight == 0.8
    with pytest.raises(UnitError, match="off"):
        goal_for([replace(unit, enabled=False)], 0, "weight", 0.5)


def test_the_commands(session: Session, unit: Unit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resources = session.resources
    common = [
        "--person", unit.person, "--adapter", unit.adapter, "--checkpoint", str(resources.checkpoint), "--prompt",
        REQUEST.prompt, "--size", "128x128", "--steps", "4", "--cfg", "2", "--seed", "7", "--face-models",
        str(resources.roots.face_models),
    ]  # fmt: skip
    assert main(["generate", *common, "--best-of", "3", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "3 seeds tried, 1 dropped on the way" in told
    assert len(list(tmp_path.glob("seed*.png"))) == 1
    assert main(["aim", *common, "--likeness", "0.1", "--json"]) == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert data["reached"] is True
    assert data["seed"] == 7
    assert main(["generate", *common, "--best-of", "3", "--keep", "4", "--out", str(tmp_path)]) == 2
    assert "at most as many" in capsys.readouterr().err


def test_the_metadata_of_a_search_change_no_unit() -> None:
    assert unit_from_infotext("best of: 8, first seed: 7, tried: 8")[0] == unit_from_infotext("")[0]


def test_our_own_page_searches_and_aims(session: Session, unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    gr = pytest.importorskip("gradio")
    from lib_faceid.app.own_page import asked_for
    from lib_faceid.app.own_page_aim import wire_aim
    from lib_faceid.ui.aim import build_aim
    from lib_faceid.units.unit import FIELDS

    units = [getattr(unit, name) for name in FIELDS]
    asked = ["a photo of a person", "", "miniature", 128, 128, 4, 2.0, 7, 1]
    args = [*asked, *["None", "picture", None, 1, 0, 1] * 2, *units, True, 3, 0, 2, True]
    _, (found,), (request,), options, _ = asked_for(args)
    assert (found, request.seed, options) == (unit, 7, JobOptions(best_of=3, keep=2))
    checkpoint = session.resources.find_checkpoint()
    monkeypatch.setattr(Resources, "checkpoint_of", lambda *_: checkpoint)
    with gr.Blocks() as page:
        parts, components = build_aim("faceid_aim"), [gr.State(value) for value in units]
        wire_aim(session, parts, [gr.State(value) for value in args], components, asked_for)
    every = page.fns.values() if isinstance(page.fns, dict) else page.fns
    by_name = {one.fn.__name__: one.fn for one in every if one.fn is not None}
    waits, told = by_name["aimed"](0.1, "weight", 0, *args)
    assert waits[1] is None
    assert "<circle" in told[0]
    assert told[1][:2] == [0, "weight"]
    values = by_name["taken"](told[1])
    assert values[0] == told[1][2]
    assert len(values) == 3
    (_, refused) = by_name["aimed"](0.1, "weight", 4, *args)
    assert "Unit 4 is off" in refused[0]


@pytest.mark.slow("four seeds, looked at on the way")
def test_the_engine_sees_what_the_trials_are_played_on(session: Session, unit: Unit) -> None:
    """The recorded table was made by a loop of its own: the likeness of the estimates, and of the pictures."""
    table = json.loads(LOOKS_TABLE.read_text("utf-8"))
    if table["miniature"] != fingerprint():
        pytest.skip("the table was recorded with other weights; python -m bench.search_tables makes it anew")
    request = Request(
        caption(BLUE), size_px=(128, 128), steps=table["steps"], cfg=TRAINED.cfg, seed=table["first_seed"]
    )
    (best,) = generated(session, unit, request, best_of=4)
    assert best.search
    steps = [*table["looks"], table["steps"]]
    for one in best.search.candidates:
        for step, likeness in one.seen:
            assert likeness == pytest.approx(table["likeness"][WHO][one.number][steps.index(step)], abs=0.01)
