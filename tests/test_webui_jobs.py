"""The WebUI's jobs of several batches and pictures, with its modules played: what is written into each picture."""

from __future__ import annotations

import traceback
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from played_webui import Host, P, job_of

from lib_faceid.units.infotext import pasted
from lib_faceid.units.overrides import override

pytest.importorskip("fastapi")

PERSON = {"person": "Bert"}
LINE = "FaceID 0"


def call_unet(host: Host, params: Any) -> None:
    """What the sampler does after our callback."""
    rows = torch.cat([params.text_cond, params.text_uncond])
    with torch.no_grad():
        host.unet(torch.zeros(len(rows), 4, 8, 8), torch.full((len(rows),), 500), rows)


def drawn(host: Host, p: P, number: int, *, is_skipped: bool) -> str:
    """Go through a batch and return what its pictures' metadata say of the unit; a skipped one has no step."""
    host.batch(p, number)
    if not is_skipped:
        call_unet(host, host.step(p))
        host.webui.on_denoised(None)
    host.webui.report(p)
    return str(p.extra_generation_params[LINE])


@pytest.mark.parametrize("skipped", [(True, False), (False, True), (True, False, True), (False, False), (True, True)])
def test_the_metadata_of_each_batch_are_true_of_that_batch(host: Host, skipped: tuple[bool, ...]) -> None:
    """Pasted, "not applied" switches the unit off; a picture without the person must not claim to have one."""
    p = host.process(P(["x"] * len(skipped)), PERSON)
    line = p.extra_generation_params[LINE]
    assert line != "not applied"
    found = [drawn(host, p, number, is_skipped=one) for number, one in enumerate(skipped)]
    assert found == ["not applied" if one else line for one in skipped]
    told = [comment for comment in p.comments if "NOT applied" in comment]
    assert [comment.split(":")[0] for comment in told] == [
        f"FaceID 0 was NOT applied in batch {number}" for number, one in enumerate(skipped, 1) if one
    ]


def test_the_only_batch_is_not_numbered(host: Host) -> None:
    p = host.process(P(["x"]), PERSON)
    assert drawn(host, p, 0, is_skipped=True) == "not applied"
    assert any(comment.startswith("FaceID 0 was NOT applied: no step reached it.") for comment in p.comments)


def test_a_cell_of_a_plot_at_weight_0_says_so(host: Host) -> None:
    """A grid has the metadata of its first cell. A unit that is at 0 by itself leaves the metadata plain."""
    p = P(["x"])
    override(p, 0, "weight", 0.0)
    host.process(p, PERSON)
    assert p.extra_generation_params[LINE] == "off (weight 0)"
    assert pasted(p.extra_generation_params, 0, "weight") is None
    override(p, 0, "weight", 0.4)
    assert "weight: 0.4" in host.process(p, PERSON).extra_generation_params[LINE]
    assert LINE not in host.process(P(["x"]), {**PERSON, "weight": 0.0}).extra_generation_params


def test_what_is_refused_is_told_without_where_it_came_from(host: Host) -> None:
    """The host prints the traceback of a job that failed: of a refusal, no more than its own way here."""
    p = host.process(P(["x"]), {"person": "Nobody"})
    with pytest.raises(Exception, match="Nobody") as stopped:
        p.init()
    printed = "".join(traceback.format_exception(stopped.value))
    assert printed.count("Traceback") == 1
    assert "preparing.py" not in printed


def test_a_bug_keeps_where_it_came_from(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.webui, "models", lambda: 1 / 0)
    p = host.process(P(["x"]), PERSON)
    with pytest.raises(Exception, match="division") as stopped:
        p.init()
    assert "ZeroDivisionError" in "".join(traceback.format_exception(stopped.value))


# --------------------------------------------------------------------------------------- several pictures in img2img
def solid(grey: int) -> Image.Image:
    return Image.new("RGB", (64, 64), (grey, grey, grey))


@pytest.fixture
def flat(host: Host) -> None:
    """The WebUI's ways to a picture without transparency and of another size."""
    host.package.images.flatten = lambda picture, colour: np.asarray(picture)
    host.package.images.resize_image = lambda mode, picture, width, height: picture.resize((width, height))


@pytest.mark.parametrize(
    ("count", "batch_size", "expected"), [(1, 1, [10]), (1, 3, [10, 10, 10]), (2, 2, [10, 11]), (3, 3, [10, 11, 12])]
)
@pytest.mark.usefixtures("flat")
def test_faces_are_looked_for_in_each_image_s_own_picture(
    host: Host, monkeypatch: pytest.MonkeyPatch, count: int, batch_size: int, expected: list[int]
) -> None:
    """The WebUI takes as many pictures as a batch has images, or one for all; and does so in each batch."""
    pictures: list[Any] = [solid(10 + at) for at in range(count)]
    p = P(["x"] * 2 * batch_size, batch_size=batch_size, init_images=pictures)
    vars(p).update(resize_mode=0, width=32, height=32)
    host.process(p, {**PERSON, "region": "auto"})
    seen: list[tuple[int, list[int]]] = []

    def see(unet: Any, shown: list[Any], first: int) -> list[str]:
        assert {one.shape for one in shown} == {(32, 32, 3)}
        seen.append((first, [int(one[0, 0, 0]) for one in shown]))
        return []

    monkeypatch.setattr(job_of(p), "_job", Watched(job_of(p)._job, see))
    for number in range(2):
        host.batch(p, number)
        host.step(p)
    assert seen == [(0, expected), (batch_size, expected)]


class Watched(SimpleNamespace):
    """A job, of which one method is somebody else's."""

    def __init__(self, job: Any, see: Any) -> None:
        super().__init__(see=see)
        self._real = job

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
