"""A person, as the numbers that adapters read. Made once from photos, kept in a file, used without them."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from lib_faceid.arguments import as_many, as_path, one_of, require, shown
from lib_faceid.errors import FileError, MismatchError, UnitError
from lib_faceid.faces.recognisers import is_same_space
from lib_faceid.models.checkpoint import Weights, is_safetensors, read_weights
from lib_faceid.references.combining import geometric_median, mean_direction, relative_weights
from lib_faceid.references.record import Record, check_size
from lib_faceid.references.vectors import MAX_FACES, read_vectors

__all__ = ["CLIP_SHAPE", "ID_DIM", "MAX_FACES", "Identity", "Tokens"]

Tokens = Literal["concatenate", "average"]
"""What an adapter does with the tokens of several faces."""

ID_DIM = 512
CLIP_SHAPE = (257, 1280)  # tokens x width of CLIP ViT-H's hidden states
FORMAT = "faceid-identity-1"
MAX_PART_BYTES = 129
MIN_LENGTH, MAX_LENGTH = 1e-4, 1e6  # of an embedding; beyond, float32 makes zeros of it on the way to unit length


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
    weights: tuple[float, ...] = ()
    """One for each face, for averages; empty means equal ones."""
    tokens: Tokens = "concatenate"

    def __post_init__(self) -> None:
        require(self.id_embeddings, "id_embeddings", torch.Tensor, "a tensor [faces, 512] of float32")
        require(self.recogniser, "recogniser", str, "the recogniser's id as text, '' where it is unknown")
        one_of(self.tokens, "tokens", get_args(Tokens))
        faces = self.id_embeddings.shape[0] if self.id_embeddings.ndim == 2 else 0
        _check("id_embeddings", self.id_embeddings, (max(faces, 1), ID_DIM))
        if not self.id_embeddings.any(dim=-1).all():
            raise MismatchError("id_embeddings are all zeros: that is nobody. Make the identity again from its photos.")
        lengths = self.id_embeddings.double().norm(dim=-1).tolist()
        if min(lengths) < MIN_LENGTH or max(lengths) > MAX_LENGTH:
            raise MismatchError(
                f"id_embeddings have lengths from {min(lengths):.3g} to {max(lengths):.3g}, and about 1 to "
                "30 were expected: these are no recogniser's numbers. Make the identity again from its photos."
            )
        if (self.clip_hidden is None) != (self.clip_hidden_uncond is None):
            raise MismatchError("An identity needs clip_hidden and clip_hidden_uncond together, or neither.")
        if self.clip_hidden is not None and self.clip_hidden_uncond is not None:
            _check("clip_hidden", self.clip_hidden, (faces, *CLIP_SHAPE))
            _check("clip_hidden_uncond", self.clip_hidden_uncond, CLIP_SHAPE)
        if faces > MAX_FACES:
            raise MismatchError(f"An identity has at most {MAX_FACES} faces, and {faces} were given. Leave some out.")
        if self.weights:
            relative_weights(self.weights, faces)

    @property
    def num_faces(self) -> int:
        """How many faces it holds; several make a Portrait more alike."""
        return self.id_embeddings.shape[0]

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of everything in it: two identities with the same one draw the same picture."""
        digest = hashlib.sha256(repr((self.recogniser, self.weights, self.tokens)).encode())
        for tensor in (self.id_embeddings, self.clip_hidden, self.clip_hidden_uncond):
            if tensor is not None:
                digest.update(str(tuple(tensor.shape)).encode())
                digest.update(tensor.detach().contiguous().numpy().data)
        return digest.hexdigest()

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
        weights = self.relative_weights
        return self._as_one(mean_direction(self.normed_embeddings, weights), weights)

    def median(self) -> Identity:
        """Return this person as one face that a few wrong ones cannot move: their unit vectors' geometric median."""
        if self.num_faces == 1:
            return self
        weights = self.relative_weights
        return self._as_one(geometric_median(self.normed_embeddings, weights), weights)

    @property
    def relative_weights(self) -> Tensor:
        """The faces' weights, which add up to 1."""
        return relative_weights(self.weights, self.num_faces)

    def _as_one(self, direction: Tensor, weights: Tensor) -> Identity:
        length = weights @ self.id_embeddings.norm(dim=-1)
        nearest = int((self.normed_embeddings @ direction).argmax())
        hidden = None if self.clip_hidden is None else self.clip_hidden[nearest : nearest + 1]
        return Identity(direction[None] * length, hidden, self.clip_hidden_uncond, self.recogniser)

    def save(self, path: Path | str, record: Record | None = None) -> None:
        """Write the identity to one `.safetensors` file, whole or not at all, readable by its owner only.

        It holds no photo; `record` is what else is to be remembered.
        """
        path = as_path(path, "path")
        record = Record() if record is None else require(record, "record", Record, "a Record")
        tensors = {"id_embeddings": self.id_embeddings.contiguous()}
        if self.clip_hidden is not None and self.clip_hidden_uncond is not None:
            tensors |= {
                "clip_hidden": self.clip_hidden.contiguous(),
                "clip_hidden_uncond": self.clip_hidden_uncond.contiguous(),
            }
        metadata = {"format": FORMAT, "recogniser": self.recogniser, **record.metadata}
        if self.weights:
            metadata["weights"] = json.dumps(self.weights)
        if self.tokens != "concatenate":
            metadata["tokens"] = self.tokens
        _write_whole(path, save(tensors | record.tensors, metadata))

    @classmethod
    def load(cls, path: Path | str, recogniser: str = "") -> Identity:
        """Return a saved identity, or the one in another program's file: 512 numbers in one of the usual kinds.

        recogniser: which one made the numbers, such as "w600k_r50", where the file does not say. Raises FileError when
        the file is no such one, or what it holds cannot be used.
        """
        path = as_path(path, "path")
        check_size(path)
        weights = read_weights(path) if is_safetensors(path) else None
        try:
            if weights is not None and _is_own(weights):
                return cls._of_weights(weights, recogniser)
            vectors = read_vectors(path)
            return cls(vectors.embeddings, recogniser=vectors.recogniser or recogniser)
        except (MismatchError, UnitError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise FileError(f"{path.name} cannot be used: {error}") from error

    @classmethod
    def _of_weights(cls, weights: Weights, recogniser: str) -> Identity:
        tensors, metadata = weights.tensors, weights.metadata
        return cls(
            _copy(tensors["id_embeddings"]),
            *(_copy(tensors[key]) if key in tensors else None for key in ("clip_hidden", "clip_hidden_uncond")),
            recogniser=metadata.get("recogniser", "")[:100] or recogniser,
            weights=tuple(float(weight) for weight in json.loads(metadata.get("weights", "[]"))),
            tokens="average" if metadata.get("tokens") == "average" else "concatenate",
        )


def _is_own(weights: Weights) -> bool:
    """Whether it was saved by this program. Raises FileError for a version that is not known here."""
    found = weights.metadata.get("format", "")
    if found.startswith("faceid-identity-") and found != FORMAT:
        raise FileError(
            f"{weights.path.name} is not a saved identity that this version can read (it says {found[:40]}, and "
            f"{FORMAT} was expected). Update this extension, or save the person again."
        )
    if found == FORMAT and "id_embeddings" not in weights.tensors:
        raise FileError(
            f"{weights.path.name} is not a saved identity (id_embeddings are missing). Save the person again."
        )
    return found == FORMAT


def _copy(tensor: Tensor) -> Tensor:
    """Return a float32 copy: a file that is still mapped cannot be replaced on Windows."""
    if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise MismatchError(f"{tensor.dtype} was found, and floating-point numbers were expected.")
    return tensor.float().clone()


def _write_whole(path: Path, content: bytes) -> None:
    # Cut, so that what is put behind it fits into a file's name too; names of the library are never that long.
    name = path.name.encode(errors="surrogateescape")[:MAX_PART_BYTES].decode(errors="ignore")
    part = path.with_name(f"{name}.{secrets.token_hex(4)}.part")
    try:
        part.touch(mode=0o600)
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise MismatchError(f"{name} has shape {list(tensor.shape)}, {list(shape)} was expected.")
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        raise MismatchError(f"{name} is {tensor.dtype} on {tensor.device}; torch.float32 on the CPU was expected.")
    if not tensor.isfinite().all():
        raise MismatchError(f"{name} holds values that are not numbers. Make the identity again from its photos.")
