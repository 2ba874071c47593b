"""Half precision and float8 storage, against float32: there is no better oracle."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from parity import Case, Measure, World, ours, relative
from torch import Tensor, nn
from torch.nn import functional
from unets import call, inputs

from lib_faceid.effects.injection import inject

needs_float8 = pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="this torch has no float8")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="faceid-precision-") as folder:
        yield World(Path(folder))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("variant", ["faceid", "plusv2", "portrait"])
def test_half_precision(world: World, variant: str, dtype: torch.dtype, measure: Measure) -> None:
    unet = world.unet("diffusers")
    halved = copy.deepcopy(unet).to(dtype)
    try:
        bare = call(halved, inputs(), dtype)
    except RuntimeError as error:
        pytest.skip(f"this torch computes no {dtype} on the CPU: {error}")
    expected, expected_bare = ours(unet, world.contribution(Case(variant)), 0.6), call(unet, inputs())
    got = ours(halved, world.contribution(Case(variant)), 0.6, dtype=dtype)
    assert got.dtype == dtype
    # Half precision costs this much without us too; the identity must not cost more.
    host_alone, difference = relative(bare, expected_bare), relative(got, expected)
    measure(difference=difference, host_alone=host_alone, effect=relative(expected_bare, expected))
    assert difference < max(2e-2, 1.2 * host_alone)


def test_a_unet_that_changes_its_dtype_in_between(world: World) -> None:
    """One injection serves passes of different precision; each gets keys and values of its own."""
    unet, one = copy.deepcopy(world.unet("diffusers")), world.contribution(Case("faceid"))
    with inject(unet, [one]) as injection:
        injection.set_rows((0, 1))
        expected = call(unet, inputs())
        unet.to(torch.bfloat16)
        assert call(unet, inputs(), torch.bfloat16).dtype == torch.bfloat16
        unet.to(torch.float32).load_state_dict(world.unet("diffusers").state_dict())
        assert torch.equal(call(unet, inputs()), expected)


class StoredAsFloat8(nn.Linear):
    """A Linear of the WebUI's fp8 option: its weight rests in float8, and is cast to whatever comes in."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return functional.linear(input, self.weight.to(input.dtype), bias)


def _linears(unet: nn.Module) -> list[nn.Linear]:
    return [module for module in unet.modules() if type(module) is nn.Linear]


@needs_float8
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_float8_storage(world: World, dtype: torch.dtype, measure: Measure) -> None:
    """Weights in float8 say nothing about activations: the identity joins in the dtype of the queries."""
    rounded, stored = (copy.deepcopy(world.unet("diffusers")).to(dtype) for _ in range(2))
    for linear in _linears(rounded):
        linear.weight.data = linear.weight.data.to(torch.float8_e4m3fn).to(dtype)
    for linear in _linears(stored):
        linear.__class__ = StoredAsFloat8
        linear.weight.data = linear.weight.data.to(torch.float8_e4m3fn)
    before = {name: weight.clone() for name, weight in stored.state_dict().items()}
    one = world.contribution(Case("faceid"))

    got = ours(stored, one, dtype=dtype)
    assert got.dtype == dtype
    assert torch.equal(got, ours(rounded, one, dtype=dtype))

    with_lora, expected = (ours(unet, one, lora=1.0, dtype=dtype) for unet in (stored, rounded))
    effect, rounding = relative(with_lora, got), relative(with_lora, expected)
    measure(lora_effect=effect, lora_rounding=rounding)
    # The LoRA is merged into float8, and so rounded to its 3 bits; it still does roughly what it should.
    assert rounding < effect / 2
    for name, weight in stored.state_dict().items():
        assert weight.dtype == before[name].dtype, name
        assert torch.equal(weight.float(), before[name].float()), name
