"""The main proof: diffusers' own IP-Adapter is the oracle, and the engine gives the same picture.

Everything about an adapter is checked at once here: file layout, layer order, projection networks, norms,
uncond, LoRA and attention. The oracle shares no code with the engine: `load_ip_adapter` gets the plain tensors,
and PEFT applies the LoRA. Each figure is shown by `pytest -rA`, with the size of the adapter's effect beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from builders import SD15, SDXL
from contributions import contribution
from oracle import RAW, WorldWithOracle
from parity import Case, Measure, apart, ours, put_zeros_for_uncond
from unets import call, inputs

from lib_faceid.effects.bank import forget_all

pytest.importorskip("diffusers", reason="diffusers is the oracle")
pytest.importorskip("peft", reason="diffusers needs peft for the adapters' LoRA")

TOLERANCE = 1e-4  # max abs, float32; two independent implementations are some 1e-6 apart
TOLD_APART = 1e-2  # what a gross control must at least differ by
FACEID = Case("faceid")
CASES = [
    FACEID,
    Case("plus"),
    Case("plusv2"),
    Case("plusv2", structure=0.5),
    Case("plusv2", faces=3),
    Case("portrait"),
    Case("portrait", faces=5),
    Case("faceid", SDXL),
    Case("plusv2", SDXL),
    Case("plusv2", SDXL, structure=0.5),
    Case("portrait", SDXL, faces=5),
    Case("portrait_unnorm", SDXL),
    Case("portrait_unnorm", SDXL, faces=3),
    Case("instantid", SDXL),
    Case("instantid", SDXL, faces=3),
]


@pytest.fixture(scope="module")
def world() -> Iterator[WorldWithOracle]:
    with tempfile.TemporaryDirectory(prefix="faceid-parity-") as folder, torch.random.fork_rng():
        yield WorldWithOracle(Path(folder))


def test_the_bare_unets_agree(world: WorldWithOracle, measure: Measure) -> None:
    difference = apart(call(world.unet("ldm"), inputs()), call(world.unet("diffusers"), inputs()))
    measure(difference=difference)
    assert difference < TOLERANCE / 10


@pytest.mark.slow("an SDXL of 70 blocks, once by diffusers and once by us")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_picture_as_diffusers(world: WorldWithOracle, case: Case, measure: Measure) -> None:
    adapter = world.adapter(case)
    assert adapter.variant.id == case.variant
    hosts = ["sdxl"] if case.cross_dim == SDXL else ["ldm", "diffusers"]
    for lora in (0.0, 0.6, 1.0) if adapter.lora else (0.0,):
        expected = world.expected(case, lora)
        for host in hosts:
            unet = world.unet(host)
            got = ours(unet, world.contribution(case), lora)
            effect = (got - call(unet, inputs(case.cross_dim))).abs().amax(dim=(1, 2, 3))
            difference = apart(got, expected)
            measure(lora=lora, difference=difference, uncond_effect=effect[0].item(), effect=effect[1].item())
            assert difference < TOLERANCE, host
            assert effect.min() > TOLD_APART, "an adapter without an effect proves nothing"


# Each control is wrong in one way, and the same comparison must tell it apart.


@pytest.mark.parametrize("host", ["ldm", "diffusers"])
def test_wrong_weight_is_told_apart(world: WorldWithOracle, host: str, measure: Measure) -> None:
    got = ours(world.unet(host), world.contribution(FACEID, weight=0.72))
    difference = apart(got, world.expected(FACEID))
    measure(difference=difference)
    assert difference > 10 * TOLERANCE


@pytest.mark.parametrize("lora", [0.62, 0.0])
def test_wrong_lora_strength_is_told_apart(world: WorldWithOracle, lora: float, measure: Measure) -> None:
    got = ours(world.unet("ldm"), world.contribution(FACEID), lora)
    difference = apart(got, world.expected(FACEID, lora=0.6))
    measure(difference=difference)
    assert difference > 10 * TOLERANCE


def test_wrong_layer_order_is_told_apart(world: WorldWithOracle, measure: Measure) -> None:
    """Down, middle, up instead of down, up, middle: among the layers of equal width, where nothing else fails."""
    right = world.adapter(FACEID)
    order = {13: 31, 15: 13, 17: 15, 31: 17}
    k, v = (
        {index: weights[order.get(index, index)] for index in weights} for weights in (right.to_k_ip, right.to_v_ip)
    )
    got = ours(world.unet("ldm"), contribution(replace(right, to_k_ip=k, to_v_ip=v), [FACEID.person]))
    difference = apart(got, world.expected(FACEID))
    measure(difference=difference)
    assert difference > TOLD_APART


@pytest.fixture(autouse=True)
def _nobody_is_remembered() -> None:
    """A wrong control must not get the right keys and values that an earlier test has left."""
    forget_all()


def test_zero_tokens_as_uncond_are_told_apart(
    world: WorldWithOracle, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_zeros_for_uncond(monkeypatch)
    got, expected = ours(world.unet("ldm"), world.contribution(FACEID)), world.expected(FACEID)
    uncond, cond = apart(got[0], expected[0]), apart(got[1], expected[1])
    measure(uncond=uncond, cond=cond)
    assert uncond > TOLD_APART
    assert cond < TOLERANCE


def test_swapped_halves_are_told_apart(world: WorldWithOracle, measure: Measure) -> None:
    got = ours(world.unet("ldm"), world.contribution(FACEID), rows=(1, 0))
    difference = apart(got, world.expected(FACEID))
    measure(difference=difference)
    assert difference > TOLD_APART


@pytest.mark.parametrize("variant", ["faceid", "plus", "plusv2", "portrait", "portrait_unnorm", "instantid"])
def test_wrong_embedding_length_is_told_apart(world: WorldWithOracle, variant: str, measure: Measure) -> None:
    """Raw where unit length is due, and the other way round."""
    case = Case(variant, SDXL if variant in RAW else SD15)
    right = world.adapter(case)
    vector, *others = right.variant.reads
    wrong = replace(right.variant, reads=(vector._replace(unit_length=not vector.unit_length), *others))
    unet = world.unet("sdxl" if case.cross_dim == SDXL else "ldm")
    got = ours(unet, contribution(replace(right, variant=wrong), [case.person]))
    difference = apart(got, world.expected(case))
    measure(difference=difference)
    assert difference > TOLD_APART


def test_missing_shortcut_and_wrong_structure_are_told_apart(world: WorldWithOracle, measure: Measure) -> None:
    case = Case("plusv2", structure=0.5)
    expected, unet = world.expected(case), world.unet("ldm")
    no_shortcut = apart(ours(unet, world.contribution(replace(case, variant="plus"))), expected)
    other_structure = apart(ours(unet, world.contribution(case, structure=0.55)), expected)
    measure(no_shortcut=no_shortcut, other_structure=other_structure)
    assert no_shortcut > TOLD_APART
    assert other_structure > 10 * TOLERANCE
