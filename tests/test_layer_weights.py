"""Weights of their own for the UNet's layers: which layer belongs to which block, and what the UNet then draws."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from contributions import bank_for, contribution
from torch import nn
from unets import call, diffusers_copy, drawn, identity_of, inputs, published_names, sdxl_unet

from lib_faceid.effects import injection
from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.errors import MismatchError
from lib_faceid.methods.adapter import Adapter
from lib_faceid.unet.blocks import block_numbers, layer_factors
from lib_faceid.unet.layers import attention_layers
from lib_faceid.units.layer_weights import LayerWeights
from lib_faceid.units.weight_types import BLOCKS, WEIGHT_TYPES

# As ComfyUI numbers them: family -> block -> the transformer's name in ldm or sgm, and in diffusers.
NAMES = {
    "SD 1.5": {
        0: ("input_blocks.1.1", "down_blocks.0.attentions.0"),
        4: ("input_blocks.7.1", "down_blocks.2.attentions.0"),
        5: ("input_blocks.8.1", "down_blocks.2.attentions.1"),
        6: ("middle_block.1", "mid_block.attentions.0"),
        7: ("output_blocks.3.1", "up_blocks.1.attentions.0"),
        9: ("output_blocks.5.1", "up_blocks.1.attentions.2"),
        15: ("output_blocks.11.1", "up_blocks.3.attentions.2"),
    },
    "SDXL": {
        0: ("input_blocks.4.1", "down_blocks.1.attentions.0"),
        3: ("input_blocks.8.1", "down_blocks.2.attentions.1"),
        4: ("middle_block.1", "mid_block.attentions.0"),
        5: ("output_blocks.0.1", "up_blocks.0.attentions.0"),
        6: ("output_blocks.1.1", "up_blocks.0.attentions.1"),
        10: ("output_blocks.5.1", "up_blocks.1.attentions.2"),
    },
}
pytestmark = pytest.mark.usefixtures("untouched")
LAYERS_OF_SDXL = [2, 2, 10, 10, 10, 10, 10, 10, 2, 2, 2]


@pytest.fixture(scope="module")
def sdxl() -> nn.Module:
    return sdxl_unet()


def person(adapter: Adapter, weight_type: str = "linear", own: str = "", people: Sequence[int] = (1,)) -> Contribution:
    return contribution(adapter, [identity_of(seed) for seed in people], layers=LayerWeights(weight_type, own))


# ------------------------------------------------------------------------------------------------ blocks are numbered
def run_order(unet: nn.Module, context_dim: int) -> list[str]:
    """The names of the cross-attentions in the order in which the UNet runs them."""
    ran: list[str] = []
    layers = [layer for layer in attention_layers(unet) if layer.is_cross]
    handles = [
        layer.module.register_forward_hook(lambda *_, name=layer.name: ran.append(name))  # type: ignore[misc]
        for layer in layers
    ]
    call(unet, inputs(context_dim, rows=1))
    for handle in handles:
        handle.remove()
    return ran


@pytest.mark.parametrize("kind", ["ldm", "diffusers", "sdxl"])
def test_blocks_are_numbered_as_the_unet_runs_them(kind: str, ldm: nn.Module, sdxl: nn.Module) -> None:
    unet = {"ldm": ldm, "sdxl": sdxl}.get(kind) or diffusers_copy(ldm)
    layers = attention_layers(unet)
    numbers, stages = block_numbers(layers)
    block_of = {layer.name: numbers[layer.index] for layer in layers if layer.is_cross}
    ran = [block_of[name] for name in run_order(unet, 2048 if kind == "sdxl" else 768)]
    per_block = LAYERS_OF_SDXL if kind == "sdxl" else [1] * 16
    assert ran == [number for number, count in enumerate(per_block) for _ in range(count)]
    assert stages == BLOCKS["SDXL" if kind == "sdxl" else "SD 1.5"]


def test_the_same_numbers_in_every_kind_of_unet(ldm: nn.Module, sdxl: nn.Module) -> None:
    unets = {
        "SD 1.5": [(ldm, 0), (published_names("sd15"), 0), (diffusers_copy(ldm), 1)],
        "SDXL": [(published_names("sdxl"), 0), (sdxl, 1)],
    }
    for family, kinds in unets.items():
        for unet, column in kinds:
            layers = attention_layers(unet)
            numbers, stages = block_numbers(layers)
            assert stages == BLOCKS[family]
            for number, names in NAMES[family].items():
                found = {layer.block for layer in layers if numbers.get(layer.index) == number}
                assert found == {names[column]}


@pytest.mark.parametrize("name", WEIGHT_TYPES)
def test_all_layers_of_a_block_get_its_factor(name: str, sdxl: nn.Module) -> None:
    layers = attention_layers(sdxl)
    shared = layer_factors(LayerWeights(name), layers)
    numbers, _ = block_numbers(layers)
    assert len(shared.factors) == 70
    for index, factor in shared.factors.items():
        assert factor == WEIGHT_TYPES[name].factors["SDXL"][numbers[index]]
        assert (index in shared.swapped) == (numbers[index] in WEIGHT_TYPES[name].swapped["SDXL"])


def test_a_unet_of_another_build_takes_linear_only(ldm: nn.Module) -> None:
    layers = [layer for layer in attention_layers(ldm) if layer.stage != "middle"]
    assert set(layer_factors(LayerWeights(), layers).factors.values()) == {1.0}
    with pytest.raises(MismatchError, match=r"SD 1.5 \(16 blocks\) and SDXL \(11 blocks\), and this UNet has 15"):
        layer_factors(LayerWeights("composition"), layers)


# ------------------------------------------------------------------------------------------------- what the UNet draws
def test_linear_is_the_same_to_the_last_bit(ldm: nn.Module, adapter: Adapter) -> None:
    plain = drawn(ldm, contribution(adapter, [identity_of(1)]))
    assert torch.equal(plain, drawn(ldm, person(adapter, "linear")))
    assert torch.equal(plain, drawn(ldm, person(adapter, own=",".join("1" * 16))))


def test_every_type_draws_another_picture(ldm: nn.Module, adapter: Adapter) -> None:
    pictures = {name: drawn(ldm, person(adapter, name)) for name in WEIGHT_TYPES}
    names = list(WEIGHT_TYPES)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            assert (pictures[one] - pictures[other]).abs().max() > 1e-3, (one, other)


def test_factors_are_factors_of_the_weight(ldm: nn.Module, adapter: Adapter) -> None:
    halves = drawn(ldm, person(adapter, own=",".join(["0.5"] * 16)))
    half = drawn(ldm, contribution(adapter, [identity_of(1)], weight=0.4))
    assert torch.equal(halves, half)


@pytest.mark.parametrize(("name", "blocks"), [("linear", 16), ("style transfer", 11), ("composition", 2)])
def test_nothing_is_computed_at_factor_0(
    ldm: nn.Module, adapter: Adapter, name: str, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    compute = injection.ip_attention
    monkeypatch.setattr(injection, "ip_attention", lambda *args, **more: asked.append(1) or compute(*args, **more))
    drawn(ldm, person(adapter, name))
    assert len(asked) == blocks


def test_zeros_everywhere_are_as_good_as_absent(ldm: nn.Module, adapter: Adapter) -> None:
    with inject(ldm, [person(adapter, own="3:0,6:0")]) as nobody:
        nobody.set_rows((0, 1))
        assert not nobody.acts
        call(ldm, inputs())
        assert nobody.calls == 0


def test_two_people_each_with_a_type_of_their_own_in_any_order(ldm: nn.Module, adapter: Adapter) -> None:
    one = person(adapter, "style transfer precise")
    other = person(adapter, "ease out", people=(2,))
    assert (drawn(ldm, one, other) - drawn(ldm, other, one)).abs().max() < 1e-5


# ------------------------------------------------------------------------------------------- precise: sides are swapped
SWAPPED_ONLY = "4:0.25,5:1"  # the blocks that 'style transfer precise' swaps in SD 1.5


def test_where_sides_are_swapped_cond_sees_nothing(ldm: nn.Module, adapter: Adapter) -> None:
    got = drawn(ldm, person(adapter, "style transfer precise", SWAPPED_ONLY))
    assert torch.equal(got[1], call(ldm, inputs())[1])


def test_where_sides_are_swapped_uncond_sees_the_person(ldm: nn.Module, adapter: Adapter) -> None:
    got = drawn(ldm, person(adapter, "style transfer precise", SWAPPED_ONLY))
    as_cond = drawn(ldm, person(adapter, "composition"), rows=(1, 1))
    as_uncond = drawn(ldm, person(adapter, "composition"), rows=(0, 0))
    assert (got[0] - as_cond[0]).abs().max() < 1e-5
    assert (got[0] - as_uncond[0]).abs().max() > 1e-3


def test_where_sides_are_not_swapped_nothing_changes(ldm: nn.Module, adapter: Adapter) -> None:
    precise = drawn(ldm, person(adapter, "composition precise", SWAPPED_ONLY))
    assert torch.equal(precise, drawn(ldm, person(adapter, "composition")))


def test_each_image_of_a_batch_has_its_own_person_on_the_other_side(ldm: nn.Module, adapter: Adapter) -> None:
    """Slot -i is the uncond row of image i; where nothing is swapped it is uncond like any other."""
    layers = attention_layers(ldm)
    swapped = layer_factors(LayerWeights("style transfer precise"), layers).swapped
    people = [identity_of(seed) for seed in (1, 2, 3)]
    both, plain = (bank_for(adapter, people, 1.0, layers, swapped=crossed) for crossed in (swapped, frozenset[int]()))
    like = torch.zeros(1)
    rows = both.select(torch.tensor([0, 1, 2, 3, 9, -1, -2, -3, -9]), like)
    ordinary = plain.select(torch.tensor([0, 1, 2, 3, 9, 0, 0, 0, 0]), like)
    person_of = plain.select(torch.tensor([1, 0, 0, 0, 0, 1, 2, 3, 3]), like)
    for layer in layers:
        if layer.is_cross and layer.index not in swapped:
            assert all(map(torch.equal, rows.layer(layer.index), ordinary.layer(layer.index)))
        elif layer.is_cross:
            for got, expected in zip(rows.layer(layer.index), person_of.layer(layer.index), strict=True):
                assert torch.equal(got[[0, 5, 6, 7, 8]], expected[[0, 5, 6, 7, 8]])
                assert not got[1:5].any()


def test_a_bank_without_swapped_layers_is_no_larger(ldm: nn.Module, adapter: Adapter) -> None:
    bank = bank_for(adapter, [identity_of(1)], 1.0, attention_layers(ldm))
    assert len(bank._flat) == bank.num_slots == 2
