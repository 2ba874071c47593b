"""Attach tokens to a UNet's cross-attention, and take them out again without a trace.

Two standard PyTorch hooks on every cross-attention, and no forward is ever replaced:

- a forward hook on `to_q` keeps the queries;
- a forward pre-hook on `to_out[0]` adds `weight * attention(q, k_ip, v_ip)` to what the text attention found.

Whatever computes the text attention stays in charge of it (xformers, sdp, ControlNet, Regional Prompter, LoRA,
hypernetworks). Which slot a row belongs to is set (`set_rows`), or travels with the conditioning, in it
(`expect_tags`) or beside it (`expect_carried`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lib_faceid.arguments import as_many, as_number, require
from lib_faceid.effects.attention import LayerKV, ip_attention, is_own
from lib_faceid.effects.bank import Selection
from lib_faceid.effects.contribution import Contribution
from lib_faceid.effects.members import Member, members_of
from lib_faceid.effects.text import Writing
from lib_faceid.unet.layers import AttentionLayer, attention_layers, transformers
from lib_faceid.unet.matching import ALL_ROWS, match_places, match_rows, rows_at_hand
from lib_faceid.unet.regions import RegionMasks, rows_of_shares
from lib_faceid.unet.rows import CARRIED, MAX_SLOT, checked_slots, place_of, untag_rows
from lib_faceid.unet.tag_watch import TagWatch
from lib_faceid.unet.tiles import Tiles
from lib_faceid.units.region import WHOLE, Box

__all__ = ["Contribution", "Injection", "attached", "inject"]


class Injection:
    """The hooks' state while a UNet is injected. Until rows are told or tags expected, nothing happens.

    >>> with inject(unet, Contribution(load_adapter("ip-adapter-faceid_sd15.safetensors").tokens(person))) as injection:
    ...     injection.set_rows([0, 1])  # of [2, 4, h, w] latents: without the person, with her
    ...     injection.set_progress(0.5)  # half of the steps are done
    ...     _ = unet(latents, timestep, context)
    >>> injection.calls
    1
    """

    def __init__(self, members: Sequence[Member], view: Box = WHOLE) -> None:
        self._members = members
        self._masks = RegionMasks([member.contribution.regions for member in members], view)
        self._weights = {  # of all members in each layer; asked for by each of them in each layer of each call
            index: tuple(one.contribution.schedule.weight * one.factors[index] for one in members)
            for index in (members[0].factors if members else ())
        }
        self.has_regions = self._masks.any
        """Whether any identity acts in a part of the picture only."""
        self.needs_parts = self.has_regions
        """Whether it counts which part of the picture a call shows."""
        self.keeps_apart = False
        """Whether rows with and without identities had better come in calls of their own."""
        self._progress = (0.0, 0.0)
        self._rows: Tensor | None = None
        self._tagged_lengths: frozenset[int] = frozenset()
        self._tiles_at_hand: Callable[[], Tiles] | None = None  # where slots are carried
        self._slots: Tensor | None = None
        self._selected: list[tuple[int, Selection, float]] | None = None
        self._queries: dict[int, tuple[Tensor, slice]] = {}
        self._latent = self._map = (0, 0)
        self._tiles = Tiles()
        self._parts: Sequence[Box] | None = (WHOLE,)
        self._cached_masks: dict[object, Tensor] = {}
        self.calls = 0
        """UNet calls so far in which at least one identity was added to at least one layer."""
        self.plain_calls = 0
        """UNet calls so far in which a ControlNet that belongs to no identity acted."""
        self.watch = TagWatch()
        """What became of the tags that were expected. A job puts one for all its UNets here."""
        self.writing: Writing | None = None
        """What the job writes into the texts besides, which its host gives to the UNet."""

    @property
    def acts(self) -> bool:
        """Whether any identity does anything at the current progress."""
        return any(member.contribution.weight_at(*self._progress) for member in self._members)

    def set_progress(self, progress: float, step: float = 0.0) -> None:
        """Say how far the pass is where the coming step begins (0 is the first), and how much of the pass it is."""
        self._progress = as_number(progress, "progress"), as_number(step, "step")

    def set_rows(self, slots: Sequence[int] | None) -> None:
        """Say which slot each row of the coming UNet calls belongs to; None switches everything off.

        Slot i + 1 is image i of the batch with its identity, slot -(i + 1) the same image without (its uncond). Where
        all images have one identity and one region, 1 and 0 say enough.
        """
        self.expect_tags(())
        if slots is not None:
            most = min((one.bank.num_slots - 1 for one in self._members if one.bank.num_slots > 2), default=MAX_SLOT)
            self._rows = torch.tensor(checked_slots(slots, most), dtype=torch.long)

    def expect_tags(self, lengths: Sequence[int], people: int = 1, tiles: Tiles | None = None) -> None:
        """Expect rows that carry slot tags: contexts of one of these lengths, tag included. Empty: expect none.

        people: how many rows of the coming step, the uncond ones aside, carry one; tiles: which part of the picture
        each of its UNet calls shows, where it is not always the whole.
        """
        self._rows = self._tiles_at_hand = None
        self._tiles = tiles or Tiles()
        self._tagged_lengths = frozenset(lengths)
        if lengths:
            self.watch.begin_step(people)

    def expect_carried(self, people: int, tiles: Callable[[], Tiles]) -> None:
        """Expect UNet calls with `CarriedSlots` as their argument `CARRIED`.

        people: how many rows of the coming step, the uncond ones aside, are carried; tiles: gives, for each of its
        calls the same, which part of the picture each of them shows: that may be known when the first one comes.
        """
        self.expect_tags(())
        self._tiles_at_hand = tiles
        self.watch.begin_step(people)

    # What the hooks do. The order in one UNet call: begin_call, then keep_query and add_tokens per layer, end_call.

    def begin_call(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Read the slots of this call, and give the UNet its conditioning without tags."""
        self.end_call()
        self._latent = _latent_size(args, kwargs)
        if self._tiles_at_hand is not None:
            return self._begin_carried(self._tiles_at_hand, args, kwargs)
        if not self._tagged_lengths:
            self._parts = (WHOLE,)
            self._slots = self._rows if self.acts else None
            return None
        context = kwargs.get("context", args[2] if len(args) > 2 else None)
        if context is None or context.shape[1] not in self._tagged_lengths:
            self.watch.record_call(None)
            return None
        place = place_of(context) if self._tiles.has_places and self.needs_parts else 0
        context, slots = untag_rows(context)
        self._take(slots, place)
        if "context" in kwargs:
            return args, {**kwargs, "context": context}
        return (*args[:2], context, *args[3:]), kwargs

    def _begin_carried(
        self, tiles: Callable[[], Tiles], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Any] | None:
        """Read the slots that a call brings with it, and take them out of what the UNet gets."""
        carried = kwargs.get(CARRIED)
        slots = None if carried is None else carried.for_rows(len(args[0] if args else kwargs["x"]))
        if slots is None:
            self.watch.record_call(None)
            return None
        self._tiles = tiles()
        self._take(slots)
        return args, {name: value for name, value in kwargs.items() if name != CARRIED}

    def _take(self, slots: Tensor, place: int = 0) -> None:
        """Note whose the rows of this call are, and which part of the picture they show."""
        self._parts = self._tiles.next_parts(self._latent, len(slots), place)
        self.watch.record_call(slots, is_placed=self._parts is not None or not self.needs_parts)
        self._slots = slots if self.acts else None

    def end_call(self) -> None:
        """Forget everything that belongs to one UNet call; count it, if a layer was reached in it."""
        self.calls += bool(self._selected)
        self._slots = self._selected = None
        self._queries.clear()
        self._cached_masks.clear()

    def record_map_size(self, feature_map: Tensor) -> None:
        """Note height and width of the feature map [B, C, H, W] that the coming layers look at."""
        self._map = (feature_map.shape[-2], feature_map.shape[-1])

    def keep_query(self, index: int, hidden: Tensor, query: Tensor) -> None:
        """Keep what `to_q` made of its input, until the same layer's `to_out` is called."""
        if self._slots is not None:
            self._queries[index] = query, rows_at_hand(hidden, len(self._slots))

    def add_tokens(self, layer: AttentionLayer, hidden: Tensor, *, is_watched: bool) -> Tensor | None:
        """Return the input of `to_out` with the adapters' attention added; None where nothing is to be added.

        It is written over, which spares a copy of its size, unless a hook of another extension saw it before.
        """
        query, rows = self._queries.pop(layer.index, (None, ALL_ROWS))
        if query is None or self._slots is None:
            return None
        if self._selected is None:
            self._selected = [
                (number, member.bank.select(self._slots, query), weight)
                for number, member in enumerate(self._members)
                if (weight := member.contribution.weight_at(*self._progress))
            ]
        adapters: list[LayerKV] = []
        for number, selection, weight in self._selected:
            factor = self._members[number].factors[layer.index]
            if factor:
                k, v = selection.layer(layer.index)
                if rows is not ALL_ROWS or len(k) != len(query):
                    k, v = (match_rows(x[rows], query) for x in (k, v))
                adapters.append(LayerKV(k, v, weight * factor, self._mask(number, layer, query, rows)))
        if not adapters:
            return None
        hidden = hidden.clone() if is_watched or not is_own(hidden) else hidden
        ip_attention(hidden, query, adapters)
        return hidden

    def _mask(self, number: int, layer: AttentionLayer, query: Tensor, rows: slice) -> Tensor | None:
        """Return how much a contribution counts for each query of each row, [B or 1, N, 1]; None: fully."""
        if self._slots is None or self._parts is None or not self.has_regions:
            return None
        weights = self._weights[layer.index]
        key = (number, self._map, weights)
        if key not in self._cached_masks:
            sizes = self._map, self._latent
            masks = [self._masks.at(sizes, weights, query, part)[number] for part in self._parts]
            found = [mask for mask in masks if mask is not None]
            if not found:
                return None
            self._cached_masks[key] = rows_of_shares(found, self._slots)
        mask = self._cached_masks[key]
        return match_places(mask if len(mask) == 1 else mask[rows], query)


AnyInjection = TypeVar("AnyInjection", bound=Injection)


@contextmanager
def inject(
    unet: nn.Module, contributions: Contribution | Iterable[Contribution], view: Box = WHOLE
) -> Generator[Injection]:
    """Attach contributions to a UNet of `ldm`, `sgm` or diffusers, and yield the Injection that steers them.

    view: the part of the whole picture that the UNet draws, for regions (an inpainted part of it, say).
    Everything that can fail is checked before the first hook is set. On leaving, also by an exception, no hook is left.

    >>> tokens = load_adapter("ip-adapter-faceid_sd15.safetensors").tokens(person)
    >>> with inject(unet, Contribution(tokens, Schedule(weight=0.8))) as injection:
    ...     injection.set_rows([0, 1])
    ...     noise = unet(latents, timestep, context).sample
    >>> noise.shape == latents.shape
    True
    """
    require(unet, "unet", nn.Module, "the UNet itself, a torch.nn.Module such as pipeline.unet,")
    contributions = as_many(contributions, "contributions", Contribution, "a Contribution")
    layers = attention_layers(unet)
    with attached(unet, layers, Injection(members_of(layers, contributions), view)) as injection:
        yield injection


@contextmanager
def attached(unet: nn.Module, layers: Sequence[AttentionLayer], injection: AnyInjection) -> Generator[AnyInjection]:
    """Set the hooks that an injection acts by, and yield it. On leaving none is left. layers: the UNet's."""
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
    if injection.has_regions:
        for block in transformers(unet, layers):
            yield block.register_forward_pre_hook(_record_map_size(injection), with_kwargs=True)
    for layer in layers:
        if layer.is_cross:
            yield layer.projection("q").register_forward_hook(_keep_query(injection, layer))
            yield layer.projection("out").register_forward_pre_hook(_add_tokens(injection, layer))


def _latent_size(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Return height and width of what a UNet is called with: `x` in `ldm` and `sgm`, `sample` in diffusers."""
    latent = args[0] if args else kwargs.get("x", kwargs.get("sample"))
    return (latent.shape[-2], latent.shape[-1]) if isinstance(latent, Tensor) else (0, 0)


def _record_map_size(injection: Injection) -> Callable[[nn.Module, Any, dict[str, Any]], None]:
    return lambda _module, args, kwargs: injection.record_map_size(args[0] if args else next(iter(kwargs.values())))


def _keep_query(injection: Injection, layer: AttentionLayer) -> Callable[[nn.Module, Any, Tensor], None]:
    return lambda _module, args, query: injection.keep_query(layer.index, args[0], query)


def _add_tokens(injection: Injection, layer: AttentionLayer) -> Callable[[nn.Module, Any], Any]:
    def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        is_watched = len(vars(module)["_forward_pre_hooks"]) > 1
        hidden = injection.add_tokens(layer, args[0], is_watched=is_watched)
        return None if hidden is None else (hidden, *args[1:])

    return hook
