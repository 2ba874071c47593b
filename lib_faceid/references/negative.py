"""What a picture is drawn away from: somebody else, or a made-up face, where by default there is nobody."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lib_faceid.errors import MismatchError
from lib_faceid.faces.recognisers import is_same_space
from lib_faceid.references.identity import Identity

__all__ = ["Against"]

NOISE_SEED = 20231220  # any number, and always the same one: a setting gives one picture


@dataclass(frozen=True, eq=False)
class Against:
    """The identity of the uncond rows. Guidance leads away from it, towards the person."""

    unlike: Identity | None = None
    """Somebody whom the person should not look like; None is nobody, the zeros of training."""
    noise: float = 0.0
    """How long a random vector is added, relative to the person's: guidance leads away from a made-up face."""

    @property
    def fingerprint(self) -> str:
        """What tells it from another one."""
        return f"{self.unlike.fingerprint if self.unlike else ''}:{self.noise}"

    def embeddings(self, person: Identity, wanted: Tensor, *, raw: bool) -> Tensor:
        """Return the vectors of the uncond rows beside a person's, as many and as long: [faces, 512].

        raw: whether the adapter reads vectors at their own length. Raises MismatchError for two recognisers.
        """
        found = torch.zeros_like(wanted)
        if self.unlike is not None:
            if not is_same_space(self.unlike.recogniser, person.recogniser):
                raise MismatchError(
                    f"'Less like' was read by {self.unlike.recogniser}, the person by {person.recogniser}: vectors of "
                    f"two recognisers do not compare. Use one face model pack for both."
                )
            other = self.unlike.averaged()
            found = (other.id_embeddings if raw else other.normed_embeddings).expand_as(wanted)
        if self.noise:
            random = torch.randn(wanted.shape[1], generator=torch.Generator().manual_seed(NOISE_SEED))
            found = found + self.noise * wanted.norm(dim=1, keepdim=True) * random / random.norm()
        return found

    def clip_hidden(self, blank: Tensor) -> Tensor:
        """Return the CLIP features of the uncond rows; blank [faces, 257, 1280] are those of zero pixels."""
        if self.unlike is None or self.unlike.clip_hidden is None:
            return blank
        hidden = self.unlike.averaged().clip_hidden
        return blank if hidden is None else hidden.expand_as(blank)
