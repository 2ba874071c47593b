"""Regions in a picture that another extension draws in tiles: each tile shows its own part of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from contributions import changed, contribution
from played_webui import Host, P, job_of
from torch import Tensor, nn
from unets import call, identity_of, inputs

from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.methods.adapter import Adapter
from lib_faceid.unet.regions import Region
from lib_faceid.unet.rows import tag_rows
from lib_faceid.unet.tiles import Tiles
from lib_faceid.units.region import PLACES, WHOLE, Box

CANVAS = (16, 32)
LEFT, MIDDLE, RIGHT = Box(0, 0, 0.5, 1), Box(0.25, 0, 0.75, 1), Box(0.5, 0, 1, 1)
TILE = (16, 16)


def test_calls_come_in_the_order_of_the_tiles_again_and_again() -> None:
    tiles = Tiles(CANVAS, [[LEFT, MIDDLE], [RIGHT]])
    for _ in range(2):
        assert tiles.next_parts(TILE, 4) == [LEFT, MIDDLE]
        assert tiles.next_parts(TILE, 2) == [RIGHT]
    assert tiles.next_parts(TILE, 2) == [LEFT, MIDDLE]  # cond and uncond apart


def test_what_is_as_large_as_the_picture_is_the_picture() -> None:
    assert Tiles(CANVAS, [[LEFT]]).next_parts(CANVAS, 2) == (WHOLE,)
    assert Tiles().next_parts(TILE, 2) == (WHOLE,)


@pytest.mark.parametrize(
    ("batches", "calls"),
    [
        ([], [(TILE, 2)]),
        ([[LEFT, RIGHT]], [(TILE, 3)]),  # rows that do not share out
        ([[LEFT, RIGHT]], [((16, 8), 2)]),  # a part of another size
        ([[LEFT, RIGHT], [MIDDLE]], [(TILE, 2), (TILE, 2)]),  # more rows for one tile than for another
    ],
)
def test_what_does_not_fit_is_not_known(batches: list[list[Box]], calls: list[tuple[tuple[int, int], int]]) -> None:
    tiles = Tiles(CANVAS, batches)
    *_, last = [tiles.next_parts(*one) for one in calls]
    assert last is None


def test_a_box_in_a_view_and_back() -> None:
    box, view = Box(0.3, 0.4, 0.5, 0.9), Box(0.25, 0.25, 0.75, 1)
    assert box.seen_from(view).inside(view) == pytest.approx(box)


# ------------------------------------------------------------------------------------------------------ in a UNet
def tagged(slots: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    latents, steps, context = inputs(rows=len(slots))
    return latents, steps, tag_rows(context, slots)


@pytest.mark.parametrize("is_mask", [False, True])
@pytest.mark.parametrize("view", [WHOLE, Box(0, 0, 0.8, 1)])
def test_each_row_acts_as_in_a_view_of_its_tile(ldm: nn.Module, adapter: Adapter, *, is_mask: bool, view: Box) -> None:
    """Two images in three tiles of an inpainted part: what comes of a tile alone comes of it among others."""
    mask = torch.zeros(64, 128)
    mask[:, 30:70] = 1
    regions = [Region(mask=mask) if is_mask else Region(PLACES["left"]), Region(PLACES["right"])]
    both = contribution(adapter, [identity_of(1), identity_of(2)], 1.0, regions=regions)
    slots, tiles = [1, 2, -1, -2], [LEFT, MIDDLE, RIGHT]
    latents, steps, context = tagged(slots)
    expected: list[Tensor] = []
    for tile in tiles:
        with inject(ldm, [both], tile.inside(view)) as injection:
            injection.expect_tags([context.shape[1]])
            expected.append(call(ldm, (latents, steps, context)))
    with inject(ldm, [both], view) as injection:
        injection.expect_tags([context.shape[1]], tiles=Tiles(CANVAS, [tiles[:2], tiles[2:]]))
        together = [call(ldm, (twice(latents), twice(steps), twice(context))), call(ldm, (latents, steps, context))]
    assert (torch.cat(together) - torch.cat(expected)).abs().max() < 1e-4
    assert min(float((a - b).abs().max()) for a, b in pairwise(expected)) > 0.01


def test_a_call_may_name_its_place(ldm: nn.Module, one: Contribution) -> None:
    """A box that is drawn between the tiles, in any number of calls."""
    one = changed(one, weight=1.0, regions=[Region(PLACES["left"])])
    latents, steps, context = inputs()
    marked = latents, steps, tag_rows(context, [1, -1], place=1)
    with inject(ldm, [one], MIDDLE) as injection:
        injection.expect_tags([78])
        expected = call(ldm, tagged([1, -1]))
    with inject(ldm, [one]) as injection:
        injection.expect_tags([78], tiles=Tiles(CANVAS, [[LEFT], [RIGHT]], [MIDDLE]))
        first = call(ldm, tagged([1, -1]))
        assert torch.equal(call(ldm, marked), expected)
        assert torch.equal(call(ldm, marked), expected)
        assert not torch.equal(call(ldm, tagged([1, -1])), first)  # the second tile
        assert injection.watch.unplaced_calls == 0


def twice(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows])


def test_in_a_part_of_unknown_place_everybody_acts_everywhere_and_it_is_counted(
    ldm: nn.Module, one: Contribution
) -> None:
    arguments = tagged([1, -1])
    pictures: list[Tensor] = []
    for regions in ([], [Region(PLACES["left"])]):
        with inject(ldm, [replace(one, regions=regions)]) as injection:
            injection.expect_tags([78], tiles=Tiles(CANVAS))
            pictures.append(call(ldm, arguments))
            assert injection.watch.unplaced_calls == len(regions)
    assert torch.equal(*pictures)


# ---------------------------------------------------------------------------------------------------- in the WebUI
class Cutter:
    """Tiled Diffusion at work, as far as it can be seen from outside."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.h, self.w = size
        tile = SimpleNamespace(x=0, y=0, w=4, h=8), SimpleNamespace(x=2, y=0, w=4, h=8)
        self.custom_bboxes: list[Any] = []
        self.batched_bboxes = [[*tile], [SimpleNamespace(x=4, y=0, w=4, h=8)]]

    def kdiff_forward(self) -> None: ...


@pytest.mark.parametrize("method", ["MultiDiffusion", "Mixture of Diffusers", "of another size", "none"])
def test_tiled_diffusions_tiles_are_read(host: Host, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    cutter, model = Cutter((16, 16) if method == "of another size" else (8, 8)), nn.Identity()
    if method == "Mixture of Diffusers":
        host.package.shared.sd_model.apply_model = cutter.kdiff_forward
    elif method != "none":
        monkeypatch.setattr(model, "forward", cutter.kdiff_forward)
    p = P(["x"])
    host.draw(p, {"person": "Anna", "region": "left"})
    host.step(p, model=model)
    injection: Any = job_of(p)._job.injection
    is_known = method in ("MultiDiffusion", "Mixture of Diffusers")
    assert injection._tiles.next_parts((8, 4), 4) == ([LEFT, MIDDLE] if is_known else None)
    assert injection._tiles.next_parts((8, 8), 2) == (WHOLE,)


class Entry(NamedTuple):
    """The WebUI's, for one stretch of steps."""

    end_at_step: int
    cond: Any


def region_box(x: int, prompts: int, *, is_sdxl: bool) -> Any:
    """A box of region control: 4 x 8 latents, a conditioning for each of two images, and one for what they are not."""
    context = torch.ones(77, 8)
    cond = {"crossattn": context, "vector": context[0]} if is_sdxl else context
    parts = [[SimpleNamespace(schedules=[Entry(2, cond), Entry(4, cond)], weight=1.0)] * prompts for _ in range(2)]
    return SimpleNamespace(
        x=x, y=0, w=4, h=8, cond=SimpleNamespace(batch=parts), uncond=[[Entry(4, cond)], [Entry(4, cond)]]
    )


def tags(entries: Iterable[Entry]) -> list[tuple[float, ...]]:
    contexts = [entry.cond["crossattn"] if isinstance(entry.cond, dict) else entry.cond for entry in entries]
    return [tuple(context[0, :2].tolist()) for context in contexts if len(context) == 78]


@pytest.mark.parametrize("is_sdxl", [False, True])
def test_the_prompts_of_region_control_carry_tags_for_one_step(host: Host, *, is_sdxl: bool) -> None:
    cutter = Cutter((8, 8))
    cutter.custom_bboxes = [region_box(0, 1, is_sdxl=is_sdxl), region_box(4, 2, is_sdxl=is_sdxl)]
    untouched = [(box.cond, box.uncond) for box in cutter.custom_bboxes]
    host.package.shared.sd_model.apply_model = cutter.kdiff_forward
    p = P(["x", "x"], batch_size=2)
    host.draw(p, {"person": "Anna", "region": "left"})

    def entries(box: Any) -> list[Entry]:
        return [entry for parts in box.cond.batch for part in parts for entry in part.schedules]

    for _ in range(2):
        host.step(p)
        for at, box in enumerate(cutter.custom_bboxes, 1):
            assert tags(entries(box)) == [(image, at) for image in (1, 2) for _ in range(at * 2)]
            assert tags(entry for one in box.uncond for entry in one) == [(-1, at), (-2, at)]
        injection: Any = job_of(p)._job.injection
        assert 78 in injection._tagged_lengths
        assert injection._tiles.next_parts((8, 4), 2, 2) == [Box(0.5, 0, 1, 1)]
        host.webui.on_denoised(None)
        assert [(box.cond, box.uncond) for box in cutter.custom_bboxes] == untouched
        assert not tags(entry for box in cutter.custom_bboxes for entry in entries(box))
    host.step(p)
    p.close()  # in the middle of a step
    assert [(box.cond, box.uncond) for box in cutter.custom_bboxes] == untouched


def test_a_job_says_where_its_regions_did_not_hold(host: Host) -> None:
    p = P(["x"])
    host.draw(p, {"person": "Anna", "region": "left", "lora": 0})
    params = host.step(p)
    latents, steps, _ = inputs()
    call(host.unet, (latents, steps, torch.cat([params.text_cond, params.text_uncond])))
    host.webui.report(p)
    assert [comment for comment in p.comments if "regions did NOT hold" in comment and comment.endswith(": 1")]
