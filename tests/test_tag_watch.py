"""A face that other extensions keep from the UNet is missed; their own UNet calls are no alarm."""

from __future__ import annotations

import pytest
import torch

from lib_faceid.unet.tag_watch import TagWatch

CALLS = {"both": [-1, 1], "cond": [1], "uncond": [-1], "two": [-1, -2, 1, 2], "second": [2], "strange": None}
OK, ODD = ["both"], ["both", "strange"]


@pytest.mark.parametrize(
    ("steps", "missed"),
    [
        pytest.param([], 0, id="nothing yet"),
        pytest.param([OK, ["cond", "uncond"], ["cond"]], 0, id="as it should be, also without uncond"),
        pytest.param([OK, [], OK], 0, id="a UNet that is not called (what caches it)"),
        pytest.param([ODD, ["strange", "cond", "strange", "uncond"]], 0, id="calls of others beside ours"),
        pytest.param([["strange"], ["strange"]], 2, id="another prompt in place of ours"),
        pytest.param([["strange", "uncond"], ["uncond", "strange"]], 2, id="only uncond is ours"),
        pytest.param([OK, OK, ["strange", "uncond"], ODD], 1, id="in one step"),
        pytest.param([["strange"], OK], 1, id="in the first step"),
    ],
)
def test_what_is_missed(steps: list[list[str]], missed: int) -> None:
    watch = TagWatch()
    for step in steps:
        watch.begin_step(1)
        for call in step:
            watch.record_call(None if CALLS[call] is None else torch.tensor(CALLS[call]))
    assert (watch.steps, watch.missed(), watch.missed()) == (len(steps), missed, missed)
    assert watch.untagged_calls == sum(step.count("strange") for step in steps)


@pytest.mark.parametrize(("step", "missed"), [(["two", "strange"], 0), (["second", "strange"], 1)])
def test_one_image_of_a_batch_is_missed(step: list[str], missed: int) -> None:
    watch = TagWatch()
    watch.begin_step(2)
    for call in step:
        watch.record_call(None if CALLS[call] is None else torch.tensor(CALLS[call]))
    assert watch.missed() == missed


def test_nothing_is_kept_of_steps_in_order() -> None:
    watch = TagWatch()
    for _ in range(3):
        watch.begin_step(1)
        watch.record_call(torch.tensor([1, -1]))
    assert len(watch._slots) == 1
    assert watch._odd == []
