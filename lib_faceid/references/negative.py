"""The negative side: what the uncond tokens encode instead of nothing. Guidance leads away from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lib_faceid.encoders.features import ARCFACE, FeatureKey
from lib_faceid.errors import MismatchError
from lib_faceid.faces.recognisers import is_same_space
from lib_faceid.references.reference import Features, Reference

__all__ = ["BLANK", "Negative"]

NOISE_SEED = 20231220  # any number, and always the same one: a setting gives one picture


@dataclass(frozen=True, eq=False)
class Negative:
    """A negative reference, or noise, or both; without either, the blank features of training.

    >>> adapter = load_adapter("ip-adapter-faceid_sd15.safetensors")
    >>> adapter.encode(person, negative=Negative(noise=0.2)).uncond.shape
    torch.Size([4, 768])
    """

    reference: Reference | None = None
    noise: float = 0.0
    """The norm of a random vector that is added to the uncond features, relative to the reference's own norm."""

    @property
    def fingerprint(self) -> str:
        """What tells it from another one."""
        return f"{self.reference.fingerprint if self.reference else ''}:{self.noise}"

    def require_comparable(self, reference: Reference) -> None:
        """Raise MismatchError where the two hold faces that were read by different recognisers."""
        other = self.reference
        if other is None or not (ARCFACE in other.features and ARCFACE in reference.features):
            return
        if not is_same_space(other.recogniser, reference.recogniser):
            raise MismatchError(
                f"'Less like' was read by {other.recogniser}, the person by {reference.recogniser}: vectors of two "
                "recognisers do not compare. Use one face model pack for both."
            )

    def features(self, key: FeatureKey, own: Features) -> Tensor:
        """Return the uncond features [n, *shape] beside a reference's own: the negative reference's, or blank ones."""
        found = None if self.reference is None else self.reference.features.get(key)
        values = (
            own.blank if self.reference is None or found is None else self.reference.averaged().features[key].values[0]
        )
        return values.expand_as(own.values)

    def with_noise(self, uncond: Tensor, cond: Tensor) -> Tensor:
        """Return uncond features [n, ..., width] with noise, relative to the norm of the reference's own, cond."""
        if not self.noise:
            return uncond
        random = torch.randn(cond.shape[-1], generator=torch.Generator().manual_seed(NOISE_SEED))
        return uncond + self.noise * cond.norm(dim=-1, keepdim=True) * random / random.norm()


BLANK = Negative()
"""The blank features that adapters were trained with."""
