"""References in files: one `.safetensors` file each, of features only. No picture is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from lib_faceid.arguments import require
from lib_faceid.encoders.features import ARCFACE, CLIP_H_HIDDEN, FEATURE_SHAPES, FeatureKey
from lib_faceid.errors import FileError, MismatchError, UnitError
from lib_faceid.models.checkpoint import Weights, is_safetensors, read_metadata, read_weights
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import Record, check_size
from lib_faceid.references.reference import Features, Reference
from lib_faceid.references.vectors import read_vectors
from lib_faceid.units.unit import Purpose
from lib_faceid.whole_files import write_whole

__all__ = ["load_reference", "purpose_in", "purpose_of_file", "save_reference"]

PERSON, IMAGE = "faceid-identity-1", "faceid-reference-2"
FORMATS = (PERSON, IMAGE)
# The names that the first format gave to two kinds of features; all others are named by their key.
OLD_NAMES: Mapping[FeatureKey, tuple[str, str]] = {
    ARCFACE: ("id_embeddings", ""),
    CLIP_H_HIDDEN: ("clip_hidden", "clip_hidden_uncond"),
}


def save_reference(path: Path, reference: Reference, record: Record | None = None) -> None:
    """Write a reference to one `.safetensors` file, whole or not at all, readable by its owner only.

    It holds no photo; `record` is what else is to be remembered.
    """
    record = Record() if record is None else require(record, "record", Record, "a Record")
    tensors: dict[str, Tensor] = {}
    for key, features in reference.features.items():
        for name, tensor in zip(_names(key), features, strict=True):
            tensors |= {name: tensor.contiguous()} if name else {}
    kind = PERSON if ARCFACE in reference.features else IMAGE
    metadata = {"format": kind, "recogniser": reference.recogniser, **record.metadata}
    if reference.weights:
        metadata["weights"] = json.dumps(reference.weights)
    if reference.tokens != "concatenate":
        metadata["tokens"] = reference.tokens
    write_whole(path, save(tensors | record.tensors, metadata), is_private=True)


def load_reference(path: Path, recogniser: str = "") -> Reference:
    """Return a saved reference: an Identity for a person, also from another program's file of 512 numbers.

    recogniser: which one made the numbers, where the file does not say. Raises FileError when the file is no such one,
    or what it holds cannot be used.
    """
    check_size(path)
    weights = read_weights(path) if is_safetensors(path) else None
    try:
        if weights is not None and _is_own(weights):
            return _of_weights(weights, recogniser)
        vectors = read_vectors(path)
        return Identity(vectors.embeddings, recogniser=vectors.recogniser or recogniser)
    except (MismatchError, UnitError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise FileError(f"{path.name} cannot be used: {error}") from error


def purpose_of_file(path: Path) -> Purpose:
    """Return what a saved reference is for, by its metadata alone. Raises FileError where they cannot be read."""
    return purpose_in(read_metadata(path)) if is_safetensors(path) else "person"


def purpose_in(metadata: Mapping[str, str]) -> Purpose:
    """Return what the saved reference is for whose file has these metadata."""
    return "image" if metadata.get("format") == IMAGE else "person"


def _of_weights(weights: Weights, recogniser: str) -> Reference:
    metadata = weights.metadata
    features = dict(filter(None, (_features(key, weights.tensors) for key in FEATURE_SHAPES)))
    settings: dict[str, Any] = {
        "features": features,
        "recogniser": metadata.get("recogniser", "")[:100] or recogniser,
        "weights": tuple(float(weight) for weight in json.loads(metadata.get("weights", "[]"))),
        "tokens": "average" if metadata.get("tokens") == "average" else "concatenate",
    }
    return Identity(**settings) if ARCFACE in features else Reference(**settings)


def _names(key: FeatureKey) -> tuple[str, str]:
    """Return what a key's values and its blank are called in a file; "" for a blank of zeros."""
    of_key = ".".join(key)
    return OLD_NAMES.get(key, (f"features.{of_key}", f"blank.{of_key}"))


def _features(key: FeatureKey, tensors: Mapping[str, Tensor]) -> tuple[FeatureKey, Features] | None:
    values, blank = _names(key)
    if values not in tensors:
        return None
    if blank and blank not in tensors:
        raise MismatchError(f"it has {values}, and needs {values} and {blank} together, or neither")
    found = _copy(tensors[values])
    return key, Features(found, _copy(tensors[blank]) if blank else found.new_zeros(key.shape))


def _is_own(weights: Weights) -> bool:
    """Whether it was saved by this program. Raises FileError for a version that is not known here."""
    found = weights.metadata.get("format", "")
    if found.startswith(("faceid-identity-", "faceid-reference-")) and found not in FORMATS:
        raise FileError(
            f"{weights.path.name} is not a saved identity that this version can read (it says {found[:40]}, and "
            f"{PERSON} was expected). Update this extension, or save the person again."
        )
    if found == PERSON and "id_embeddings" not in weights.tensors:
        raise FileError(
            f"{weights.path.name} is not a saved identity (id_embeddings are missing). Save the person again."
        )
    return found in FORMATS


def _copy(tensor: Tensor) -> Tensor:
    """Return a float32 copy: a file that is still mapped cannot be replaced on Windows."""
    if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise MismatchError(f"{tensor.dtype} was found, and floating-point numbers were expected.")
    return tensor.float().clone()
