"""A person, as the numbers that adapters read. Made once from photos, kept in a file, used without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.arguments import as_many, as_path, one_of, require, shown
from lib_faceid.encoders.features import ARCFACE, CLIP_H_HIDDEN, FeatureKey
from lib_faceid.errors import FileError, MismatchError, UnitError
from lib_faceid.faces.recognisers import is_same_space
from lib_faceid.references.combining import geometric_median, mean_direction
from lib_faceid.references.reference import MAX_PICTURES, Features, Reference, TokenMerge

if TYPE_CHECKING:
    from lib_faceid.references.record import Record

__all__ = ["CLIP_SHAPE", "ID_DIM", "MAX_FACES", "Identity"]

ID_DIM = ARCFACE.shape[0]
CLIP_SHAPE = CLIP_H_HIDDEN.shape
MAX_FACES = MAX_PICTURES
MIN_LENGTH, MAX_LENGTH = 1e-4, 1e6  # of an embedding; beyond, float32 makes zeros of it on the way to unit length


class Identity(Reference):
    """The faces of one person: a reference that holds ARCFACE features.

    >>> person = Identity.from_embedding(numbers, recogniser="w600k_r50")  # any 512 of a recogniser
    >>> person.id_embeddings.shape, person.num_faces
    (torch.Size([1, 512]), 1)
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the first four have their own names in files and in users' code
        self,
        id_embeddings: Tensor | None = None,
        clip_hidden: Tensor | None = None,
        clip_hidden_uncond: Tensor | None = None,
        recogniser: str = "",
        weights: tuple[float, ...] = (),
        tokens: TokenMerge = "concatenate",
        features: Mapping[FeatureKey, Features] | None = None,
    ) -> None:
        """Take features by key, or the two kinds that the FaceID family reads by their own names.

        id_embeddings [faces, 512]: the recogniser's raw output; clip_hidden [faces, 257, 1280]: penultimate hidden
        states of CLIP ViT-H of each aligned face; clip_hidden_uncond [257, 1280]: the same of an image of zeros.
        """
        found = dict(features or {})
        if id_embeddings is not None:
            found[ARCFACE] = Features(id_embeddings, torch.zeros(ID_DIM))
        if (clip_hidden is None) != (clip_hidden_uncond is None):
            raise MismatchError("An identity needs clip_hidden and clip_hidden_uncond together, or neither.")
        if clip_hidden is not None and clip_hidden_uncond is not None:
            found[CLIP_H_HIDDEN] = Features(clip_hidden, clip_hidden_uncond)
        if ARCFACE not in found:
            raise MismatchError("An identity needs id_embeddings. Make it again from its photos.")
        first = {ARCFACE: found.pop(ARCFACE)}  # by which the faces are counted
        super().__init__(first | found, recogniser, weights, tokens)

    def __post_init__(self) -> None:
        require(self.recogniser, "recogniser", str, "the recogniser's id as text, '' where it is unknown")
        one_of(self.tokens, "tokens", get_args(TokenMerge))
        super().__post_init__()
        if not self.id_embeddings.any(dim=-1).all():
            raise MismatchError("id_embeddings are all zeros: that is nobody. Make the identity again from its photos.")
        lengths = self.id_embeddings.double().norm(dim=-1).tolist()
        if min(lengths) < MIN_LENGTH or max(lengths) > MAX_LENGTH:
            raise MismatchError(
                f"id_embeddings have lengths from {min(lengths):.3g} to {max(lengths):.3g}, and about 1 to "
                "30 were expected: these are no recogniser's numbers. Make the identity again from its photos."
            )

    @property
    def num_faces(self) -> int:
        """How many faces it holds; several give a Portrait adapter a better likeness."""
        return self.num_pictures

    @property
    def id_embeddings(self) -> Tensor:
        """[faces, 512]: the recogniser's raw output, not normalised."""
        return self.features[ARCFACE].values

    @property
    def clip_hidden(self) -> Tensor | None:
        """[faces, 257, 1280]: penultimate hidden states of CLIP ViT-H of each aligned face, if it has them."""
        found = self.features.get(CLIP_H_HIDDEN)
        return found.values if found else None

    @property
    def clip_hidden_uncond(self) -> Tensor | None:
        """[257, 1280]: the same of an image of zeros, for the negative side."""
        found = self.features.get(CLIP_H_HIDDEN)
        return found.blank if found else None

    @property
    def normed_embeddings(self) -> Tensor:
        """The embeddings at unit length, [faces, 512]."""
        return torch.nn.functional.normalize(self.id_embeddings, dim=-1)

    @classmethod
    def from_embedding(
        cls,
        embedding: Tensor | NDArray[Any] | Sequence[float],
        clip_hidden: Tensor | None = None,
        clip_hidden_uncond: Tensor | None = None,
        recogniser: str = "",
    ) -> Identity:
        """Return the identity of one 512-vector, with the CLIP hidden states [257, 1280] of the face, if any.

        A tensor, an array or a list of numbers, of shape [512] or with ones around it. recogniser: which one made it,
        such as "w600k_r50"; "" is unknown. Raises UnitError for anything else, naming what was given.
        """
        vector = _numbers(embedding, "embedding")
        if vector.numel() != ID_DIM or max(vector.shape, default=0) != ID_DIM:
            raise MismatchError(f"embedding has shape {list(vector.shape)}, [{ID_DIM}] was expected: one face's.")
        hidden, uncond = (
            None if tensor is None else _numbers(tensor, name)
            for name, tensor in (("clip_hidden", clip_hidden), ("clip_hidden_uncond", clip_hidden_uncond))
        )
        hidden = hidden[None] if hidden is not None and hidden.ndim == 2 else hidden
        return cls(vector.reshape(1, -1), hidden, uncond, recogniser)

    @classmethod
    def joined(cls, identities: Sequence[Identity]) -> Identity:
        """Return one identity with the faces of all of them, in order. All must come from one recogniser."""
        identities = as_many(identities, "identities", Identity, "an Identity")
        if not identities:
            raise UnitError("identities is empty; at least one Identity was expected.")
        first = identities[0]
        if not all(is_same_space(first.recogniser, identity.recogniser) for identity in identities):
            names = " and ".join(sorted({identity.recogniser or "unknown" for identity in identities}))
            raise MismatchError(f"These faces come from different recognisers ({names}). Analyse all photos with one.")
        shared = [key for key in first.features if all(key in identity.features for identity in identities)]
        features = {
            key: Features(torch.cat([one.features[key].values for one in identities]), first.features[key].blank)
            for key in shared
        }
        return cls(features=features, recogniser=first.recogniser)

    def averaged(self) -> Identity:
        """Return this person as one face: the renormalised mean of the unit vectors, at the mean raw length.

        The CLIP features are those of the face nearest to that mean: a mean of hidden states is no picture's.
        """
        if self.num_faces == 1:
            return self
        weights = self.relative_weights
        return self._as_one(mean_direction(self.normed_embeddings, weights), weights)

    def median(self) -> Identity:
        """Return this person as one face that a few wrong ones cannot move: their unit vectors' geometric median."""
        if self.num_faces == 1:
            return self
        weights = self.relative_weights
        return self._as_one(geometric_median(self.normed_embeddings, weights), weights)

    def _as_one(self, direction: Tensor, weights: Tensor) -> Identity:
        length = weights @ self.id_embeddings.norm(dim=-1)
        nearest = int((self.normed_embeddings @ direction).argmax())
        return self.as_one(lambda key, values: direction * length if key == ARCFACE else values[nearest])

    def save(self, path: Path | str, record: Record | None = None) -> None:
        """Write the identity to one file: `save_reference`."""
        from lib_faceid.references.files import save_reference

        save_reference(as_path(path, "path"), self, record)

    @classmethod
    def load(cls, path: Path | str, recogniser: str = "") -> Identity:
        """Return a saved identity, or the one in another program's file: 512 numbers in one of the usual kinds.

        recogniser: which one made the numbers, such as "w600k_r50", where the file does not say. Raises FileError when
        the file is no such one, or what it holds cannot be used.
        """
        from lib_faceid.references.files import load_reference

        path = as_path(path, "path")
        found = load_reference(path, recogniser)
        if not isinstance(found, Identity):
            raise FileError(f"{path.name} holds a saved image, not a person. Use it for an image unit.")
        return found


def _numbers(values: Any, name: str) -> Tensor:
    """Return real numbers as a float32 tensor of their own on the CPU, without a gradient. Raises UnitError."""
    expected = "a tensor, an array or a list of numbers was expected."
    if isinstance(values, (str, bytes, dict, set)) or values is None:
        raise UnitError(f"{name} is {shown(values)}; {expected}")
    try:
        tensor = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UnitError(f"{name} is {shown(values)} that holds no numbers ({error}); {expected}") from error
    if tensor.is_complex() or tensor.dtype == torch.bool or tensor.is_quantized or tensor.layout != torch.strided:
        raise UnitError(f"{name} is {shown(values)} of {tensor.dtype}, {tensor.layout}; real numbers were expected.")
    if tensor.is_meta or tensor.numel() > CLIP_SHAPE[0] * CLIP_SHAPE[1] * MAX_FACES:
        raise UnitError(f"{name} is {shown(values)} of shape {list(tensor.shape)}; a face's numbers were expected.")
    return tensor.detach().to("cpu", torch.float32, copy=True)
