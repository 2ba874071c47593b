"""An adapter from its file: names made canonical, the variant identified, other kinds of models refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from lib_faceid.arguments import as_path, require
from lib_faceid.effects.lora import LoraPair
from lib_faceid.errors import FileError, MismatchError, WrongFamilyError
from lib_faceid.methods import registry
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.foreign import family_of
from lib_faceid.methods.method import Method, Variant
from lib_faceid.models.adapter_names import canonical, in_short, unwrapped
from lib_faceid.models.checkpoint import Weights, read_whole, sha256_of
from lib_faceid.models.numbers import check_finite, check_floats
from lib_faceid.models.shards import fingerprint_of

__all__ = ["METADATA_KEY", "RECOGNISER_KEY", "check_numbers", "identify_adapter", "load_adapter"]

METADATA_KEY = "faceid_variant"
RECOGNISER_KEY = "recogniser"
KEPT = 512  # files whose adapter, or whose refusal, is remembered


def load_adapter(path: Path | str, variant: str | None = None) -> Adapter:
    """Return the adapter in a `.safetensors`, `.bin` or `.pth` file.

    `variant` (the id of one) decides where the file does not: Plus and Plus v2 have the same tensors, for example.
    Raises FileError for a damaged file, WrongFamilyError for another kind of model.

    >>> load_adapter("ip-adapter-faceid_sd15.safetensors").variant
    <Variant faceid>
    """
    adapter = identify_adapter(path, variant)
    check_numbers(adapter)
    return adapter


def identify_adapter(path: Path | str, variant: str | None = None) -> Adapter:
    """Return the same without a look at the numbers, which stay on the disk: enough to know which one it is."""
    path = as_path(path, "path")
    require(variant or "", "variant", str, f"one of {', '.join(one.id for one in registry.variants())}, or None,")
    key = (path, fingerprint_of(path), variant)
    if key in _refused:
        kind, message = _refused[key]
        raise kind(message)
    try:
        return _load(*key)
    except FileError as error:
        if not isinstance(error.__cause__, OSError):  # which may be over the next time: permissions, a network share
            while len(_refused) >= KEPT:
                _refused.pop(next(iter(_refused)), None)
            _refused[key] = type(error), str(error)
        raise


# What was refused, and why: a folder of ControlNets is asked about for every job, and not opened again.
_refused: dict[tuple[Path, str, str | None], tuple[type[FileError], str]] = {}


@lru_cache(maxsize=KEPT)  # what lies in memory is mapped from the file, so that many cost little
def _load(path: Path, fingerprint: str, variant: str | None) -> Adapter:
    weights = read_whole(path)
    tensors, method = _canonical(weights)
    image_proj = _below(tensors, "image_proj.")
    layers = _below(tensors, "ip_adapter.")
    to_k_ip, to_v_ip = (_numbered(layers, rf"(\d+)\.to_{kind}_ip\.weight") for kind in "kv")
    dims = {tensor.shape[1] for tensor in to_k_ip.values()} | {tensor.shape[1] for tensor in to_v_ip.values()}
    is_whole = bool(image_proj) and to_k_ip.keys() == to_v_ip.keys() and dims in ({768}, {2048})
    if method is None:
        _refuse_other_families(path, [tensors] if is_whole else [*unwrapped(weights.tensors), tensors])
    if method is None and not is_whole:
        raise FileError(
            f"{path.name} is not an adapter: {len(image_proj)} image_proj tensors, {len(to_k_ip)} to_k_ip and "
            f"{len(to_v_ip)} to_v_ip layers of width {sorted(dims)} were found, in {in_short(weights.tensors)}. Use an "
            f"ip-adapter file for SD 1.5 or SDXL."
        )
    check_floats(path.name, tensors.items())
    shapes = {key: tuple(tensor.shape) for key, tensor in image_proj.items()}
    found = registry.candidates(shapes, dims.pop()) if method is None else registry.candidates_of(method, shapes)
    if variant:
        chosen, assumed = _variant_from_user(path, found, variant)
    else:
        chosen, assumed = _variant_from_file(weights, fingerprint, found, tensors)
    recogniser = weights.metadata.get(RECOGNISER_KEY, "") or chosen.recogniser
    return Adapter(path.stem, fingerprint, chosen, assumed, image_proj, to_k_ip, to_v_ip, _lora(layers), recogniser)


def _canonical(weights: Weights) -> tuple[Mapping[str, Tensor], Method | None]:
    """Return a file's tensors under the usual names, and the method that lays them out in its own way, if one does.

    Raises FileError for a file that holds several adapters, or lacks something.
    """
    name = weights.path.name
    for method in registry.METHODS:
        try:
            tensors = method.layout(weights.tensors) if method.layout else None
        except ValueError as error:
            raise FileError(f"{name} is no whole {method.label} file: {error}. Get it again.") from error
        if tensors is not None:
            return tensors, method
    try:
        return canonical(weights.tensors), None
    except ValueError as error:
        raise FileError(f"{name} {error}, and one was expected. Save each adapter to a file of its own.") from error


def _variant_from_file(
    weights: Weights, fingerprint: str, found: tuple[Variant, ...], tensors: Mapping[str, Tensor]
) -> tuple[Variant, str]:
    """Return the variant that a file is and, where it had to be assumed, a sentence on why.

    Its hash decides, then its metadata, then its name.
    """
    path = weights.path
    if not found:
        raise FileError(
            f"{path.name} has an image_proj of a kind that is not known. Known: {_labels(registry.variants())}."
        )
    first = found[0]
    if len(found) == 1:
        return first, ""
    known = _published(path, fingerprint) or weights.metadata.get(METADATA_KEY)
    if known in {variant.id for variant in found}:
        return registry.by_id(known), ""
    hinted = sorted((one for one in found if one.is_named_in(path.stem)), key=lambda one: -len(one.filename_hint))
    if hinted:
        return hinted[0], f"Taken for {hinted[0].label} by its file name."
    return _variant_from_tensors(path, found, tensors)


def _variant_from_tensors(path: Path, found: tuple[Variant, ...], tensors: Mapping[str, Tensor]) -> tuple[Variant, str]:
    """Return the variant that the dtypes of a file point to, else the first. Raises FileError where neither can be."""
    signs = {one: one.signs(tensors) for one in found if one.signs}
    if signs and not any(signs.values()):
        raise FileError(
            f"{path.name} may be {_labels(found)}: both have these tensors, and read vectors of different face "
            f"recognisers. Choose the variant {' or '.join(one.id for one in found)}, or keep the published name."
        )
    first = next((one for one in found if signs.get(one)), found[0])
    others = _labels(tuple(one for one in found if one is not first))
    how = " by the dtypes in it" if signs else ""
    what = "nothing else" if signs else "nothing"
    return first, f"Taken for {first.label}{how}, as {what} in the file tells it from {others}."


@lru_cache(maxsize=64)  # a file that is refused is asked about again for every job, and may have gigabytes
def _published(path: Path, fingerprint: str) -> str | None:  # noqa: ARG001 - the cache goes by it
    """Return the variant id of a published file, by its hash."""
    return registry.known_files().get(sha256_of(path))


def _variant_from_user(path: Path, found: tuple[Variant, ...], name: str) -> tuple[Variant, str]:
    """Return the variant that the user chose, where its tensors can be read as that one."""
    variant = registry.named_by_user(name)
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
