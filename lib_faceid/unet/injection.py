"""Put identities into a UNet, and take them out again without a trace.

Two standard PyTorch hooks on every cross-attention, and no forward is ever replaced:

- a forward hook on `to_q` keeps the queries;
- a forward pre-hook on `to_out[0]` adds `weight * attention(q, k_ip, v_ip)` to what the text attention found.

Whatever computes the text attention stays in charge of it (xformers, sdp, ControlNet, Regional Prompter, LoRA,
hypernetworks). Which row belongs to whom is told (`set_rows`) or rides with the conditioning (`expect_tags`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lib_faceid.adapters.adapter import Adapter
from lib_faceid.errors import HostError, UnitError
from lib_faceid.people.identity import Identity
from lib_faceid.unet.attention import identity_attention
from lib_faceid.unet.bank import Bank, Selection, bank_of
from lib_faceid.unet.layers import AttentionLayer, attention_layers
from lib_faceid.unet.rows import MAX_SLOT, untag_rows

__all__ = ["Contribution", "Injection", "inject"]


@dataclass(frozen=True)
class Contribution:
    """What one adapter says about one or more people. Several contributions add up, in any order."""

    adapter: Adapter
    identities: Sequence[Identity]
    """Slot i + 1 is identities[i]; a single one serves every slot. Slot 0 is uncond."""
    weight: float = 0.8
    structure: float = 1.0
    start: float = 0.0
    """Acts from this fraction of the steps ..."""
    end: float = 1.0
    """... up to, and without, this one."""
    fade: float = 0.0
    """Comes in over this fraction of the steps after start, and goes over as much before an end below 1."""

    def weight_at(self, progress: float, step: float = 0.0) -> float:
        """Return the weight for the step that begins at that fraction of the pass; 0 where nothing is to be done.

        step: how much of the pass that step is. A fade is measured in its middle, so that a pass of few steps loses
        none of them to it.
        """
        if progress < self.start or (self.end <= progress and self.end < 1):
            return 0.0
        if not self.fade:
            return self.weight
        middle = progress + step / 2
        coming, going = middle - self.start, self.end - middle if self.end < 1 else self.fade
        return self.weight * min(max(min(coming, going) / self.fade, 0.0), 1.0)


class Injection:
    """The hooks' state while a UNet is injected. Until rows are told or tags expected, nothing happens."""

    def __init__(self, contributions: Sequence[Contribution], banks: Sequence[Bank]) -> None:
        self._members = list(zip(contributions, banks, strict=True))
        self._progress = (0.0, 0.0)
        self._rows: Tensor | None = None
        self._tagged_lengths: frozenset[int] = frozenset()
        self._slots: Tensor | None = None
        self._selected: list[tuple[Selection, float]] | None = None
        self._queries: dict[int, Tensor] = {}
        self.calls = 0
        """UNet calls so far in which at least one identity was added to at least one layer."""
        self.untagged_calls = 0
        """UNet calls so far that came without the tags that were expected, and were left alone."""

    @property
    def acts(self) -> bool:
        """Whether any identity does anything at the current progress."""
        return any(contribution.weight_at(*self._progress) for contribution, _ in self._members)

    def set_progress(self, progress: float, step: float = 0.0) -> None:
        """Say how far the pass is where the coming step begins (0 is the first), and how much of the pass it is."""
        self._progress = progress, step

    def set_rows(self, slots: Sequence[int] | None) -> None:
        """Say which slot each row of the coming UNet calls belongs to; None switches everything off."""
        self.expect_tags(())
        if slots is not None:
            self._check_slots(slots)
            self._rows = torch.tensor(slots)

    def expect_tags(self, lengths: Sequence[int]) -> None:
        """Expect rows that carry slot tags: contexts of one of these lengths, tag included. Empty: expect none."""
        self._rows = None
        self._tagged_lengths = frozenset(lengths)

    def _check_slots(self, slots: Sequence[int]) -> None:
        most = min((bank.num_slots - 1 for _, bank in self._members if bank.num_slots > 2), default=MAX_SLOT)
        wrong = [slot for slot in slots if not 0 <= slot <= most]
        if wrong:
            raise UnitError(f"Slot {wrong[0]} was named for a row; slots go from 0 (uncond) to {most}.")

    # What the hooks do. The order in one UNet call: begin_call, then keep_query and add_identity per layer, end_call.

    def begin_call(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Read the slots of this call, and give the UNet its conditioning without tags."""
        self.end_call()
        if not self._tagged_lengths:
            self._slots = self._rows if self.acts else None
            return None
        context = kwargs.get("context", args[2] if len(args) > 2 else None)
        if context is None or context.shape[1] not in self._tagged_lengths:
            self.untagged_calls += 1
            return None
        context, slots = untag_rows(context)
        self._slots = slots if self.acts else None
        if "context" in kwargs:
            return args, {**kwargs, "context": context}
        return (*args[:2], context, *args[3:]), kwargs

    def end_call(self) -> None:
        """Forget everything that belongs to one UNet call; count it, if a layer was reached in it."""
        self.calls += bool(self._selected)
        self._slots = self._selected = None
        self._queries.clear()

    def keep_query(self, index: int, query: Tensor) -> None:
        """Keep what `to_q` gave, until the same layer's `to_out` is called."""
        if self._slots is not None:
            self._queries[index] = query

    def add_identity(self, layer: AttentionLayer, hidden: Tensor) -> Tensor | None:
        """Return the input of `to_out` with the identities added; None where nothing is to be added."""
        query = self._queries.pop(layer.index, None)
        if query is None or self._slots is None:
            return None
        if self._selected is None:
            self._selected = [
                (bank.select(self._slots, query), weight)
                for contribution, bank in self._members
                if (weight := contribution.weight_at(*self._progress))
            ]
        for selection, weight in self._selected:
            k, v = (_match_rows(x, query) for x in selection.layer(layer.index))
            found = identity_attention(query, k, v, layer.heads).to(hidden.dtype)
            hidden = torch.add(hidden, found, alpha=weight)
        return hidden


@contextmanager
def inject(unet: nn.Module, contributions: Sequence[Contribution]) -> Generator[Injection]:
    """Inject identities into a UNet of `ldm`, `sgm` or diffusers, and give the Injection that steers them.

    Everything that can fail is checked before the first hook is set. On leaving, also by an exception, no hook is left.
    """
    layers = attention_layers(unet)
    banks = [bank_of(one.adapter, one.identities, one.structure, layers) for one in contributions]
    injection = Injection(contributions, banks)
    with ExitStack() as hooks:
        for handle in _attach(unet, layers, injection):
            hooks.callback(handle.remove)
        hooks.callback(injection.end_call)
        yield injection


def _attach(unet: nn.Module, layers: Sequence[AttentionLayer], injection: Injection) -> Iterator[Any]:
    """Set the hooks one by one, giving each one's handle at once, so that none is ever lost."""
    # In front of everybody else's, so that nobody ever sees a tag; and of two injections, the later one reads it.
    yield unet.register_forward_pre_hook(injection.begin_call, prepend=True, with_kwargs=True)
    yield unet.register_forward_hook(lambda *_: injection.end_call(), always_call=True)
    for layer in layers:
        if layer.is_cross:
            yield layer.projection("q").register_forward_hook(_keep_query(injection, layer))
            yield layer.projection("out").register_forward_pre_hook(_add_identity(injection, layer))


def _keep_query(injection: Injection, layer: AttentionLayer) -> Callable[[nn.Module, Any, Tensor], None]:
    return lambda _module, _args, query: injection.keep_query(layer.index, query)


def _add_identity(injection: Injection, layer: AttentionLayer) -> Callable[[nn.Module, Any], Any]:
    def hook(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        hidden = injection.add_identity(layer, args[0])
        return None if hidden is None else (hidden, *args[1:])

    return hook


def _match_rows(rows: Tensor, query: Tensor) -> Tensor:
    """Return one row of K or V for each row of the query; what cuts pictures into tiles repeats each row in place."""
    if rows.shape[0] == query.shape[0]:
        return rows
    times, rest = divmod(query.shape[0], rows.shape[0])
    if rest:
        raise HostError(
            f"A layer of the UNet was given {query.shape[0]} rows for a call of {rows.shape[0]}: another extension "
            f"rearranges the batch in a way FaceID cannot follow. Switch extensions off one by one to find it."
        )
    return rows.repeat_interleave(times, dim=0)
