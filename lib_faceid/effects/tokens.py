"""Tokens for decoupled cross-attention, with the weights that make keys and values of them; and tokens of a context."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

__all__ = ["ContextPart", "ContextSource", "KeyValueWeights", "TokenSource", "Tokens"]


class Tokens(NamedTuple):
    """What the UNet's cross-attention reads beside the prompt, both [tokens, cross_attention_dim], float32."""

    cond: Tensor
    uncond: Tensor


class ContextPart(NamedTuple):
    """What a transformer reads in its context behind the prompt."""

    tokens: Tensor
    """[tokens, width of the context], float32."""
    weights: Tensor
    """[tokens], float32: how much each counts beside the others; the unit's weight comes on top."""


class ContextSource(Protocol):
    """A part of a context that is made when it is needed."""

    def encode(self) -> ContextPart:
        """Return it. Raises FaceIDError where something that it is made of is missing."""
        ...


class TokenSource(Protocol):
    """Tokens that are encoded when they are needed: keys and values of a source seen before are kept by its key."""

    @property
    def key(self) -> Hashable:
        """What tells it from every other source of the same weights."""
        ...

    def encode(self) -> Tokens:
        """Return the tokens. Raises FaceIDError where something that they are made of is missing."""
        ...


class KeyValueWeights(Protocol):
    """The part of an adapter that stands beside the UNet's own `to_k` and `to_v`."""

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        ...

    @property
    def base(self) -> str:
        """The base model it was made for, in words."""
        ...

    @property
    def cross_attention_dim(self) -> int:
        """The width of its tokens: 768 for SD 1.5, 2048 for SDXL."""
        ...

    @property
    def to_k_ip(self) -> Mapping[int, Tensor]:
        """Layer number (odd) -> [hidden, cross_attention_dim]."""
        ...

    @property
    def to_v_ip(self) -> Mapping[int, Tensor]:
        """The same for the values."""
        ...
