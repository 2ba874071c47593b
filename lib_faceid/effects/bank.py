"""Keys and values of tokens, for all layers and slots: computed once, then only selected."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from lib_faceid.effects.tokens import KeyValueWeights, Tokens, TokenSource
from lib_faceid.errors import MismatchError
from lib_faceid.unet.layers import AttentionLayer

__all__ = ["Bank", "Selection", "Span", "bank_of", "forget_all", "make_bank"]


class Span(NamedTuple):
    """Where a layer's K lies in a bank's rows; its V follows."""

    start: int
    num_tokens: int
    hidden_dim: int
    heads: int


class Selection:
    """The keys and values of one UNet call: one row for each row of the batch."""

    def __init__(self, rows: Tensor, spans: Mapping[int, Span]) -> None:
        self._rows = rows
        self._spans = spans
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Return K and V of that layer, both [B, heads, tokens, hidden / heads]: views, nothing is copied.

        K is scaled: attention multiplies them with the queries, and with nothing else.
        """
        if index not in self._layers:
            self._layers[index] = self._views(index)
        return self._layers[index]

    def _views(self, index: int) -> tuple[Tensor, Tensor]:
        start, num_tokens, hidden_dim, heads = self._spans[index]
        size = (len(self._rows), heads, num_tokens, hidden_dim // heads)
        stride = (self._rows.stride(0), hidden_dim // heads, hidden_dim, 1)
        k = self._rows.as_strided(size, stride, start)
        return k, self._rows.as_strided(size, stride, start + num_tokens * hidden_dim)


class Bank:
    """K and V of every slot and layer in one flat tensor [rows, total].

    Slot 0 is uncond, slot i the i-th identity, slot -i the uncond row of what is drawn with the i-th identity. The
    latter have rows of their own, behind the others, only where uncond sees the identity in some layers.
    """

    def __init__(self, flat: Tensor, spans: Mapping[int, Span], num_slots: int) -> None:
        self.num_slots = num_slots
        self._flat = flat
        self._spans = spans
        self._placed: dict[tuple[torch.device, torch.dtype], Tensor] = {}
        self._selected: dict[object, Selection] = {}

    @property
    def nbytes(self) -> int:
        """How much memory it takes on the CPU."""
        return self._flat.nbytes

    def unplaced(self) -> Bank:
        """Return the same bank without its copies on other devices, which go with the job that needed them."""
        return Bank(self._flat, self._spans, self.num_slots)

    def select(self, slots: Tensor, like: Tensor) -> Selection:
        """Return the rows of these slots (int64 [B], any device) on the device and in the dtype of `like`.

        A slot beyond the last identity takes the last: a single one serves every image of a batch; 0 and less are
        uncond. Nothing here waits for the GPU, so that nothing can be checked either: an index outside would take the
        process down there. Slots that the CPU knows are mostly those of the call before, and so is their selection.
        """
        if slots.device.type != "cpu":
            return self._gathered(slots, like)
        key = (like.device, like.dtype, *slots.tolist())
        if key not in self._selected:
            self._selected = {key: self._gathered(slots, like)}
        return self._selected[key]

    def _gathered(self, slots: Tensor, like: Tensor) -> Selection:
        last = self.num_slots - 1
        lowest = self.num_slots - len(self._flat)  # 0, or -last
        slots = slots.to(like.device).clamp(lowest, last)
        if lowest:
            slots = torch.where(slots < 0, last - slots, slots)
        return Selection(self._on(like.device, like.dtype).index_select(0, slots), self._spans)

    def _on(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        key = (device, dtype)
        if key not in self._placed:
            self._placed[key] = self._flat.to(device=device, dtype=dtype)
        return self._placed[key]


def bank_of(
    weights: KeyValueWeights,
    sources: Sequence[TokenSource],
    layers: Sequence[AttentionLayer],
    swapped: frozenset[int] = frozenset(),
) -> Bank:
    """Return the bank of these sources for the UNet's cross-attention layers, kept between jobs that use them again.

    Raises MismatchError: the weights were made for another UNet, or the sources differ in their number of tokens.
    """
    sizes = tuple((layer.index, layer.hidden_dim, layer.heads, layer.context_dim) for layer in layers if layer.is_cross)
    # The weights themselves, not their file: it may be read as another variant, or have been replaced.
    key = (weights, sizes, swapped, *(source.key for source in sources))
    with _keeping:
        if key not in _kept:
            _kept[key] = make_bank(weights, [source.encode() for source in sources], layers, swapped)
            while len(_kept) > KEPT or (len(_kept) > 1 and sum(one.nbytes for one in _kept.values()) > KEPT_BYTES):
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key].unplaced()


def forget_all() -> None:
    """Forget the keys and values that are kept in memory."""
    with _keeping:
        _kept.clear()


LARGEST = torch.finfo(torch.float16).max
KEPT = 8
KEPT_BYTES = 256_000_000
_kept: OrderedDict[object, Bank] = OrderedDict()  # on the CPU; 1 to 5 MB each, with many photos up to 100
_keeping = threading.Lock()


@torch.no_grad()
def make_bank(
    weights: KeyValueWeights,
    tokens: Sequence[Tokens],
    layers: Sequence[AttentionLayer],
    swapped: frozenset[int] = frozenset(),
) -> Bank:
    """Return the bank of these tokens (slot i + 1 is tokens[i]) for the UNet's cross-attention layers.

    swapped: indices of layers where uncond sees the tokens, and cond sees zero tokens.
    Raises MismatchError when the weights were made for another UNet, or the tokens differ in their number.
    """
    cross = [layer for layer in layers if layer.is_cross]
    _check_fit(weights, cross)
    if len({one.cond.shape for one in tokens}) != 1:
        raise MismatchError("The references of one unit must all have the same number of faces or images.")
    sides = {False: torch.stack([tokens[0].uncond, *(one.cond for one in tokens)])}
    if swapped:
        sides = _both_sides(sides[False])
    with torch.autocast("cpu", enabled=False):
        parts = [_keys_and_values(weights, layer, sides[layer.index in swapped]) for layer in cross]
    num_tokens = sides[False].shape[1]
    ends = accumulate(part.shape[1] for part in parts)
    spans = {
        layer.index: Span(end - part.shape[1], num_tokens, layer.hidden_dim, layer.heads)
        for layer, part, end in zip(cross, parts, ends, strict=True)
    }
    flat = torch.cat(parts, dim=1)
    largest = float(flat.abs().max())
    if not largest <= LARGEST:  # NaN is neither
        raise MismatchError(
            f"{weights.name} makes keys and values of {largest:g}; those of a working adapter are below {LARGEST:g}, "
            "all that half precision holds. Its file is damaged, or the reference holds numbers that are no features."
        )
    return Bank(flat, spans, len(tokens) + 1)


def _keys_and_values(weights: KeyValueWeights, layer: AttentionLayer, slots: Tensor) -> Tensor:
    """Return a layer's K and V of each slot's tokens [rows, T, context], one after the other, [rows, 2 * T * hidden].

    K has attention's scale in it, 1/sqrt(hidden / heads): once here, and never in a step.
    """
    scale = (layer.hidden_dim // layer.heads) ** -0.5
    k, v = weights.to_k_ip[layer.index].float() * scale, weights.to_v_ip[layer.index].float()
    return torch.cat([(slots @ weight.T).flatten(1) for weight in (k, v)], 1)


def _both_sides(slots: Tensor) -> dict[bool, Tensor]:
    """Return the tokens of slots 0, 1, ..., -1, -2, ... for ordinary layers (False) and for swapped ones (True)."""
    uncond, people = slots[:1], slots[1:]
    each = uncond.expand_as(people)
    return {
        False: torch.cat([uncond, people, each]),
        True: torch.cat([people[:1], torch.zeros_like(people), people]),
    }


def _check_fit(weights: KeyValueWeights, cross: Sequence[AttentionLayer]) -> None:
    """Raise MismatchError unless there is exactly one fitting pair of weights for each layer."""
    expected = {layer.index: (layer.hidden_dim, layer.context_dim) for layer in cross}
    found = {index: tuple(weight.shape) for index, weight in weights.to_k_ip.items()}
    if expected == found and expected == {index: tuple(weight.shape) for index, weight in weights.to_v_ip.items()}:
        return
    if cross[0].context_dim != weights.cross_attention_dim:
        raise MismatchError(
            f"{weights.name} is for {weights.base} (cross attention {weights.cross_attention_dim}), and this UNet has "
            f"{cross[0].context_dim}. Adapters exist for SD 1.5 (768) and SDXL (2048)."
        )
    same = len(found) == len(expected)
    differing = next((index for index in expected if index in found and expected[index] != found[index]), None)
    layers = f"it has {len(found)} cross-attention layers, the UNet {len(expected)}"
    if same and differing is not None:
        layers = f"layer {differing} takes {list(found[differing])} weights there, and {list(expected[differing])} here"
    raise MismatchError(
        f"{weights.name} does not fit this UNet: {layers}. Both are {weights.base}: one of them is a small or "
        f"cut-down model (such as SSD-1B, BK-SDM or a miniature), for which only an adapter of its own will do."
    )
