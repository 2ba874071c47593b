"""Regions: the words, masks at every size, and that nothing of an identity leaks out of its region in a real UNet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import torch
from contributions import contribution
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from unets import SMALL, adapter_for, call, diffusers_copy, identity_of, inputs, ldm_unet, snapshot

from lib_faceid.effects.injection import Contribution, Injection, inject
from lib_faceid.errors import UnitError
from lib_faceid.methods.adapter import Adapter
from lib_faceid.unet.layers import attention_layers
from lib_faceid.unet.regions import Region, RegionMasks
from lib_faceid.units.region import EVERYWHERE, MASK, PLACES, WHOLE, Box, box_of, column, region_choices

LEFT, RIGHT = Region(PLACES["left"]), Region(PLACES["right"])
SIDES_PX = st.integers(8, 256).map(lambda latent: 8 * latent)  # 64 to 2048 in steps of 8


# ----------------------------------------------------------------------------------------------------------- the words
@pytest.mark.parametrize("word", region_choices())
def test_every_word_is_a_region(word: str) -> None:
    box = box_of(word)
    assert (box is None) == (word in (EVERYWHERE, "auto", MASK))
    if box:
        assert box_of(str(box)) == pytest.approx(box, abs=1e-4)


def test_words_are_read_kindly() -> None:
    assert box_of("  Top  LEFT ") == PLACES["top left"]
    assert box_of("center") == PLACES["centre"]
    assert box_of("box 0.1 .2 0.6 1") == Box(0.1, 0.2, 0.6, 1)


@pytest.mark.parametrize(
    "text",
    ["", "lefft", "box", "box 0 0 1", "box 0 0 1 1 1", "box 0.5 0 0.5 1", "box 0 0 1 nan", "box -1 0 1 1", "0 0 1 1"],
)
def test_anything_else_is_named(text: str) -> None:
    with pytest.raises(UnitError, match=r"region is .*box 0\.1 0\.2 0\.6 0\.9"):
        box_of(text)


# -------------------------------------------------------------------------------------------------- masks by themselves
def levels(side_px: int) -> list[int]:
    """Return the sides of a UNet's feature maps: the latent's, and three times half of it, rounded up."""
    sides = [side_px // 8]
    for _ in range(3):
        sides.append(-(-sides[-1] // 2))
    return sides


@given(width=SIDES_PX, height=SIDES_PX, feather=st.sampled_from([0, 8, 32, 200]), parts=st.integers(1, 4))
@settings(max_examples=examples(25), deadline=None)
def test_columns_share_a_picture_of_any_size(width: int, height: int, feather: int, parts: int) -> None:
    regions = [Region(column(part, parts), feather_px=min(feather, width / parts)) for part in range(parts)]
    for size in zip(levels(height), levels(width), strict=True):
        total = sum(region.weights(size, (height, width)) for region in regions)
        assert torch.allclose(torch.as_tensor(total), torch.ones(size), atol=1e-5)


@given(width=SIDES_PX, height=SIDES_PX, place=st.sampled_from(sorted(PLACES)))
@settings(max_examples=examples(25), deadline=None)
def test_a_hard_mask_is_exact_wherever_a_place_lies_on_one_side_of_its_edges(
    width: int, height: int, place: str
) -> None:
    box = PLACES[place]
    for rows, columns in zip(levels(height), levels(width), strict=True):
        weights = Region(box).weights((rows, columns), (height, width))
        for row in {0, rows // 2, rows - 1}:
            for at in {0, columns // 2, columns - 1}:
                x, y = (at + 0.5) / columns, (row + 0.5) / rows
                inside = box.left <= x < box.right and box.top <= y < box.bottom
                assert weights[row, at] == float(inside)


@given(width=SIDES_PX, height=SIDES_PX, feather=st.integers(0, 256), side=st.integers(1, 700))
@settings(max_examples=examples(15), deadline=None)
def test_a_mask_of_any_size_and_its_complement_share_a_picture(
    width: int, height: int, feather: int, side: int
) -> None:
    drawn = torch.rand(side, 2 * side, generator=torch.Generator().manual_seed(side)).round()
    for size in zip(levels(height), levels(width), strict=True):
        one, other = (
            Region(mask=mask, feather_px=feather).weights(size, (height, width)) for mask in (drawn, 1 - drawn)
        )
        assert torch.allclose(one + other, torch.ones(size), atol=1e-5)
        assert one.min() >= 0


def test_a_mask_of_a_box_is_the_box() -> None:
    mask = torch.zeros(512, 768)
    mask[:, :384] = 1
    for size in ((64, 96), (32, 48), (8, 12)):
        assert torch.equal(Region(mask=mask).weights(size, (512, 768)), LEFT.weights(size, (512, 768)))


def test_feathers_are_as_wide_as_they_say() -> None:
    weights = Region(PLACES["left"], feather_px=64).weights((1, 64), (8, 512))[0]
    edge = [round(float(value), 4) for value in weights if 0 < value < 1]
    assert len(edge) == 8  # 64 px of 512 are 8 places of 64
    assert edge == sorted(edge, reverse=True)
    assert weights[:28].eq(1).all()
    assert weights[36:].eq(0).all()


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_a_view_shows_a_part_of_the_region(kind: str) -> None:
    """An inpainted part of the picture: the left half of the picture is the left quarter of this view, and so on."""
    mask = torch.zeros(80, 80)
    mask[:, :40] = 1
    region = Region(PLACES["left"], mask if kind == "mask" else None)
    view = Box(0.25, 0.5, 0.75, 1.0)
    assert torch.equal(region.weights((4, 8), (32, 64), view), LEFT.weights((4, 8), (32, 64)))
    assert region.weights((4, 8), (32, 64), Box(0.5, 0, 1, 1)).eq(0).all()
    assert region.weights((4, 8), (32, 64), Box(0, 0, 0.5, 1)).eq(1).all()


def test_overlapping_regions_never_exceed_the_larger_weight() -> None:
    masks = RegionMasks([[LEFT], [Region(Box(0.25, 0, 1, 1), feather_px=32)], [None]])
    left, other, everywhere = masks.at(((8, 16), (8, 16)), (0.5, 1.0, 2.0), torch.zeros(()))
    assert left is not None
    assert other is not None
    assert everywhere is None  # acts everywhere, and adds to all
    total = 0.5 * left + 1.0 * other
    assert total.max() <= 1.0 + 1e-6
    assert left[0, :4].eq(1).all()
    assert torch.allclose(total.reshape(8, 16)[:, 5:8], torch.ones(8, 3))  # both are there: the larger weight, shared


def test_halves_with_feathers_leave_no_dip_between_them() -> None:
    halves = [[replace(LEFT, feather_px=64)], [replace(RIGHT, feather_px=64)]]
    left, right = RegionMasks(halves).at(((8, 16), (8, 16)), (1.0, 1.0), torch.zeros(()))
    assert left is not None
    assert right is not None
    assert torch.allclose(left + right, torch.ones_like(left), atol=1e-6)


# -------------------------------------------------------------------------------------------------- in a UNet of others
@pytest.fixture(scope="module")
def ldm() -> nn.Module:
    return ldm_unet(channels=SMALL)


@pytest.fixture(scope="module", params=["ldm", "diffusers"])
def unet(request: pytest.FixtureRequest, ldm: nn.Module) -> nn.Module:
    return ldm if request.param == "ldm" else diffusers_copy(ldm)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    return adapter_for(tmp_path_factory.mktemp("regions"))


@pytest.fixture(autouse=True)
def untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    unets = [request.getfixturevalue(name) for name in ("unet", "ldm") if name in request.fixturenames]
    before = [snapshot(module) for module in unets]
    yield
    assert [snapshot(module) for module in unets] == before


class AnySize:
    """torch, whose `cat` makes the sizes agree: by this hosts let `ldm` draw sizes that are no multiple of 64."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def cat(self, tensors: Sequence[Tensor], dim: int) -> Tensor:
        first, second = tensors
        return torch.cat((functional.interpolate(first, second.shape[-2:]), second), dim)


def of_any_size(unet: nn.Module, stack: ExitStack) -> None:
    module = sys.modules[type(unet).__module__]
    if hasattr(module, "th"):
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(module, "th", AnySize())


def blind_to_itself(unet: nn.Module, stack: ExitStack) -> None:
    """Take self-attention out: its cost grows with the fourth power of a picture's side, and it has no part in this."""
    for layer in attention_layers(unet):
        if not layer.is_cross:
            module = layer.module
            module.forward = lambda x, **_: torch.zeros_like(x)
            stack.callback(delattr, module, "forward")


def added(unet: nn.Module, contributions: Sequence[Contribution], latents: Tensor, rows: Sequence[int]) -> list[Tensor]:
    """Return what was added to the input of every cross-attention's output projection, as feature maps [B, C, h, w]."""
    before: dict[int, Tensor] = {}
    found: list[Tensor] = []
    sizes: list[tuple[int, int]] = []
    with ExitStack() as stack:
        blind_to_itself(unet, stack)
        of_any_size(unet, stack)

        def watch(module: nn.Module, hook: Callable[..., None]) -> None:
            stack.callback(module.register_forward_pre_hook(hook).remove)

        cross = [layer for layer in attention_layers(unet) if layer.is_cross]
        for layer in cross:
            block = unet.get_submodule(layer.name.split(".transformer_blocks.")[0])
            watch(block, lambda _module, args: sizes.append(tuple(args[0].shape[-2:])))
            watch(layer.projection("out"), lambda module, args: before.update({id(module): args[0]}))
        injection = stack.enter_context(inject(unet, contributions))
        for layer in cross:

            def after(module: nn.Module, args: Any) -> None:
                difference = (args[0] - before[id(module)]).transpose(1, 2)
                found.append(difference.unflatten(2, sizes[-1]))

            watch(layer.projection("out"), after)
        injection.set_rows(rows)
        arguments = (latents, *inputs(rows=len(rows))[1:])
        call(unet, arguments)
    return found


def check_nothing_leaks(unet: nn.Module, adapter: Adapter, size_px: tuple[int, int], box: Box) -> None:
    height, width = (side // 8 for side in size_px)
    latents = torch.randn(2, 4, height, width, generator=torch.Generator().manual_seed(1))
    person = contribution(adapter, [identity_of(1)], weight=1.0, regions=(Region(box),))
    maps = added(unet, [person], latents, (0, 1))
    assert len(maps) == 16
    for one in maps:
        inside = Region(box).weights((one.shape[2], one.shape[3]), size_px).bool()
        assert one[:, :, ~inside].eq(0).all()
        if inside.any():
            assert one[:, :, inside].abs().amax(1).min() > 0


@given(width=SIDES_PX, height=SIDES_PX)
@settings(max_examples=examples(3), deadline=None)
def test_outside_its_region_an_identity_adds_nothing_at_any_layer_of_any_size(width: int, height: int) -> None:
    check_nothing_leaks(*_real(), (height, width), PLACES["left"])


_kept: dict[str, tuple[nn.Module, Adapter]] = {}


def _real() -> tuple[nn.Module, Adapter]:
    return _kept["real"]  # hypothesis runs a test many times: fixtures of a module may not be asked for here


@pytest.fixture(scope="module", autouse=True)
def real(ldm: nn.Module, adapter: Adapter) -> Iterator[None]:
    _kept["real"] = ldm, adapter
    yield
    _kept.clear()


@pytest.mark.parametrize("place", ["left", "top right", "centre"])
@pytest.mark.parametrize("size_px", [(64, 64), (512, 520), (912, 1144), (136, 72)])
def test_the_sizes_at_which_others_fall_over(
    unet: nn.Module, adapter: Adapter, size_px: tuple[int, int], place: str
) -> None:
    check_nothing_leaks(unet, adapter, size_px, PLACES[place])


def drawn(unet: nn.Module, *contributions: Contribution, rows: tuple[int, ...] = (0, 1), **more: Any) -> Tensor:
    with inject(unet, contributions, **more) as injection:
        injection.set_rows(rows)
        return call(unet, inputs(rows=len(rows)))


def test_two_halves_of_a_person_are_the_person(unet: nn.Module, adapter: Adapter) -> None:
    whole = contribution(adapter, [identity_of(1)], weight=1.0)
    for feather in (0, 32):
        halves = [replace(whole, regions=(replace(side, feather_px=feather),)) for side in (LEFT, RIGHT)]
        assert (drawn(unet, *halves) - drawn(unet, whole)).abs().max() < 1e-4
    assert (drawn(unet, halves[0]) - drawn(unet, whole)).abs().max() > 0.01


def test_three_people_in_any_order(unet: nn.Module, adapter: Adapter) -> None:
    regions = (LEFT, Region(PLACES["centre"], feather_px=32), RIGHT)
    people = [contribution(adapter, [identity_of(seed)], 0.9, regions=(regions[seed],)) for seed in range(3)]
    expected = drawn(unet, *people)
    for order in ((2, 1, 0), (1, 2, 0)):
        assert (drawn(unet, *(people[at] for at in order)) - expected).abs().max() < 1e-5


def test_each_image_of_a_batch_may_have_its_own_region(unet: nn.Module, adapter: Adapter) -> None:
    person = contribution(adapter, [identity_of(1)], weight=1.0)
    got = drawn(unet, replace(person, regions=(LEFT, RIGHT)), rows=(1, 2, -1, -2))
    for image, side in enumerate((LEFT, RIGHT)):
        alone = drawn(unet, replace(person, regions=(side,)), rows=(1, 1, 0, 0))
        for row in (image, image + 2):  # with the identity, and without
            assert (got[row] - alone[row]).abs().max() < 1e-5
    assert (got[2] - drawn(unet, replace(person, regions=(RIGHT,)), rows=(1, 1, 0, 0))[2]).abs().max() > 1e-3


def test_without_regions_nothing_looks_at_sizes(ldm: nn.Module, adapter: Adapter) -> None:
    with inject(ldm, [contribution(adapter, [identity_of(1)])]) as injection:
        assert not injection.has_regions
        block = ldm.get_submodule("input_blocks.1.1")
        assert not block._forward_pre_hooks


def test_a_view_is_a_part_of_the_picture(ldm: nn.Module, adapter: Adapter) -> None:
    person = contribution(adapter, [identity_of(1)], weight=1.0)
    part = drawn(ldm, replace(person, regions=(LEFT,)), view=Box(0.25, 0, 0.75, 1))
    assert torch.equal(part, drawn(ldm, replace(person, regions=(LEFT,))))
    inside = drawn(ldm, replace(person, regions=(LEFT,)), view=PLACES["left"])
    assert (inside - drawn(ldm, person)).abs().max() < 1e-5


def test_merged_places_are_no_exception(ldm: nn.Module, adapter: Adapter) -> None:
    """Token merging in cross-attention leaves fewer places than the map has: about the right share, and no error."""
    person = contribution(adapter, [identity_of(1)], weight=1.0, regions=(LEFT,))
    with inject(ldm, [person]) as injection:
        injection.set_rows([0, 1])
        merged = _with_merging(ldm, injection)
    assert torch.isfinite(merged).all()


def _with_merging(ldm: nn.Module, _injection: Injection) -> Tensor:
    attention = attention_layers(ldm)[1].module
    plain = attention.forward

    def every_other_place(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return plain(x[:, ::2], *args, **kwargs).repeat_interleave(2, dim=1)

    attention.forward = every_other_place
    try:
        return call(ldm, inputs())
    finally:
        del attention.forward


def test_whole_is_the_whole() -> None:
    assert Region(WHOLE, feather_px=100).weights((3, 5), (24, 40)).eq(1).all()
