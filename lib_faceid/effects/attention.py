"""The arithmetic of decoupled cross-attention, on tensors alone.

`hidden + weight * softmax(q k^T / sqrt(d)) v`: the second term of decoupled cross-attention (IP-Adapter, Ye et al.
2023, https://arxiv.org/abs/2308.06721, eq. 5), for any number of adapters at once. docs/PERFORMANCE.md says what each
form costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LayerKV", "ip_attention", "is_own"]

FEW = 32  # tokens in one pass; where there are many more, torch's own attention is as quick


class LayerKV(NamedTuple):
    """Keys and values of one adapter in one layer, and how strongly and where they count."""

    k: Tensor
    """Keys [B, heads, T, C / heads], scaled already."""
    v: Tensor
    """Values, shaped alike."""
    weight: float
    mask: Tensor | None = None
    """How much it counts for each query, [B or 1, N, 1]; None: fully."""

    @property
    def num_tokens(self) -> int:
        """How many tokens these are, T."""
        return self.k.shape[2]


def ip_attention(hidden: Tensor, query: Tensor, adapters: Sequence[LayerKV]) -> None:
    """Add to hidden [B, N, C], in place, what each query [B, N, C] takes of each adapter's tokens, heads
    merged. Each adapter has a softmax of its own.
    """
    if hidden.device.type != "cpu" or not hidden.dtype == query.dtype == torch.float32:
        _add_any(hidden, query, adapters)
        return
    for together in [adapters] if len(adapters) == 1 else _passes(adapters):
        if together[0].num_tokens <= FEW:
            _add_few(hidden, query, together)
        else:
            _add_any(hidden, query, together)


def is_own(hidden: Tensor) -> bool:
    """Say whether it may be written over: it is no view of a larger tensor, and no gradients pass."""
    is_whole = hidden.is_contiguous() and hidden.untyped_storage().nbytes() == hidden.nbytes
    return is_whole and not torch.is_grad_enabled()


def _passes(adapters: Sequence[LayerKV]) -> Iterator[list[LayerKV]]:
    """Give the adapters that can be computed in one pass: with as many tokens each, and few of them together."""
    by_tokens = sorted(adapters, key=lambda one: one.num_tokens)
    for num_tokens, same in groupby(by_tokens, key=lambda one: one.num_tokens):
        equal, size = list(same), max(FEW // num_tokens, 1)
        yield from (equal[at : at + size] for at in range(0, len(equal), size))


def _add_any(hidden: Tensor, query: Tensor, adapters: Sequence[LayerKV]) -> None:
    """Add torch's own attention over the tokens, whatever the device and the number of tokens."""
    queries = _by_heads(query, adapters[0].k.shape[1])
    for one in adapters:
        found = functional.scaled_dot_product_attention(queries, one.k, one.v, scale=1.0)
        found = found.transpose(1, 2).flatten(2).to(hidden.dtype)
        if one.mask is None:
            hidden.add_(found, alpha=one.weight)
        else:
            hidden.addcmul_(found, one.mask.to(hidden.dtype), value=one.weight)


def _add_few(hidden: Tensor, query: Tensor, adapters: Sequence[LayerKV]) -> None:
    """Add the attention over a few tokens in float32 on the CPU, in a half to an eighth of the time of torch's own.

    That pays for copies of the queries and of what it found, and for a softmax over rows of four. Here queries are the
    inner dimension, nothing as large as they are is written but the sum, and regions are applied to the few tokens.
    """
    k, v, weight = _concatenated(adapters)
    sums, queries = (_by_heads(x, k.shape[1]) for x in (hidden, query))
    masks, parts = _stacked_masks(adapters), (len(adapters), -1)
    for row, (q, k_row, v_row) in enumerate(zip(queries.transpose(2, 3), k, v, strict=True)):
        scores = torch.bmm(k_row, q)  # [heads, tokens of all adapters, queries]
        found = scores.softmax(1) if len(adapters) == 1 else scores.unflatten(1, parts).softmax(2)
        if masks is not None:
            found = found.unflatten(1, parts) if len(adapters) == 1 else found
            found *= masks[min(row, len(masks) - 1)]
        sums[row].baddbmm_(found.view_as(scores).transpose(1, 2), v_row, alpha=weight)


def _by_heads(x: Tensor, heads: int) -> Tensor:
    """Return [B, heads, N, C / heads] of [B, N, C]: a view."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def _concatenated(adapters: Sequence[LayerKV]) -> tuple[Tensor, Tensor, float]:
    """Return all keys and values one after the other, and the weight that is not in the values yet."""
    if len(adapters) == 1:
        return adapters[0][:3]
    k = torch.cat([one.k for one in adapters], 2)
    if len({one.weight for one in adapters}) == 1:
        return k, torch.cat([one.v for one in adapters], 2), adapters[0].weight
    return k, torch.cat([one.v * one.weight for one in adapters], 2), 1.0


def _stacked_masks(adapters: Sequence[LayerKV]) -> Tensor | None:
    """Return each adapter's mask for each query, [B or 1, adapters, 1, N]; None where all count fully."""
    given = [one.mask for one in adapters if one.mask is not None]
    if not given:
        return None
    rows, places = max(len(mask) for mask in given), given[0].shape[1]
    whole = given[0] if len(given) == len(adapters) else torch.ones_like(given[0])
    each = [(whole if one.mask is None else one.mask).expand(rows, places, 1) for one in adapters]
    return torch.stack(each, 1).transpose(2, 3)
