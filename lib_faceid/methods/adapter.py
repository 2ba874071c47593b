"""An adapter: a variant and the weights of one file. It turns references into effects."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from lib_faceid.arguments import as_many, as_number, as_path, require
from lib_faceid.bases.base_model import BASE_LABELS
from lib_faceid.effects.effect import CrossAttention, Effect, EffectKind, Lora
from lib_faceid.effects.lora import LoraPair
from lib_faceid.effects.tokens import Tokens
from lib_faceid.encoders.features import ARCFACE
from lib_faceid.errors import FileError, MismatchError, WrongFamilyError
from lib_faceid.methods import registry
from lib_faceid.methods.foreign import family_of
from lib_faceid.methods.method import Purpose, Reads, Variant
from lib_faceid.models.adapter_names import canonical, in_short, unwrapped
from lib_faceid.models.checkpoint import Weights, read_whole, sha256_of
from lib_faceid.models.numbers import check_finite, check_floats
from lib_faceid.models.shards import fingerprint_of
from lib_faceid.references.negative import BLANK, Negative
from lib_faceid.references.reference import Features, Reference

__all__ = ["Adapter", "EncodedReference", "check_numbers", "identify_adapter", "load_adapter"]

METADATA_KEY = "faceid_variant"
RECOGNISER_KEY = "recogniser"


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
    recogniser: str = ""
    """The face recogniser whose vectors it was trained on: the file's metadata, else the variant's; "" for none."""

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
    def base(self) -> str:
        """The base model it is for, in words."""
        return BASE_LABELS[self.cross_attention_dim]

    @property
    def purpose(self) -> Purpose:
        """What it takes a reference for."""
        return registry.method_of(self.variant).purpose

    @property
    def effect_kinds(self) -> frozenset[EffectKind]:
        """The kinds of effects that it may have on a job."""
        return frozenset({"tokens", "lora"} if self.lora else {"tokens"})

    @property
    def image_proj(self) -> nn.Module:
        """The projection network, float32 on the CPU; made anew each time, as what it gives is kept and it is large.

        Raises FileError when the tensors do not make one.
        """
        try:
            return self.variant.network(self.image_proj_state)
        except (RuntimeError, ValueError, LookupError, ArithmeticError) as error:
            reason = " ".join(str(error).split())[-160:]  # torch names the class first
            raise FileError(f"{self.name} is no whole {self.variant.label} file ({reason}).") from error

    def tokens(
        self,
        references: Reference | Iterable[Reference],
        settings: Mapping[str, float] | None = None,
        negative: Negative = BLANK,
    ) -> CrossAttention:
        """Return the effect of references on the cross-attention: one for all images of a batch, or one for each.

        settings: values of the unit's fields that the variant's network takes, such as `structure`.
        """
        expected = "a reference, as identity_from_photos(photos) or Identity.load(path) gives one,"
        references = as_many(references, "references", Reference, expected)
        given = self._network_settings(settings)
        return CrossAttention(self, [EncodedReference(self, one, given, negative) for one in references])

    def effects(
        self, references: Sequence[Reference], settings: Mapping[str, float], negative: Negative = BLANK
    ) -> tuple[Effect, ...]:
        """Return everything that references do to a job. settings: of the unit, `lora` among them."""
        strength = settings.get("lora", 0.0) if self.lora else 0.0
        tokens = self.tokens(references, settings, negative)
        return (tokens, Lora(self, strength)) if strength else (tokens,)

    @torch.no_grad()
    def encode(
        self, reference: Reference, settings: Mapping[str, float] | None = None, negative: Negative = BLANK
    ) -> Tokens:
        """Return a reference's tokens: those of all its pictures one after the other, or their weighted average.

        Uncond is the projection of the blank features, as in training (never zero tokens), unless `negative` puts
        others there. Raises MismatchError when the reference lacks features that the variant reads.
        """
        require(reference, "reference", Reference, "an Identity, or another reference,")
        negative.require_comparable(reference)
        cond_inputs, uncond_inputs = self._inputs(reference, negative)
        network = self.image_proj
        with torch.autocast("cpu", enabled=False):
            given = self._network_settings(settings)
            cond, uncond = (network(*inputs, **given) for inputs in (cond_inputs, uncond_inputs))
        if reference.tokens == "average":
            return Tokens(torch.tensordot(reference.relative_weights, cond, dims=1), uncond[0])
        return Tokens(cond.flatten(0, 1), uncond.flatten(0, 1))

    def _network_settings(self, settings: Mapping[str, float] | None) -> dict[str, float]:
        given = require(settings or {}, "settings", Mapping, "values of the unit's fields by name")
        numbers = {name: as_number(value, name) for name, value in given.items()}
        return {name: value for name, value in numbers.items() if name in self.variant.network_settings}

    def _inputs(self, reference: Reference, negative: Negative) -> tuple[list[Tensor], list[Tensor]]:
        """Return what the network is called with for cond and for uncond: all that the variant reads, in order."""
        cond: list[Tensor] = []
        uncond: list[Tensor] = []
        for number, read in enumerate(self.variant.reads):
            own = self._features(reference, read)
            cond.append(read.of(own.values))
            blank = read.of(negative.features(read.key, own))
            uncond.append(blank if number else negative.with_noise(blank, cond[0]))
        return cond, uncond

    def _features(self, reference: Reference, read: Reads) -> Features:
        found = reference.features.get(read.key)
        if found is None:
            wanted = "a face recogniser's vector" if read.key == ARCFACE else f"CLIP features ({read.key.encoder})"
            raise MismatchError(
                f"{self.name} is {self.variant.label}, which reads {wanted}, and this reference was made without. "
                f"Make it again from its pictures, or use an adapter that does not need them."
            )
        return found


@dataclass(frozen=True, eq=False)
class EncodedReference:
    """The tokens of a reference, encoded when the UNet's keys and values are not known yet."""

    adapter: Adapter
    reference: Reference
    settings: Mapping[str, float]
    negative: Negative

    @property
    def key(self) -> Hashable:
        """What tells it from other references of the same adapter."""
        return (*sorted(self.settings.items()), self.negative.fingerprint, self.reference.fingerprint)

    def encode(self) -> Tokens:
        """Return the tokens of the reference, and of the negative beside it."""
        return self.adapter.encode(self.reference, self.settings, self.negative)


def load_adapter(path: Path | str, variant: str | None = None) -> Adapter:
    """Return the adapter in a `.safetensors`, `.bin` or `.pth` file.

    `variant` (the id of one) decides where the file does not: Plus and Plus v2 have the same tensors, for example.
    Raises FileError for a damaged file, WrongFamilyError for another kind of model.
    """
    adapter = identify_adapter(path, variant)
    check_numbers(adapter)
    return adapter


def identify_adapter(path: Path | str, variant: str | None = None) -> Adapter:
    """Return the same without a look at the numbers, which stay on the disk: enough to know which one it is."""
    path = as_path(path, "path")
    require(variant or "", "variant", str, f"one of {', '.join(one.id for one in registry.variants())}, or None,")
    return _load(path, fingerprint_of(path), variant)


@lru_cache(maxsize=64)  # what lies in memory is mapped from the file, so that many cost little
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
            f"{path.name} is not an adapter: {len(image_proj)} image_proj tensors, {len(to_k_ip)} to_k_ip and "
            f"{len(to_v_ip)} to_v_ip layers of width {sorted(dims)} were found, in {in_short(weights.tensors)}. Use an "
            f"ip-adapter file for SD 1.5 or SDXL."
        )
    check_floats(path.name, tensors.items())
    found = registry.candidates({key: tuple(tensor.shape) for key, tensor in image_proj.items()}, dims.pop())
    if variant:
        chosen, assumed = _variant_from_user(path, found, variant)
    else:
        chosen, assumed = _variant_from_file(weights, fingerprint, found, tensors)
    recogniser = weights.metadata.get(RECOGNISER_KEY, "") or chosen.recogniser
    return Adapter(path.stem, fingerprint, chosen, assumed, image_proj, to_k_ip, to_v_ip, _lora(layers), recogniser)


def _variant_from_file(
    weights: Weights, fingerprint: str, found: tuple[Variant, ...], tensors: Mapping[str, Tensor]
) -> tuple[Variant, str]:
    """Return the variant that a file is and, where it had to be assumed, a sentence on why.

    Its hash decides, then its metadata, then its name.
    """
    path = weights.path
    if not found:
        raise FileError(f"{path.name} has an image_proj of unknown kind. Known: {_labels(registry.variants())}.")
    first = found[0]
    if len(found) == 1 and not first.lookalike:
        return first, ""
    known = _published(path, fingerprint) or weights.metadata.get(METADATA_KEY)
    if known in {variant.id for variant in found}:
        return registry.by_id(known), ""
    hinted = sorted((one for one in found if one.is_named_in(path.stem)), key=lambda one: -len(one.filename_hint))
    if hinted:
        return hinted[0], f"Taken for {hinted[0].label} by its file name."
    if first.is_lookalike(tensors):
        raise WrongFamilyError(
            f"{path.name} looks like {first.lookalike}, not {first.label} (same shapes, another recogniser). "
            f"If it is {first.label}, choose the variant {first.id}."
        )
    others = _labels(found[1:]) or first.lookalike
    return first, f"Taken for {first.label}, as nothing in the file tells it from {others}."


@lru_cache(maxsize=64)  # a file that is refused is asked about again for every job, and may have gigabytes
def _published(path: Path, fingerprint: str) -> str | None:  # noqa: ARG001 - the cache goes by it
    """Return the variant id of a published file, by its hash."""
    return registry.known_files().get(sha256_of(path))


def _variant_from_user(path: Path, found: tuple[Variant, ...], wanted: str) -> tuple[Variant, str]:
    """Return the variant that the user chose, where its tensors can be read as that one."""
    variant = registry.named_by_user(wanted)
    if variant not in found:
        raise MismatchError(
            f"{path.name} cannot be read as {variant.label} ({variant.base_labels}); its tensors fit "
            f"{_labels(found) or 'no variant of that base model'}."
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
            raise WrongFamilyError(f"{path.name} is {family.name}, not an adapter. {family.remedy}")


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
