"""What an adapter makes of references, made when a host asks for it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from lib_faceid.effects.tokens import ContextPart, Tokens
from lib_faceid.references.negative import Negative
from lib_faceid.references.reference import Reference

if TYPE_CHECKING:
    from lib_faceid.methods.adapter import Adapter

__all__ = ["ContextReference", "EncodedReference", "WrittenReference"]


@dataclass(frozen=True, eq=False)
class EncodedReference:
    """The tokens of a reference, encoded when the UNet's keys and values are not known yet."""

    adapter: Adapter
    reference: Reference
    settings: Mapping[str, float]
    negative: Negative

    @property
    def key(self) -> Hashable:
        """What tells it from other references of the same adapter."""
        return (*sorted(self.settings.items()), self.negative.fingerprint, self.reference.fingerprint)

    def encode(self) -> Tokens:
        """Return the tokens of the reference, and of the negative beside it."""
        return self.adapter.encode(self.reference, self.settings, self.negative)


@dataclass(frozen=True, eq=False)
class WrittenReference:
    """The rows of a reference that are written into a text, encoded when there is one."""

    adapter: Adapter
    reference: Reference

    @property
    def key(self) -> Hashable:
        """What tells it from other references of the same adapter."""
        return self.reference.fingerprint

    def encode(self) -> Tensor:
        """Return the rows [n, width]."""
        return self.adapter.encode_rows(self.reference)


@dataclass(frozen=True, eq=False)
class ContextReference:
    """The tokens of a reference for a context, encoded when a transformer is attached to."""

    adapter: Adapter
    reference: Reference
    settings: Mapping[str, float]

    def encode(self) -> ContextPart:
        """Return the tokens of the reference."""
        return self.adapter.encode_context(self.reference, self.settings)
