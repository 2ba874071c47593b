"""The arithmetic of identity attention, on tensors alone.

`hidden + weight * softmax(q k^T / sqrt(d)) v`: the second term of decoupled cross-attention (IP-Adapter, Ye et al.
2023, https://arxiv.org/abs/2308.06721, eq. 5), for any number of people at once. docs/PERFORMANCE.md says what each
form costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Said", "identity_attention", "is_own"]

FEW = 32  # tokens in one pass; where there are many more, torch's own attention is as quick


class Said(NamedTuple):
    """What one contribution says to one layer."""

    k: Tensor
    """Keys [B, heads, T, C / heads], scaled already."""
    v: Tensor
    """Values, shaped alike."""
    weight: float
    share: Tensor | None = None
    """How much it counts for each query, [B or 1, N, 1]; None: fully."""

    @property
    def num_tokens(self) -> int:
        """How many tokens these are, T."""
        return self.k.shape[2]


def identity_attention(hidden: Tensor, query: Tensor, said: Sequence[Said]) -> None:
    """Add to hidden [B, N, C], in place, what each query [B, N, C] takes from everybody's tokens, heads merged.

    Each has a softmax of its own.
    """
    if hidden.device.type != "cpu" or not hidden.dtype == query.dtype == torch.float32:
        _add_any(hidden, query, said)
        return
    for people in [said] if len(said) == 1 else _passes(said):
        if people[0].num_tokens <= FEW:
            _add_few(hidden, query, people)
        else:
            _add_any(hidden, query, people)


def is_own(hidden: Tensor) -> bool:
    """Say whether nobody could tell that it is written over: it is no part of anything, and no gradients pass."""
    is_whole = hidden.is_contiguous() and hidden.untyped_storage().nbytes() == hidden.nbytes
    return is_whole and not torch.is_grad_enabled()


def _passes(said: Sequence[Said]) -> Iterator[list[Said]]:
    """Give who can be computed in one pass: as many tokens each, and few of them together."""
    by_tokens = sorted(said, key=lambda one: one.num_tokens)
    for num_tokens, same in groupby(by_tokens, key=lambda one: one.num_tokens):
        people, size = list(same), max(FEW // num_tokens, 1)
        yield from (people[at : at + size] for at in range(0, len(people), size))


def _add_any(hidden: Tensor, query: Tensor, said: Sequence[Said]) -> None:
    """Add what torch's own attention finds, whatever the device and the number of tokens."""
    queries = _by_heads(query, said[0].k.shape[1])
    for one in said:
        found = functional.scaled_dot_product_attention(queries, one.k, one.v, scale=1.0)
        found = found.transpose(1, 2).flatten(2).to(hidden.dtype)
        if one.share is None:
            hidden.add_(found, alpha=one.weight)
        else:
            hidden.addcmul_(found, one.share.to(hidden.dtype), value=one.weight)


def _add_few(hidden: Tensor, query: Tensor, said: Sequence[Said]) -> None:
    """Add what a few tokens say in float32 on the CPU, in a half to an eighth of the time of torch's own attention.

    That pays for copies of the queries and of what it found, and for a softmax over rows of four. Here queries are the
    inner dimension, nothing as large as they are is written but the sum, and regions are applied to the few tokens.
    """
    k, v, weight = _together(said)
    sums, queries = (_by_heads(x, k.shape[1]) for x in (hidden, query))
    shares, parts = _shares(said), (len(said), -1)
    for row, (q, k_row, v_row) in enumerate(zip(queries.transpose(2, 3), k, v, strict=True)):
        scores = torch.bmm(k_row, q)  # [heads, tokens of all, places]
        found = scores.softmax(1) if len(said) == 1 else scores.unflatten(1, parts).softmax(2)
        if shares is not None:
            found = found.unflatten(1, parts) if len(said) == 1 else found
            found *= shares[min(row, len(shares) - 1)]
        sums[row].baddbmm_(found.view_as(scores).transpose(1, 2), v_row, alpha=weight)


def _by_heads(x: Tensor, heads: int) -> Tensor:
    """Return [B, heads, N, C / heads] of [B, N, C]: a view."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def _together(said: Sequence[Said]) -> tuple[Tensor, Tensor, float]:
    """Return everybody's keys and values one after the other, and a weight for all that is not in the values yet."""
    if len(said) == 1:
        return said[0][:3]
    k = torch.cat([one.k for one in said], 2)
    if len({one.weight for one in said}) == 1:
        return k, torch.cat([one.v for one in said], 2), said[0].weight
    return k, torch.cat([one.v * one.weight for one in said], 2), 1.0


def _shares(said: Sequence[Said]) -> Tensor | None:
    """Return everybody's share for each query, [B or 1, people, 1, N]; None where all count fully."""
    given = [one.share for one in said if one.share is not None]
    if not given:
        return None
    rows, places = max(len(share) for share in given), given[0].shape[1]
    whole = given[0] if len(given) == len(said) else torch.ones_like(given[0])
    each = [(whole if one.share is None else one.share).expand(rows, places, 1) for one in said]
    return torch.stack(each, 1).transpose(2, 3)
