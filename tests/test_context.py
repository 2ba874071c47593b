"""Tokens in a transformer's context act as their formulas say, where and when they are told to, and leave nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
import pytest
import torch
from flux_mini import flux_transformer
from torch import Tensor, nn

from lib_faceid.effects.context import inject_context
from lib_faceid.effects.contribution import InContext
from lib_faceid.effects.effect import ContextTokens
from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.tokens import ContextPart
from lib_faceid.errors import HostError, MismatchError
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import Box

WIDTH = 32  # of the context


@pytest.fixture(scope="module")
def transformer() -> nn.Module:
    return flux_transformer(WIDTH)


HEIGHT, BREADTH, TEXTS = 4, 6, 5


def inputs(seed: int = 3) -> dict[str, Any]:
    source = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(BREADTH), indexing="ij")
    return {
        "hidden_states": torch.randn(1, HEIGHT * BREADTH, 16, generator=source),
        "encoder_hidden_states": torch.randn(1, TEXTS, WIDTH, generator=source),
        "pooled_projections": torch.randn(1, 64, generator=source),
        "timestep": torch.tensor([0.5]),
        "guidance": torch.tensor([3.5]),
        "txt_ids": torch.zeros(TEXTS, 3),
        "img_ids": torch.stack([0 * rows, rows, columns], dim=-1).flatten(0, 1).float(),
    }


def called(transformer: nn.Module, given: dict[str, Any]) -> Tensor:
    with torch.no_grad():
        return transformer(**given, return_dict=False)[0]


class Given:
    """Tokens that are what they are."""

    def __init__(self, seed: int = 7, count: int = 4, weights: Sequence[float] = (), width: int = WIDTH) -> None:
        tokens = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
        self.part = ContextPart(tokens, torch.tensor(list(weights) or [1.0] * count))

    def encode(self) -> ContextPart:
        return self.part


def reading(source: Given, weight: float = 1.0, region: Region | None = None, **schedule: float) -> InContext:
    regions = [region] if region else []
    return InContext(ContextTokens("some tokens", [source]), Schedule(weight, **schedule), regions)


def injected(transformer: nn.Module, *readings: InContext, progress: float = 0.0) -> Tensor:
    with inject_context(transformer, readings) as injection:
        injection.set_rows([1])
        injection.set_progress(progress)
        return called(transformer, inputs())


def by_hand(transformer: nn.Module, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
    """What diffusers gives of a context with the tokens in it, and of a bias as its attention mask."""
    given = inputs()
    given["encoder_hidden_states"] = torch.cat([given["encoder_hidden_states"], tokens[None]], 1)
    given["txt_ids"] = torch.zeros(TEXTS + len(tokens), 3)
    return called(transformer, given | ({} if bias is None else {"joint_attention_kwargs": {"attention_mask": bias}}))


def test_weight_1_is_a_longer_context_to_the_bit(transformer: nn.Module) -> None:
    source = Given()
    assert torch.equal(injected(transformer, reading(source)), by_hand(transformer, source.part.tokens))
    two = Given(8, 3)
    both = torch.cat([source.part.tokens, two.part.tokens])
    assert torch.equal(injected(transformer, reading(source), reading(two)), by_hand(transformer, both))


@pytest.mark.parametrize("weight", [0.25, 0.8, 2.0])
def test_the_weight_is_a_bias_on_the_tokens_columns(transformer: nn.Module, weight: float) -> None:
    source, count = Given(weights=(1, 1, 0.5, 0.5)), TEXTS + 4 + HEIGHT * BREADTH
    bias = torch.zeros(count, count)
    for row in (*range(TEXTS), *range(TEXTS + 4, count)):
        for at in range(4):
            bias[row, TEXTS + at] = np.log(weight * (1, 1, 0.5, 0.5)[at])
    theirs = by_hand(transformer, source.part.tokens, bias[None, None])
    assert (injected(transformer, reading(source, weight)) - theirs).abs().max() <= 1e-6


def test_towards_weight_0_it_is_the_prompt_alone(transformer: nn.Module) -> None:
    plain = called(transformer, inputs())
    count = TEXTS + 4 + HEIGHT * BREADTH
    bias = torch.zeros(count, count)
    bias[:TEXTS, TEXTS : TEXTS + 4] = bias[TEXTS + 4 :, TEXTS : TEXTS + 4] = -inf
    assert (by_hand(transformer, Given().part.tokens, bias[None, None]) - plain).abs().max() <= 1e-6
    apart = [(injected(transformer, reading(Given(), weight)) - plain).abs().max() for weight in (2, 1, 0.5, 0.1, 1e-6)]
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] <= 1e-5
    assert apart[0] > 0.01
    assert torch.equal(injected(transformer, reading(Given(), 0.0)), plain)


def test_steps_and_rows_without_it_are_the_prompt_alone_to_the_bit(transformer: nn.Module) -> None:
    plain = called(transformer, inputs())
    assert torch.equal(injected(transformer, reading(Given(), start=0.5), progress=0.2), plain)
    assert not torch.equal(injected(transformer, reading(Given(), start=0.5), progress=0.6), plain)
    with inject_context(transformer, reading(Given())) as injection:
        assert torch.equal(called(transformer, inputs()), plain), "nobody has said whose the rows are"
        injection.set_rows([0])
        assert torch.equal(called(transformer, inputs()), plain)
        assert injection.calls == 0
        injection.set_rows([1])
        assert not torch.equal(called(transformer, inputs()), plain)
        assert injection.calls == 1
    assert torch.equal(called(transformer, inputs()), plain)
    assert not vars(transformer)["_forward_pre_hooks"]
    assert not vars(transformer)["_forward_hooks"]


def test_each_row_of_a_call_has_the_tokens_of_its_image(transformer: nn.Module) -> None:
    """Two images with another number of tokens each, and one without: in one call as if they came alone."""
    sources = [Given(), Given(8, 2)]
    given = {
        name: one if name.endswith("ids") else one.repeat(3, *[1] * (one.ndim - 1)) for name, one in inputs().items()
    }
    with inject_context(transformer, InContext(ContextTokens("some tokens", sources), Schedule(1.0))) as injection:
        injection.set_rows([2, -1, 1])
        found = called(transformer, given)
        injection.set_rows([1, 2])
        with pytest.raises(HostError, match="called with 3 rows, and 2 were told of"):
            called(transformer, given)
    alone = [by_hand(transformer, sources[1].part.tokens), called(transformer, inputs())]
    alone += [by_hand(transformer, sources[0].part.tokens)]
    assert (found - torch.cat(alone)).abs().max() <= 1e-5


def test_a_region_keeps_it_out_of_the_rest() -> None:
    """One block, so that a place has looked at others once: what is outside has not changed at all."""
    shallow = flux_transformer(WIDTH, (1, 0))
    plain = called(shallow, inputs()).view(HEIGHT, BREADTH, -1)
    left = Region(Box(0, 0, 0.5, 1))
    found = injected(shallow, reading(Given(), 1.0, left)).view(HEIGHT, BREADTH, -1)
    assert (found[:, 3:] - plain[:, 3:]).abs().max() <= 1e-6
    assert (found[:, :3] - plain[:, :3]).abs().max(-1).values.min() > 1e-3
    right = Region(Box(0.5, 0, 1, 1))
    both = injected(shallow, reading(Given(), 1.0, left), reading(Given(9), 1.0, right)).view(HEIGHT, BREADTH, -1)
    assert (both[:, :3] - found[:, :3]).abs().max() <= 1e-6, "the other one does not reach into it"
    assert (both[:, 3:] - plain[:, 3:]).abs().max() > 1e-3


def test_what_cannot_be_is_said(transformer: nn.Module) -> None:
    wide = InContext(ContextTokens("some tokens", [Given(width=48)]))
    with pytest.raises(MismatchError, match="tokens 48 wide, and this transformer reads a context 32 wide"):
        injected(transformer, wide)
    with pytest.raises(HostError, match=r"is no transformer of FLUX\.1"), inject_context(nn.Linear(2, 2), wide):
        pass
    with inject_context(transformer, reading(Given(), 0.5)) as injection:
        injection.set_rows([1])
        with pytest.raises(HostError, match="Somebody else masks the transformer's attention"):
            called(transformer, inputs() | {"joint_attention_kwargs": {"attention_mask": torch.zeros(1)}})
    with inject_context(transformer, reading(Given(), 1.0, Region(Box(0, 0, 0.5, 1)))) as injection:
        injection.set_rows([1])
        several = inputs()
        several["img_ids"] = torch.cat([several["img_ids"], several["img_ids"][:1]])
        several["hidden_states"] = torch.cat([several["hidden_states"], several["hidden_states"][:, :1]], 1)
        with pytest.raises(HostError, match="25 places, which are not one picture of 4x6"):
            called(transformer, several)
