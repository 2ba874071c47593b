"""The sum itself: in whatever form it is computed, it is the formula; and nothing that others hold is written over."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from unets import call, inputs

from lib_faceid.effects.attention import FEW, LayerKV, ip_attention, is_own
from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.unet.layers import attention_layers

ROWS, PLACES, HEADS, WIDTH = 3, 35, 4, 8
MANY = FEW + 8


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def someone(tokens: int, weight: float, share_rows: int = 0, seed: int = 1) -> LayerKV:
    k, v = (random(ROWS, HEADS, tokens, WIDTH, seed=seed + at) for at in range(2))
    mask = random(share_rows, PLACES, 1, seed=seed).sigmoid() if share_rows else None
    return LayerKV(k, v, weight, mask)


def formula(hidden: Tensor, query: Tensor, adapters: list[LayerKV]) -> Tensor:
    """Return the sum, one row, head and place after the other in plain words."""
    result = hidden.double().clone()
    for one in adapters:
        for row in range(ROWS):
            for head in range(HEADS):
                part = slice(head * WIDTH, (head + 1) * WIDTH)
                scores = query[row, :, part].double() @ one.k[row, head].double().T
                found = scores.softmax(-1) @ one.v[row, head].double()
                mask = 1 if one.mask is None else one.mask[min(row, len(one.mask) - 1)].double()
                result[row, :, part] += one.weight * mask * found
    return result


CASES = {
    "one": [someone(4, 0.7)],
    "one in a region": [someone(4, 0.7, share_rows=1)],
    "one with a region for each row": [someone(16, -0.4, share_rows=ROWS)],
    "one with many tokens": [someone(MANY, 0.7)],
    "one with many tokens, in a region": [someone(MANY, 0.7, share_rows=ROWS)],
    "two of the same weight": [someone(4, 0.7), someone(4, 0.7, seed=3)],
    "two of other weights": [someone(4, 0.7), someone(4, 1.2, seed=3)],
    "some with regions": [someone(4, 0.7), someone(4, 1.2, share_rows=1, seed=3), someone(4, 0.1, ROWS, seed=5)],
    "other numbers of tokens": [someone(4, 0.7), someone(16, 0.2, seed=3), someone(4, 1, 1, seed=5), someone(MANY, 1)],
    "more than one pass": [someone(16, 0.1 * seed, share_rows=seed % 2, seed=seed) for seed in range(1, 6)],
}


@pytest.mark.parametrize("adapters", CASES.values(), ids=CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_form_is_the_formula(adapters: list[LayerKV], dtype: torch.dtype) -> None:
    """float32 on the CPU has a form of its own; the others have the one of other devices."""
    adapters = [LayerKV(one.k.to(dtype), one.v.to(dtype), *one[2:]) for one in adapters]
    hidden, query = (random(ROWS, PLACES, HEADS * WIDTH, seed=seed).to(dtype) for seed in (8, 9))
    expected = formula(hidden, query, adapters)
    ip_attention(hidden, query, adapters)
    tolerance = {torch.float32: 2e-6, torch.float64: 1e-7, torch.bfloat16: 6e-2}[dtype]
    assert (hidden.double() - expected).abs().max() < tolerance


def test_rows_that_lie_elsewhere_in_memory() -> None:
    adapters = CASES["some with regions"]
    wide = random(ROWS, PLACES, 2 * HEADS * WIDTH)
    hidden, query = wide[..., : HEADS * WIDTH], wide[..., HEADS * WIDTH :]
    expected = formula(hidden, query, adapters)
    ip_attention(hidden, query, adapters)
    assert (hidden.double() - expected).abs().max() < 2e-6


def test_what_is_a_part_of_something_is_not_written_over() -> None:
    whole = torch.zeros(2, 3, 4)
    with torch.no_grad():
        assert is_own(whole)
        assert not any(
            is_own(part) for part in (whole[:1], whole.transpose(1, 2), whole[..., :2], whole[:1].expand(2, 3, 4))
        )
    assert not is_own(whole)  # gradients may pass


@pytest.mark.parametrize("is_watched", [False, True])
def test_what_another_hook_has_seen_stays_as_it_was(ldm: nn.Module, one: Contribution, is_watched: bool) -> None:
    projection = attention_layers(ldm)[1].projection("out")
    seen: list[Tensor] = []
    before = projection.register_forward_pre_hook(lambda _, args: seen.append(args[0])) if is_watched else None
    with inject(ldm, [one]) as injection:
        injection.set_rows((0, 1))
        after = projection.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        call(ldm, inputs())
        after.remove()
    if before:
        before.remove()
        assert not torch.equal(*seen)
        assert seen[0].data_ptr() != seen[1].data_ptr()
    assert len(seen) == 1 + is_watched
