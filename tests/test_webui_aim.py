"""Aim in a WebUI that is played: which jobs are drawn, what they share, and how it ends when it cannot go on."""

from __future__ import annotations

from copy import copy
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lib_faceid.likeness.score import PictureScore, UnitScore
from lib_faceid.units.aim_request import INFOTEXT_KEY, PLAIN_TEXT
from lib_faceid.units.job_options import options_of
from lib_faceid.units.overrides import with_overrides
from lib_faceid.units.region import Box
from lib_faceid.units.unit import Unit
from tests.played_webui import Host, P

UNIT = {"person": "Anna", "weight": 1.2}


class Job(P):
    """A job with a number of batches that can be set."""

    n_iter = 3  # type: ignore[assignment]
    seed, subseed, override_settings = -1, -1, {}


@pytest.fixture
def played(host: Host, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The jobs that were drawn, and what begins an aim."""
    state = SimpleNamespace(job_count=-1, textinfo="", interrupted=False, skipped=False, stopping_generation=False)
    host.package.shared.state = state
    host.package.images.flatten = lambda picture, _colour: picture
    aiming = import_module("lib_faceid.hosts.webui.aiming")
    found = SimpleNamespace(jobs=[], state=state, begin=aiming.begin_aim, ends_at=99)

    def process_images(p: Any) -> Any:
        aiming.begin_aim(p, [UNIT, {"aim": 0.5}])  # as the WebUI calls us for it, too
        (unit,) = with_overrides([Unit.from_dict(UNIT)], p)
        found.jobs.append(SimpleNamespace(p=p, weight=unit.weight))
        state.interrupted = len(found.jobs) >= found.ends_at
        return SimpleNamespace(images=[np.full((4, 4, 3), 100 * unit.weight, np.uint8)], index_of_first_image=0)

    processing = host.package.processing
    processing.process_images, processing.get_fixed_seed = process_images, lambda seed: 7 if seed == -1 else seed
    likeness = lambda picture: float(picture.mean()) / 200  # noqa: E731 - half of the weight
    monkeypatch.setattr(aiming._Aiming, "_likeness", lambda _self, picture: likeness(picture))
    return found


def test_the_probes_are_jobs_of_their_own_and_the_job_has_what_was_found(played: SimpleNamespace) -> None:
    p = Job(["a person"] * 3, batch_size=3, enable_hr=True)
    played.begin(p, [UNIT, {"aim": 0.5}])
    assert played.jobs[0].weight == 0
    assert len(played.jobs) <= 8
    found = p.extra_generation_params[INFOTEXT_KEY]
    assert found["reached"]
    assert found["proposed"] == pytest.approx(1.0, abs=0.06)
    assert found() == found["sentence"]
    (unit,) = with_overrides([Unit.from_dict(UNIT)], p)
    assert unit.weight == found["proposed"]
    assert (p.n_iter, p.batch_size, p.seed) == (1, 1, 7)
    for one in played.jobs:
        assert one.p is not p
        assert one.p.extra_generation_params is not p.extra_generation_params
        assert (one.p.seed, one.p.enable_hr, one.p.do_not_save_samples) == (7, False, True)
        assert not one.p.comments
        assert one.p.closed
    drawn = len(played.jobs)
    played.begin(copy(p), [UNIT, {"aim": 0.5}])  # as ADetailer does in the middle of the job
    assert len(played.jobs) == drawn


def test_nothing_is_aimed_for_unless_it_is_asked(played: SimpleNamespace) -> None:
    p = Job(["a person"])
    played.begin(p, [UNIT, {"best_of": 2}])
    assert not played.jobs
    assert p.n_iter == 3
    assert not p.extra_generation_params


def test_interrupted_the_job_ends_with_what_is_known(played: SimpleNamespace) -> None:
    p, played.ends_at = Job(["a person"]), 3
    played.begin(p, [UNIT, {"aim": 0.5}])
    assert len(played.jobs) == 3
    with pytest.raises(Exception, match=r"Aim was interrupted\. Likeness 0\.5"):
        p.init()


def test_skipped_the_job_has_the_best_so_far(played: SimpleNamespace, host: Host) -> None:
    p = Job(["a person"])
    real = host.package.processing.process_images

    def second_is_skipped(job: Any) -> Any:
        played.state.skipped = len(played.jobs) == 1
        return real(job)

    host.package.processing.process_images = second_is_skipped
    played.begin(p, [UNIT, {"aim": 0.5}])
    assert "NOT reached" in p.extra_generation_params[INFOTEXT_KEY]["sentence"]
    (unit,) = with_overrides([Unit.from_dict(UNIT)], p)
    assert unit.weight == 0


def test_what_a_probe_raises_ends_the_job_where_the_webui_listens(played: SimpleNamespace, host: Host) -> None:
    def fails(_p: Any) -> Any:
        raise MemoryError("the GPU is full")

    host.package.processing.process_images = fails
    p = Job(["a person"])
    played.begin(p, [UNIT, {"aim": 0.5}])
    with pytest.raises(MemoryError, match="full"):
        p.init()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([UNIT, {"aim": 2}], "from 0 to 1"),
        ([UNIT, {"aim": 0.5, "unit": 4}], "Unit 4 is off"),
        ([{"enabled": False}, {"aim": 0.5}], "Unit 0 is off"),
    ],
)
def test_what_cannot_be_aimed_for_ends_the_job(played: SimpleNamespace, args: list[Any], words: str) -> None:
    p = Job(["a person"])
    played.begin(p, args)
    with pytest.raises(Exception, match=words):
        p.init()
    assert not played.jobs


def test_a_job_at_weight_0_is_one_picture_of_nobody_and_no_aim(played: SimpleNamespace) -> None:
    looks = import_module("lib_faceid.hosts.webui.looks")
    p = Job(["a person"] * 3, batch_size=3)
    args = [*Unit.from_dict(UNIT).to_dict().values(), True, 8, 0, 1, True, PLAIN_TEXT]
    assert options_of(args).best_of == 8
    looks.begin_plain(p, args)
    played.begin(p, args)
    assert not played.jobs
    assert p.n_iter == p.batch_size == 1
    assert [unit.weight for unit in with_overrides([Unit.from_dict(UNIT), Unit()], p)] == [0, 0.8]
    assert looks.INFOTEXT_KEY in p.extra_generation_params
    untouched = Job(["a person"])
    looks.begin_plain(untouched, [*args[:-1], ""])
    assert looks.INFOTEXT_KEY not in untouched.extra_generation_params


def test_the_pictures_of_a_job_are_looked_at_where_somebody_was_scored(played: SimpleNamespace) -> None:
    looks, scores = (import_module(f"lib_faceid.hosts.webui.{name}") for name in ("looks", "scores"))
    settings = "a\nSteps: 4, Sampler: x, Seed: 7, Size: 64x64, FaceID 0: {}"
    image = np.full((64, 64, 3), 90, np.uint8)
    processed = SimpleNamespace(images=["grid", image], infotexts=["", settings], index_of_first_image=1)
    p = Job(["a person"])
    looks.keep_looks(p, processed)
    assert looks.LOOKS.facts_of(settings).look is None
    score = PictureScore("a", (UnitScore(0, 0.5, Box(0.2, 0.2, 0.8, 0.8)),), faces=1, size_px=(64, 64))
    scores.scores_of(p).add(0, 7, score)
    looks.keep_looks(p, processed)
    assert looks.LOOKS.facts_of(settings).look.contrast == pytest.approx(0, abs=1e-3)
    plain = Job(["a person"], extra_generation_params={looks.INFOTEXT_KEY: "at weight 0"})
    looks.keep_looks(plain, processed)
    assert looks.LOOKS.facts_of(settings).plain_look == looks.LOOKS.facts_of(settings).look
