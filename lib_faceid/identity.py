"""A person, as the numbers that adapters read. Made once from photos, kept in a file, used without them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from lib_faceid.checkpoint import read_metadata, read_tensors
from lib_faceid.errors import FileError, MismatchError

__all__ = ["CLIP_SHAPE", "ID_DIM", "Identity"]

ID_DIM = 512
CLIP_SHAPE = (257, 1280)  # tokens x width of CLIP ViT-H's hidden states
FORMAT = "faceid-identity-1"


@dataclass(frozen=True, eq=False)
class Identity:
    """The faces of one person. All tensors are float32 on the CPU and are never changed."""

    id_embeddings: Tensor
    """[faces, 512]: the recogniser's raw output, not normalised."""
    clip_hidden: Tensor | None = None
    """[faces, 257, 1280]: penultimate hidden states of CLIP ViT-H of each aligned face; the Plus family reads them."""
    clip_hidden_uncond: Tensor | None = None
    """[257, 1280]: the same of an image of zeros, for the negative side."""
    recogniser: str = ""
    """Which recogniser made the embeddings. Vectors of two recognisers never mean the same person."""

    def __post_init__(self) -> None:
        faces = self.id_embeddings.shape[0] if self.id_embeddings.ndim == 2 else 0
        _check("id_embeddings", self.id_embeddings, (max(faces, 1), ID_DIM))
        if not self.id_embeddings.any(dim=-1).all():
            raise MismatchError("id_embeddings are all zeros: that is nobody. Make the identity again from its photos.")
        if (self.clip_hidden is None) != (self.clip_hidden_uncond is None):
            raise MismatchError("An identity needs clip_hidden and clip_hidden_uncond together, or neither.")
        if self.clip_hidden is not None and self.clip_hidden_uncond is not None:
            _check("clip_hidden", self.clip_hidden, (faces, *CLIP_SHAPE))
            _check("clip_hidden_uncond", self.clip_hidden_uncond, CLIP_SHAPE)

    @property
    def num_faces(self) -> int:
        """How many faces it holds; several make a Portrait more alike."""
        return self.id_embeddings.shape[0]

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of everything in it: two identities with the same one draw the same picture."""
        digest = hashlib.sha256(self.recogniser.encode())
        for tensor in (self.id_embeddings, self.clip_hidden, self.clip_hidden_uncond):
            if tensor is not None:
                digest.update(str(tuple(tensor.shape)).encode())
                digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def normed_embeddings(self) -> Tensor:
        """The embeddings at unit length, [faces, 512]."""
        return torch.nn.functional.normalize(self.id_embeddings, dim=-1)

    @classmethod
    def from_embedding(
        cls,
        embedding: Tensor | Sequence[float],
        clip_hidden: Tensor | None = None,
        clip_hidden_uncond: Tensor | None = None,
    ) -> Identity:
        """Return the identity of one 512-vector, with the CLIP hidden states [257, 1280] of the face, if any."""
        vector = torch.as_tensor(embedding).to("cpu", torch.float32).reshape(1, -1)
        hidden, uncond = (
            None if tensor is None else tensor.to("cpu", torch.float32) for tensor in (clip_hidden, clip_hidden_uncond)
        )
        return cls(vector, hidden[None] if hidden is not None and hidden.ndim == 2 else hidden, uncond)

    @classmethod
    def joined(cls, identities: Sequence[Identity]) -> Identity:
        """Return one identity with the faces of all of them, in order. All must come from one recogniser."""
        first = identities[0]
        if len({identity.recogniser for identity in identities}) > 1:
            names = " and ".join(sorted({identity.recogniser or "unknown" for identity in identities}))
            raise MismatchError(f"These faces come from different recognisers ({names}). Analyse all photos with one.")
        hidden = [identity.clip_hidden for identity in identities if identity.clip_hidden is not None]
        return cls(
            torch.cat([identity.id_embeddings for identity in identities]),
            torch.cat(hidden) if len(hidden) == len(identities) else None,
            first.clip_hidden_uncond if len(hidden) == len(identities) else None,
            first.recogniser,
        )

    def averaged(self) -> Identity:
        """Return this person as one face: the renormalised mean of the unit vectors, at the mean raw length.

        The CLIP features are those of the face nearest to that mean: a mean of hidden states is no picture's.
        """
        if self.num_faces == 1:
            return self
        length = self.id_embeddings.norm(dim=-1).mean()
        mean = torch.nn.functional.normalize(self.normed_embeddings.mean(dim=0, keepdim=True), dim=-1)
        nearest = int((self.normed_embeddings @ mean[0]).argmax())
        hidden = None if self.clip_hidden is None else self.clip_hidden[nearest : nearest + 1]
        return Identity(mean * length, hidden, self.clip_hidden_uncond, self.recogniser)

    def save(self, path: Path) -> None:
        """Write the identity to one `.safetensors` file, whole or not at all. It holds no photo."""
        tensors = {"id_embeddings": self.id_embeddings.contiguous()}
        if self.clip_hidden is not None and self.clip_hidden_uncond is not None:
            tensors |= {
                "clip_hidden": self.clip_hidden.contiguous(),
                "clip_hidden_uncond": self.clip_hidden_uncond.contiguous(),
            }
        part = path.with_name(path.name + ".part")
        part.write_bytes(save(tensors, {"format": FORMAT, "recogniser": self.recogniser}))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Identity:
        """Return a saved identity. Raises FileError when the file is not one, or what it holds cannot be used."""
        # Copies: a file that is still mapped cannot be replaced on Windows.
        tensors = {key: tensor.float().clone() for key, tensor in read_tensors(path).items()}
        metadata = read_metadata(path)
        if metadata.get("format") != FORMAT or "id_embeddings" not in tensors:
            raise FileError(f"{path.name} is not a saved identity ({json.dumps(sorted(tensors)[:3])} was found in it).")
        try:
            return cls(
                tensors["id_embeddings"],
                tensors.get("clip_hidden"),
                tensors.get("clip_hidden_uncond"),
                recogniser=metadata.get("recogniser", ""),
            )
        except MismatchError as error:
            raise FileError(f"{path.name} cannot be used: {error}") from error


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise MismatchError(f"{name} has shape {list(tensor.shape)}, {list(shape)} was expected.")
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        raise MismatchError(f"{name} is {tensor.dtype} on {tensor.device}; torch.float32 on the CPU was expected.")
    if not tensor.isfinite().all():
        raise MismatchError(f"{name} holds values that are not numbers. Make the identity again from its photos.")
