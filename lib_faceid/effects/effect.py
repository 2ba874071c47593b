"""Effects: what a unit does to a job, as small values. A method makes them, the engine composes them, a host carries
them; none of the three knows the others.

A kind of effect that a host cannot carry is refused before anything is drawn (`require_carried`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib_faceid.effects.lora import LoraWeights
from lib_faceid.effects.text import Text
from lib_faceid.effects.tokens import ContextSource, KeyValueWeights, TokenSource
from lib_faceid.errors import HostError
from lib_faceid.units.region import Box

if TYPE_CHECKING:
    from lib_faceid.effects.net_file import NetFile

__all__ = [
    "KINDS",
    "ContextTokens",
    "Control",
    "CrossAttention",
    "Effect",
    "EffectKind",
    "HintPicture",
    "Lora",
    "require_carried",
]

EffectKind: TypeAlias = Literal["tokens", "lora", "residuals", "text", "context"]
KINDS: dict[EffectKind, str] = {
    "tokens": "tokens for the cross-attention",
    "lora": "a LoRA in the UNet's weights",
    "residuals": "residuals of a ControlNet",
    "text": "changed rows of the text conditioning",
    "context": "tokens in a transformer's context",
}
"""Every kind of effect there is, in words."""


@dataclass(frozen=True, eq=False)
class CrossAttention:
    """Tokens that the UNet's cross-attention reads beside the prompt."""

    weights: KeyValueWeights
    sources: Sequence[TokenSource]
    """Slot i + 1 is sources[i]; a single one serves every slot. Slot 0, or a negative one, is uncond."""
    kind: EffectKind = "tokens"


@dataclass(frozen=True, eq=False)
class ContextTokens:
    """Tokens that a transformer reads in its context, behind the prompt's."""

    name: str
    """The adapter's, for messages."""
    sources: Sequence[ContextSource]
    """Of each image of a batch, or one for all."""
    kind: EffectKind = "context"


@dataclass(frozen=True, eq=False)
class Lora:
    """A LoRA that is merged into the UNet while the job runs."""

    weights: LoraWeights
    strength: float
    kind: EffectKind = "lora"


class HintPicture(Protocol):
    """A picture that a ControlNet follows, drawn in whatever size is asked for."""

    def drawn(self, canvas_px: tuple[int, int], view: Box) -> NDArray[np.uint8]:
        """Return it as uint8 RGB [H, W, 3]. canvas_px: width, height; view: the part of the whole that it shows."""
        ...


@dataclass(frozen=True, eq=False)
class Control:
    """A ControlNet that runs beside the UNet, with tokens or the prompt as its context and a picture to follow."""

    net: NetFile
    label: str
    """What the method calls it."""
    sources: Sequence[TokenSource]
    """Its context, as for CrossAttention: of each image, or one for all. None at all: what the UNet itself reads."""
    pictures: Sequence[HintPicture]
    """What it follows in each image of a batch; a single one serves all."""
    sha256: str = ""
    """Of the net's file, for what is written down of a picture."""
    kind: EffectKind = "residuals"


Effect: TypeAlias = "CrossAttention | ContextTokens | Lora | Control | Text"


def require_carried(kinds: Collection[EffectKind], carried: Collection[EffectKind], what: str, host: str) -> None:
    """Raise HostError unless a host that carries these kinds of effects can carry all of `kinds`.

    what, host: how the message calls the adapter and the host.
    """
    missing = [KINDS[kind] for kind in KINDS if kind in kinds and kind not in carried]
    if missing:
        raise HostError(
            f"{what} needs {' and '.join(missing)}, which {host} cannot apply. Choose another adapter, or draw this "
            "unit in a host that can."
        )
