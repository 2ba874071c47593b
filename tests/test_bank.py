"""Keys and values are computed once for the same people, and never mixed up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from contributions import bank_for

from lib_faceid.effects import bank
from lib_faceid.errors import MismatchError
from lib_faceid.hosts.diffusers.checkpoint import load_parts
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.references.identity import Identity
from lib_faceid.references.negative import Negative
from lib_faceid.unet.layers import AttentionLayer, attention_layers


@pytest.fixture(scope="module")
def layers(miniature_checkpoint: Callable[[str], Path]) -> tuple[AttentionLayer, ...]:
    return attention_layers(load_parts(miniature_checkpoint("sd15")).modules["unet"])


@pytest.fixture
def adapter(miniature_adapter: Callable[..., Path]) -> Adapter:
    return load_adapter(miniature_adapter("faceid", "sd15"))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of people of every bank that was really made."""
    made: list[int] = []
    make = bank.make_bank
    monkeypatch.setattr(
        bank, "make_bank", lambda adapter, tokens, *more: made.append(len(tokens)) or make(adapter, tokens, *more)
    )
    bank.forget_all()
    return made


def person(seed: int) -> Identity:
    return Identity.from_embedding(torch.randn(512, generator=torch.Generator().manual_seed(seed)))


def rows(one: bank.Bank) -> torch.Tensor:
    return torch.cat(one.select(torch.tensor([0, 1]), torch.zeros(1)).layer(1))


def test_the_same_people_are_computed_once(
    adapter: Adapter, layers: tuple[AttentionLayer, ...], made: list[int]
) -> None:
    first, again = (bank_for(adapter, [person(0)], 1.0, layers) for _ in range(2))
    other = bank_for(adapter, [person(1)], 1.0, layers)
    assert made == [1, 1]
    assert torch.equal(rows(first), rows(again))
    assert not torch.equal(rows(first), rows(other))


def test_what_changes_the_tokens_is_computed_anew(
    adapter: Adapter, layers: tuple[AttentionLayer, ...], made: list[int]
) -> None:
    for people, noise in (([person(0)], 0.0), ([person(0)], 0.5), ([person(0), person(1)], 0.0)):
        bank_for(adapter, people, 1.0, layers, negative=Negative(noise=noise))
    assert made == [1, 1, 2]


def test_only_a_few_are_kept(adapter: Adapter, layers: tuple[AttentionLayer, ...], made: list[int]) -> None:
    for seed in range(bank.KEPT + 2):
        bank_for(adapter, [person(seed)], 1.0, layers)
    assert len(bank._kept) == bank.KEPT


def test_a_kept_bank_holds_no_copy_on_a_device(adapter: Adapter, layers: tuple[AttentionLayer, ...]) -> None:
    used = bank_for(adapter, [person(0)], 1.0, layers)
    rows(used)
    assert not any(kept._placed for kept in bank._kept.values())


def test_calls_with_the_same_slots_share_what_they_take(adapter: Adapter, layers: tuple[AttentionLayer, ...]) -> None:
    one, like = bank_for(adapter, [person(0)], 1.0, layers), torch.zeros(1)
    first = one.select(torch.tensor([0, 1]), like)
    assert one.select(torch.tensor([0, 1]), like) is first
    swapped = one.select(torch.tensor([1, 0]), like)
    assert torch.equal(swapped.layer(1)[0], first.layer(1)[0].flip(0))
    assert one.select(torch.tensor([1, 0]), like.half()).layer(1)[0].dtype == torch.float16


def test_an_adapter_with_other_weights_has_a_bank_of_its_own(
    adapter: Adapter, layers: tuple[AttentionLayer, ...]
) -> None:
    doubled = replace(adapter, to_k_ip={index: 2 * weight for index, weight in adapter.to_k_ip.items()})
    one, other = (bank_for(each, [person(0)], 1.0, layers) for each in (adapter, doubled))
    assert not torch.equal(rows(one), rows(other))


def test_large_ones_are_fewer(
    adapter: Adapter, layers: tuple[AttentionLayer, ...], made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = bank_for(adapter, [person(0)], 1.0, layers).nbytes
    monkeypatch.setattr(bank, "KEPT_BYTES", 2 * size)
    for seed in range(3):
        bank_for(adapter, [person(seed)], 1.0, layers)
    assert len(bank._kept) == 2
    monkeypatch.setattr(bank, "KEPT_BYTES", 0)
    for _ in range(2):
        bank_for(adapter, [person(3)], 1.0, layers)
    assert made == [1, 1, 1, 1]


@pytest.mark.parametrize("factor", [1e7, float("nan")])
def test_more_than_half_precision_holds_is_refused(
    adapter: Adapter, layers: tuple[AttentionLayer, ...], factor: float
) -> None:
    """In half precision such keys are infinite, and the picture is black without a word."""
    huge = replace(adapter, to_v_ip={index: weight * factor for index, weight in adapter.to_v_ip.items()})
    with pytest.raises(MismatchError, match=r"makes keys and values of (nan|\d).* below 65504"):
        bank_for(huge, [person(0)], 1.0, layers)
