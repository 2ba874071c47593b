"""A reference: what the encoders made of the pictures of one person, or of one image prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from lib_faceid.arguments import require
from lib_faceid.encoders.features import ARCFACE, CLIP_H_HIDDEN, FeatureKey
from lib_faceid.errors import MismatchError
from lib_faceid.references.combining import relative_weights

__all__ = ["MAX_PICTURES", "Features", "Reference", "ReferenceT", "TokenMerge"]

TokenMerge = Literal["concatenate", "average"]
"""What an adapter does with the tokens of several pictures."""

MAX_PICTURES = 20
NAMES = {ARCFACE: "id_embeddings", CLIP_H_HIDDEN: "clip_hidden"}
"""What two kinds of features are called in Python; all others go by their key."""
ReferenceT = TypeVar("ReferenceT", bound="Reference")


class Features(NamedTuple):
    """What one encoder gives of each picture, float32 on the CPU."""

    values: Tensor
    """[pictures, *shape]"""
    blank: Tensor
    """[*shape]: what it gives of no picture, which the negative side (uncond) was trained with."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Features by key, of one or more pictures. Tensors are float32 on the CPU and are never changed.

    >>> {".".join(key): tuple(one.values.shape) for key, one in person.features.items()}
    {'arcface.embedding': (1, 512)}
    """

    features: Mapping[FeatureKey, Features]
    recogniser: str = ""
    """Which recogniser made the ARCFACE features; vectors of two recognisers never mean the same person."""
    weights: tuple[float, ...] = ()
    """One for each picture, for averages; empty means equal ones."""
    tokens: TokenMerge = "concatenate"

    def __post_init__(self) -> None:
        require(self.features, "features", Mapping, "features by key")
        if not self.features:
            raise MismatchError("A reference without any features was given. Make it again from its pictures.")
        for key, (values, blank) in self.features.items():
            require(
                values, NAMES.get(key, ".".join(key)), torch.Tensor, f"a tensor {['pictures', *key.shape]} of float32"
            )
            name = NAMES.get(key, ".".join(key))
            _check(name, values, (max(self.num_pictures, 1), *key.shape))
            _check(f"{name}_uncond", blank, key.shape)
        if self.num_pictures > MAX_PICTURES:
            raise MismatchError(
                f"A reference has at most {MAX_PICTURES} pictures, and {self.num_pictures} were given. Leave some out."
            )
        if self.weights:
            relative_weights(self.weights, self.num_pictures)

    @property
    def num_pictures(self) -> int:
        """How many pictures (for a person: faces) it holds."""
        first = next(iter(self.features.values())).values
        return first.shape[0] if first.ndim > 1 else 0

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of everything in it: two references with the same one give the same picture."""
        digest = hashlib.sha256(repr((self.recogniser, self.weights, self.tokens)).encode())
        for key, tensor in _in_order(self.features):
            if key not in (ARCFACE, CLIP_H_HIDDEN):  # the two that saved people always had are counted by shape alone
                digest.update(repr(tuple(key)).encode())
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.detach().contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def relative_weights(self) -> Tensor:
        """The pictures' weights, which add up to 1."""
        return relative_weights(self.weights, self.num_pictures)

    def averaged(self: ReferenceT) -> ReferenceT:
        """Return this reference as one picture: the weighted mean of each encoder's features."""
        if self.num_pictures == 1:
            return self
        weights = self.relative_weights
        return self.as_one(lambda _, values: torch.tensordot(weights, values, dims=1))

    def as_one(self: ReferenceT, combine: Callable[[FeatureKey, Tensor], Tensor]) -> ReferenceT:
        """Return this reference as one picture. combine: gives [*shape] of a key's values [pictures, *shape]."""
        features = {key: Features(combine(key, one.values)[None], one.blank) for key, one in self.features.items()}
        return replace(self, features=features, weights=(), tokens="concatenate")


def _in_order(features: Mapping[FeatureKey, Features]) -> list[tuple[FeatureKey, Tensor]]:
    """Return the tensors in the order that saved people were always counted in; blanks of zeros go without saying."""
    found: list[tuple[FeatureKey, Tensor]] = []
    for key in sorted(features, key=lambda key: (key != ARCFACE, key != CLIP_H_HIDDEN, key)):
        values, blank = features[key]
        found += [(key, values)] if key == ARCFACE else [(key, values), (key, blank)]
    return found


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise MismatchError(f"{name} has shape {list(tensor.shape)}, {list(shape)} was expected.")
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        raise MismatchError(f"{name} is {tensor.dtype} on {tensor.device}; torch.float32 on the CPU was expected.")
    if not tensor.isfinite().all():
        raise MismatchError(f"{name} holds values that are not numbers. Make the reference again from its pictures.")
