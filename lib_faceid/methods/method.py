"""What a method declares. A method is one folder: `methods/<id>/method.py` with a `Method`, and its networks.

Everything outside (the page, the API's schema, the setup check, Auto, messages, the docs' tables) is made from what is
declared here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.bases.base_model import BASE_LABELS, UNETS
from lib_faceid.effects.effect import EffectKind
from lib_faceid.encoders.crops import Crop
from lib_faceid.encoders.features import ARCFACE, PIXELS, FeatureKey
from lib_faceid.units.unit import Purpose

__all__ = ["NET_FIELDS", "Builder", "Layout", "Method", "Net", "Purpose", "Reads", "Shapes", "Variant"]

NET_FIELDS = ("net_weight", "net_start", "net_end", "keypoints", "pose")
"""The fields of a unit that are for a variant's ControlNet."""

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Tensor name below `image_proj.` -> shape."""
Layout: TypeAlias = Callable[[Mapping[str, Tensor]], "Mapping[str, Tensor] | None"]
"""Gives the tensors of a whole file under `image_proj.` and `ip_adapter.<number>.`; None for a file of another kind.
Raises ValueError, which says what, for one that lacks something."""
Builder: TypeAlias = Callable[[Mapping[str, Tensor]], nn.Module]
"""Gives a projection network, float32 on the CPU, of the tensors below `image_proj.`."""


class Reads(NamedTuple):
    """Features that a variant reads of a reference."""

    key: FeatureKey
    unit_length: bool = False
    """Whether it reads them at unit length."""

    def of(self, features: Tensor) -> Tensor:
        """Return features [n, *shape] as the network reads them."""
        return functional.normalize(features, dim=-1) if self.unit_length else features


class Net(NamedTuple):
    """A ControlNet that a variant was trained together with, which reads its tokens and is shown the key points."""

    label: str
    id: str
    """Of the published file in the catalogue."""
    file_name: str
    """What it is best called."""
    sha256: str
    size_bytes: int
    name_hints: tuple[str, ...]
    """What the name of a file, or of a folder around it, contains, its punctuation aside."""


@dataclass(frozen=True)
class Variant:
    """One way of making tokens of a reference: one projection network, and what it reads.

    >>> [variant.id for variant in variants() if variant.reads_face and variant.has_lora]
    ['plusv2', 'plus', 'faceid', 'photomaker_v2']
    """

    id: str
    label: str
    matches: Callable[[Shapes], bool]
    """Whether these `image_proj` tensors can be read as this variant; two variants may both say yes (a tie)."""
    network: Builder
    filename_hint: str
    """What a file's name contains, its punctuation aside; the last resort in a tie, asked in the order declared."""
    reads: tuple[Reads, ...]
    """What the network is called with, in this order."""
    bases: tuple[int, ...] = UNETS
    """The cross attention dimensions it was ever published for."""
    makes: EffectKind = "tokens"
    """What its network gives: tokens for the cross-attention, or for a transformer's context."""
    caution: str = ""
    """A sentence that everybody is told who draws with it; empty where nothing is to be said."""
    network_settings: tuple[str, ...] = ()
    """Fields of a unit that the network is called with besides, by name."""
    has_lora: bool = False
    """Whether it was trained together with a LoRA in the same file."""
    crop: Crop = "square"
    """What of an image the encoder sees unless the unit says otherwise; a person's crops have a field of their own."""
    recogniser: str = ""
    """The face recogniser whose vectors it was trained on; empty where it reads none."""
    requires_recogniser: bool = False
    """Whether vectors of another recogniser are refused. Where not, they are pointed out."""
    net: Net | None = None
    """The ControlNet that goes with it, in a file of its own."""
    trigger: str = ""
    """Where it writes the person into the prompt, and gives no tokens: the word that stands where. Its network then
    gives the person's rows, [pictures, rows, width of the text], of which several pictures have their own."""
    fuse: Builder | None = None
    """Makes one of a text's rows and of a person's, where it writes into the prompt."""
    signs: Callable[[Mapping[str, Tensor]], bool] | None = None
    """In a tie: whether a file's tensors point to this variant; None where nothing in them can."""

    def __repr__(self) -> str:
        return f"<Variant {self.id}>"

    def is_named_in(self, file_stem: str) -> bool:
        """Say whether a file's name, without its extension, contains the hint."""
        return self.filename_hint in re.sub(r"[^a-z0-9]", "", file_stem.lower())

    @property
    def reads_face(self) -> bool:
        """Whether it reads a face recogniser's vector, so that a face has to be found in each picture."""
        return any(read.key == ARCFACE for read in self.reads)

    @property
    def encoders(self) -> tuple[str, ...]:
        """The image encoders that it needs besides a face recogniser and its own file."""
        found = (read.key.encoder for read in self.reads if read.key not in (ARCFACE, PIXELS))
        return tuple(dict.fromkeys(found))

    @property
    def needs(self) -> tuple[str, ...]:
        """What it cannot be used without besides its file: image encoders, and a face recogniser of its own."""
        return (*self.encoders, *([self.recogniser] if self.requires_recogniser else []))

    @property
    def settings(self) -> frozenset[str]:
        """The fields of a unit that it uses, of those that not every variant does."""
        crop = {"clip_crop"} if self.reads_face else {"image_crop"}
        lora, net = ["lora"] if self.has_lora else [], NET_FIELDS if self.net else ()
        return frozenset({*self.network_settings, *lora, *net, *(crop if self.encoders else ())})

    @property
    def base_labels(self) -> str:
        """The base models it exists for, in words."""
        return " and ".join(BASE_LABELS[dim] for dim in self.bases)


@dataclass(frozen=True)
class Method:
    """A way of drawing from a reference.

    >>> [method.id for method in METHODS]
    ['faceid', 'instantid', 'ip_adapter', 'photomaker', 'redux']
    """

    id: str
    label: str
    purpose: Purpose
    summary: str
    """One sentence for the page and the docs: what it is good for."""
    variants: tuple[Variant, ...]
    """In the order in which Auto prefers them, the best first."""
    known_files: Mapping[str, str] = field(default_factory=dict[str, str])
    """SHA-256 of published files that shapes alone cannot tell apart -> variant id."""
    layout: Layout | None = None
    """Reads files that are laid out otherwise than IP-Adapters are."""
    file_hint: str = ""
    """What file names of this method contain: a file called so that cannot be read is named when Auto finds none."""
    best_files: Mapping[int, str] = field(default_factory=dict[int, str])
    """cross_attention_dim -> the published file to get first."""
    source: str = ""
    """Where the published files are, and under which licence, in words."""

    def is_named_in(self, file_name: str) -> bool:
        """Return whether a file is called like one of this method's, in capitals or not."""
        return bool(self.file_hint) and self.file_hint in file_name.lower()
