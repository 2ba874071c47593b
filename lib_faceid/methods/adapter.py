"""An adapter: a variant and the weights of one file. It turns identities into tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lib_faceid.arguments import as_number, as_path, require
from lib_faceid.errors import FileError, MismatchError, WrongFamilyError
from lib_faceid.faces.recognisers import TRAINED_ON
from lib_faceid.methods.foreign import family_of
from lib_faceid.methods.variants import (
    FAMILY_NAMES,
    KNOWN_FILES,
    VARIANTS,
    Variant,
    by_id,
    candidates,
    families_of,
    named_by_user,
)
from lib_faceid.models.adapter_names import canonical, in_short, unwrapped
from lib_faceid.models.checkpoint import Weights, read_whole, sha256_of
from lib_faceid.models.numbers import check_finite, check_floats
from lib_faceid.models.shards import fingerprint_of
from lib_faceid.references.identity import Identity
from lib_faceid.references.negative import Against

__all__ = [
    "NOBODY",
    "RECOGNISER_KEY",
    "Adapter",
    "LoraPair",
    "Tokens",
    "check_numbers",
    "identify_adapter",
    "load_adapter",
]

METADATA_KEY = "faceid_variant"
RECOGNISER_KEY = "recogniser"
KEPT = 512  # files whose adapter, or whose refusal, is remembered


class LoraPair(NamedTuple):
    """The two factors of one layer's LoRA: its weight gets `strength * up @ down` added."""

    down: Tensor
    """[rank, in]"""
    up: Tensor
    """[out, rank]"""


class Tokens(NamedTuple):
    """What one identity says to the UNet, both [tokens, cross_attention_dim], float32."""

    cond: Tensor
    uncond: Tensor


NOBODY = Against()


@dataclass(frozen=True, eq=False)
class Adapter:
    """The weights of one adapter file, on the CPU, in the file's dtype."""

    name: str
    fingerprint: str
    """Changes whenever the file does."""
    variant: Variant
    assumed: str
    """Why this variant, where the file itself does not say; empty where it does."""
    image_proj_state: Mapping[str, Tensor]
    to_k_ip: Mapping[int, Tensor]
    """Layer number (odd) -> [hidden, cross_attention_dim]."""
    to_v_ip: Mapping[int, Tensor]
    lora: Mapping[int, Mapping[str, LoraPair]]
    """Layer number -> `q`, `k`, `v`, `out` -> factors; empty where the variant has no LoRA."""
    recogniser: str = TRAINED_ON
    """On whose vectors it was trained, as the file's metadata say (`recogniser`); the published files do not say it."""

    @property
    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Give every tensor of the file that is used, with its published name."""
        yield from ((f"image_proj.{key}", tensor) for key, tensor in self.image_proj_state.items())
        for number in self.to_k_ip:
            yield f"ip_adapter.{number}.to_k_ip.weight", self.to_k_ip[number]
            yield f"ip_adapter.{number}.to_v_ip.weight", self.to_v_ip[number]
        for number, pairs in self.lora.items():
            for kind, pair in pairs.items():
                yield f"ip_adapter.{number}.to_{kind}_lora.down.weight", pair.down
                yield f"ip_adapter.{number}.to_{kind}_lora.up.weight", pair.up

    @property
    def cross_attention_dim(self) -> int:
        """768 for SD 1.5, 2048 for SDXL."""
        return next(iter(self.to_k_ip.values())).shape[1]

    @property
    def family(self) -> str:
        """The checkpoints it is for, in words."""
        return FAMILY_NAMES[self.cross_attention_dim]

    @property
    def image_proj(self) -> nn.Module:
        """The projection network, float32 on the CPU; made anew each time, as what it gives is kept and it is large.

        Raises FileError when the tensors do not make one.
        """
        try:
            return self.variant.image_proj(self.image_proj_state)
        except (RuntimeError, ValueError, LookupError, ArithmeticError) as error:
            reason = " ".join(str(error).split())[-160:]  # torch says first which class it was loading
            raise FileError(f"{self.name} is no whole {self.variant.label} file ({reason}).") from error

    @torch.no_grad()
    def encode(self, identity: Identity, structure: float = 1.0, against: Against = NOBODY) -> Tokens:
        """Return the identity's tokens: those of all its faces one after the other, or their weighted average.

        Uncond is the projection of zeros with the CLIP features of zero pixels, as in training (never zero tokens),
        unless `against` puts somebody there. Raises MismatchError when the variant needs CLIP features and the identity
        has none.
        """
        require(identity, "identity", Identity, "an Identity")
        structure = as_number(structure, "structure")
        embeddings = identity.id_embeddings if self.variant.raw_embedding else identity.normed_embeddings
        clip_hidden, clip_hidden_uncond = self._clip_features(identity)
        network = self.image_proj
        with torch.autocast("cpu", enabled=False):
            cond = network(embeddings, clip_hidden, structure)
            nobody = against.embeddings(identity, embeddings, raw=self.variant.raw_embedding)
            blank = None if clip_hidden_uncond is None else against.clip_hidden(clip_hidden_uncond)
            uncond = network(nobody, blank, structure)
        if identity.tokens == "average":
            return Tokens(torch.tensordot(identity.relative_weights, cond, dims=1), uncond[0])
        return Tokens(cond.flatten(0, 1), uncond.flatten(0, 1))

    def _clip_features(self, identity: Identity) -> tuple[Tensor | None, Tensor | None]:
        if not self.variant.needs_clip:
            return None, None
        if identity.clip_hidden is None or identity.clip_hidden_uncond is None:
            raise MismatchError(
                f"{self.name} is {self.variant.label}, which also reads CLIP features of the face, and this identity "
                f"was made without them. Make it again from its photos, or use a FaceID or FaceID Portrait adapter."
            )
        return identity.clip_hidden, identity.clip_hidden_uncond.expand_as(identity.clip_hidden)


def load_adapter(path: Path | str, variant: str | None = None) -> Adapter:
    """Return the adapter in a `.safetensors`, `.bin` or `.pth` file.

    `variant` (an id of VARIANTS) decides where the file does not: Plus and Plus v2 have the same tensors, and so have
    Portrait unnorm and InstantID. Raises FileError for a damaged file, WrongFamilyError for another kind of model.
    """
    adapter = identify_adapter(path, variant)
    check_numbers(adapter)
    return adapter


def identify_adapter(path: Path | str, variant: str | None = None) -> Adapter:
    """Return the same without a look at the numbers, which stay on the disk: enough to know which one it is."""
    path = as_path(path, "path")
    require(variant or "", "variant", str, f"one of {', '.join(one.id for one in VARIANTS)}, or None,")
    key = (path, fingerprint_of(path), variant)
    if key in _refused:
        kind, told = _refused[key]
        raise kind(told)
    try:
        return _load(*key)
    except FileError as error:
        if not isinstance(error.__cause__, OSError):  # which may be over the next time: who may read it, a share
            while len(_refused) >= KEPT:
                _refused.pop(next(iter(_refused)), None)
            _refused[key] = type(error), str(error)
        raise


# What was refused, and why: a folder of ControlNets is asked about for every job, and not opened again.
_refused: dict[tuple[Path, str, str | None], tuple[type[FileError], str]] = {}


@lru_cache(maxsize=KEPT)  # what lies in memory is mapped from the file, so that many cost little
def _load(path: Path, fingerprint: str, variant: str | None) -> Adapter:
    weights = read_whole(path)
    try:
        tensors = canonical(weights.tensors)
    except ValueError as error:
        raise FileError(
            f"{path.name} {error}, and one was expected. Save each adapter to a file of its own."
        ) from error
    image_proj = _below(tensors, "image_proj.")
    layers = _below(tensors, "ip_adapter.")
    to_k_ip, to_v_ip = (_numbered(layers, rf"(\d+)\.to_{kind}_ip\.weight") for kind in "kv")
    dims = {tensor.shape[1] for tensor in to_k_ip.values()} | {tensor.shape[1] for tensor in to_v_ip.values()}
    is_whole = bool(image_proj) and to_k_ip.keys() == to_v_ip.keys() and dims in ({768}, {2048})
    _refuse_other_families(path, [tensors] if is_whole else [*unwrapped(weights.tensors), tensors])
    if not is_whole:
        raise FileError(
            f"{path.name} is not a FaceID adapter: {len(image_proj)} image_proj tensors, {len(to_k_ip)} to_k_ip and "
            f"{len(to_v_ip)} to_v_ip layers of width {sorted(dims)} were found, in {in_short(weights.tensors)}. Use an "
            f"ip-adapter-faceid file."
        )
    check_floats(path.name, tensors.items())
    found = candidates({key: tuple(tensor.shape) for key, tensor in image_proj.items()}, dims.pop())
    chosen, assumed = _wanted(path, found, variant) if variant else _told(weights, fingerprint, found, tensors)
    recogniser = weights.metadata.get(RECOGNISER_KEY, TRAINED_ON)
    return Adapter(path.stem, fingerprint, chosen, assumed, image_proj, to_k_ip, to_v_ip, _lora(layers), recogniser)


def _told(
    weights: Weights, fingerprint: str, found: tuple[Variant, ...], tensors: Mapping[str, Tensor]
) -> tuple[Variant, str]:
    """Return the variant that the file tells and, where it had to be assumed, a sentence that says so."""
    path = weights.path
    if not found:
        raise FileError(f"{path.name} has an image_proj of a kind we do not know. Known: {_labels(VARIANTS)}.")
    unnorm = found[0].raw_embedding
    if len(found) == 1 and not unnorm:
        return found[0], ""
    known = _published(path, fingerprint) or weights.metadata.get(METADATA_KEY)
    if known in {variant.id for variant in found}:
        return by_id(known), ""
    hinted = [variant for variant in found if variant.is_named_in(path.stem)]
    if hinted:
        return hinted[0], f"Taken for {hinted[0].label} by its file name."
    if unnorm and len({tensor.dtype for tensor in tensors.values()}) == 1:
        # InstantID has the same shapes; the published Portrait unnorm mixes dtypes, the published InstantID does not.
        raise WrongFamilyError(
            f"{path.name} looks like InstantID, not FaceID (same shapes, another recogniser). If it is FaceID Portrait "
            f"unnorm, say so: variant portrait_unnorm."
        )
    return (
        found[0],
        f"Taken for {found[0].label}, as nothing in the file tells it from {_labels(found[1:]) or 'InstantID'}.",
    )


@lru_cache(maxsize=64)  # a file that is refused is asked about again for every job, and may have gigabytes
def _published(path: Path, fingerprint: str) -> str | None:  # noqa: ARG001 - the cache goes by it
    """Return the variant id of a published file, by its hash."""
    return KNOWN_FILES.get(sha256_of(path))


def _wanted(path: Path, found: tuple[Variant, ...], wanted: str) -> tuple[Variant, str]:
    """Return the variant that the user says it is, where its tensors can be read as that one."""
    variant = named_by_user(wanted)
    if variant not in found:
        raise MismatchError(
            f"{path.name} cannot be read as {variant.label} ({families_of(variant)}); its tensors fit "
            f"{_labels(found) or 'no variant of that checkpoint family'}."
        )
    return variant, ""


@lru_cache(maxsize=64)  # for each adapter once: it reads all of its file
def check_numbers(adapter: Adapter) -> None:
    """Raise FileError, naming the tensor, where a weight is NaN or infinite: no picture could be drawn with it."""
    check_finite(adapter.name, adapter.tensors)


def _refuse_other_families(path: Path, names: Iterable[Mapping[str, Tensor]]) -> None:
    """Raise WrongFamilyError where the tensors, under one of their names, are those of a known other kind."""
    for tensors in names:
        family = family_of({key: tuple(tensor.shape) for key, tensor in tensors.items()})
        if family:
            raise WrongFamilyError(f"{path.name} is {family.name}, not a FaceID adapter. {family.remedy}")


def _numbered(layers: Mapping[str, Tensor], pattern: str) -> dict[int, Tensor]:
    """Return the matrices whose whole name fits the pattern, by the layer number in it, in numeric order."""
    matrices = {key: tensor for key, tensor in layers.items() if tensor.ndim == 2}
    found = {int(match[1]): tensor for key, tensor in matrices.items() if (match := re.fullmatch(pattern, key))}
    return dict(sorted(found.items()))


def _lora(layers: Mapping[str, Tensor]) -> dict[int, dict[str, LoraPair]]:
    pairs: dict[int, dict[str, LoraPair]] = {}
    for kind in ("q", "k", "v", "out"):
        down, up = (_numbered(layers, rf"(\d+)\.to_{kind}_lora\.{side}\.weight") for side in ("down", "up"))
        for index in down.keys() & up.keys():
            pairs.setdefault(index, {})[kind] = LoraPair(down[index], up[index])
    return dict(sorted(pairs.items()))


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _labels(variants: tuple[Variant, ...]) -> str:
    return " or ".join(variant.label for variant in variants)
