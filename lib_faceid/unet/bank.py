"""The keys and values of an identity, for all layers and slots, computed once and then only picked from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from lib_faceid.adapters.adapter import Adapter, Tokens
from lib_faceid.errors import MismatchError
from lib_faceid.people.identity import Identity
from lib_faceid.unet.layers import AttentionLayer

__all__ = ["Bank", "Selection", "bank_of", "forget_all", "make_bank"]


class Selection:
    """The keys and values of one UNet call: one row for each row of the batch."""

    def __init__(self, rows: Tensor, spans: dict[int, tuple[int, int, int]]) -> None:
        self._rows = rows
        self._spans = spans

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Return K and V of that layer, both [B, tokens, hidden]: views, nothing is copied."""
        start, size, hidden_dim = self._spans[index]
        both = self._rows[:, start : start + size].unflatten(1, (2, -1, hidden_dim))
        return both[:, 0], both[:, 1]


class Bank:
    """K and V of every slot and layer in one flat tensor [slots, total]; slot 0 is uncond, slot i the i-th identity."""

    def __init__(self, flat: Tensor, spans: dict[int, tuple[int, int, int]], num_tokens: int) -> None:
        self.num_slots = flat.shape[0]
        self.num_tokens = num_tokens
        self._flat = flat
        self._spans = spans
        self._placed: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def unplaced(self) -> Bank:
        """Return the same bank without its copies on other devices, which go with the job that needed them."""
        return Bank(self._flat, self._spans, self.num_tokens)

    def select(self, slots: Tensor, like: Tensor) -> Selection:
        """Return the rows of these slots (int64 [B], any device) on the device and in the dtype of `like`.

        A slot beyond the last identity takes the last: a single one serves every image of a batch. Nothing here waits
        for the GPU, so that nothing can be checked either: an index outside would take the process down there.
        """
        slots = slots.to(like.device).clamp(0, self.num_slots - 1)
        return Selection(self._on(like.device, like.dtype).index_select(0, slots), self._spans)

    def _on(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        key = (device, dtype)
        if key not in self._placed:
            self._placed[key] = self._flat.to(device=device, dtype=dtype)
        return self._placed[key]


def bank_of(
    adapter: Adapter, identities: Sequence[Identity], structure: float, layers: Sequence[AttentionLayer]
) -> Bank:
    """Return the bank of these people for the UNet's cross-attention layers, kept between jobs that draw them again.

    Raises MismatchError: the adapter was made for another UNet, or the identities differ in their number of faces.
    """
    sizes = tuple((layer.index, layer.hidden_dim, layer.context_dim) for layer in layers if layer.is_cross)
    # The adapter itself, not its file: somebody may have put other weights or another variant into it.
    key = (adapter, structure, sizes, *(one.fingerprint for one in identities))
    with _keeping:
        if key not in _kept:
            tokens = [adapter.encode(identity, structure) for identity in identities]
            _kept[key] = make_bank(adapter, tokens, layers)
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key].unplaced()


def forget_all() -> None:
    """Forget the people whose keys and values are kept in memory."""
    with _keeping:
        _kept.clear()


KEPT = 4
_kept: OrderedDict[object, Bank] = OrderedDict()  # some MB each, on the CPU
_keeping = threading.Lock()


@torch.no_grad()
def make_bank(adapter: Adapter, tokens: Sequence[Tokens], layers: Sequence[AttentionLayer]) -> Bank:
    """Return the bank of these identities' tokens (slot i + 1 is tokens[i]) for the UNet's cross-attention layers.

    Raises MismatchError when the adapter was made for another UNet, or the identities differ in their number of faces.
    """
    cross = [layer for layer in layers if layer.is_cross]
    _check_fit(adapter, cross)
    if len({one.cond.shape for one in tokens}) != 1:
        raise MismatchError("The identities of one unit must all have the same number of faces.")
    slots = torch.stack([tokens[0].uncond, *(one.cond for one in tokens)])
    with torch.autocast("cpu", enabled=False):
        parts = [
            torch.cat(
                [(slots @ weights[layer.index].float().T).flatten(1) for weights in (adapter.to_k_ip, adapter.to_v_ip)],
                1,
            )
            for layer in cross
        ]
    ends = list(accumulate(part.shape[1] for part in parts))
    spans = {
        layer.index: (end - part.shape[1], part.shape[1], layer.hidden_dim)
        for layer, part, end in zip(cross, parts, ends, strict=True)
    }
    return Bank(torch.cat(parts, dim=1), spans, slots.shape[1])


def _check_fit(adapter: Adapter, cross: Sequence[AttentionLayer]) -> None:
    """Raise MismatchError unless the adapter has exactly one fitting pair of weights for each layer."""
    wanted = {layer.index: (layer.hidden_dim, layer.context_dim) for layer in cross}
    found = {index: tuple(weight.shape) for index, weight in adapter.to_k_ip.items()}
    if wanted == found and wanted == {index: tuple(weight.shape) for index, weight in adapter.to_v_ip.items()}:
        return
    if cross[0].context_dim != adapter.cross_attention_dim:
        raise MismatchError(
            f"{adapter.name} is for {adapter.family} (cross attention {adapter.cross_attention_dim}), and this UNet "
            f"has {cross[0].context_dim}. FaceID exists for SD 1.5 (768) and SDXL (2048)."
        )
    raise MismatchError(
        f"{adapter.name} does not fit this UNet: it has {len(found)} cross-attention layers, the UNet {len(wanted)}, "
        f"or their sizes differ. Use an adapter made for this checkpoint's family."
    )
