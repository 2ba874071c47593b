"""Bring an adapter's tensors under the published names, whichever program saved them and however it wrapped them.

An adapter is recognised by what is inside: layers with `to_k_ip` and `to_v_ip` (numbered, or named after a UNet's
attention), and a projection whose tensors are called like one of the known networks. What stands in front of those
(`module.`, `state_dict.`, `_orig_mod.`, `model.`, a name nobody has thought of) is no part of either, and is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lib_faceid.models.tree import printable

__all__ = ["canonical", "in_short", "unwrapped"]

_UNET = r"(?P<side>down|up|mid|input|output|middle)_blocks?(?P<place>(?:[._](?:attentions|\d+))*)"
_ATTENTION = rf"{_UNET}[._]transformer_blocks[._](?P<block>\d+)[._]attn(?P<attn>[12])"
_KV = r"to_(?P<kv>[kv])_ip(?:\.(?P<which>\d+))?\.weight"
_LORA = r"to_(?P<kind>q|k|v|out)_lora\.(?P<end>down|up)\.weight"
_PEFT = r"to_(?P<peft>q|k|v|out)(?:\.0)?\.lora_(?P<factor>[AB])\.faceid_(?P<face>\d+)\.weight"
_LAYER = re.compile(
    rf"(?P<before>(?:.*[._])?)(?:(?P<number>\d{{1,4}})|{_ATTENTION}(?:[._]processor)?)\.(?:{_KV}|{_LORA}|{_PEFT})"
)
# In which the attentions of a UNet are numbered: diffusers' order of its parts.
_SIDES = {"down": 0, "input": 0, "up": 1, "output": 1, "mid": 2, "middle": 2}

# The tensors that are in each known projection network, one row for each.
_NETWORKS = (
    ("proj.0.weight", "proj.2.weight"),
    ("proj.0.weight", "norm.weight"),
    ("proj.0.weight", "proj.3.weight"),
    ("proj.weight", "norm.weight"),
    ("latents", "proj_in.weight"),
    ("image_embeds.weight", "norm.weight"),
    ("ff.net.0.proj.weight", "norm.weight"),
    ("proj.net.0.proj.weight", "norm.weight"),
)
_MARKED = re.compile(r"(?P<before>(?:.*\.)?(?:image_proj(?:_model)?|image_projection_layers\.\d+))\.")
_BLOCK = re.compile(r"(^|\.)(down|up|mid|input|output|middle)_blocks?[._]")
_MAX_NAME = 500  # letters; published ones have less than 100


class _Layer(NamedTuple):
    """One tensor of the numbered or named layers."""

    before: str
    """What stands in front of the number or the UNet's name."""
    order: tuple[int, ...]
    """(number,), or by place in the UNet (side, ..., transformer block, attention)."""
    name: str
    """`to_k_ip.weight`, `to_q_lora.down.weight`, ..."""
    which: int
    """Of several adapters in one UNet."""


def canonical(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of an adapter under `image_proj.` and `ip_adapter.<number>.`, and nothing else of the file.

    Where it holds several (the weights and their moving average), those that are not called `ema` come first. What is
    not there is not in the result: it may be half an adapter, or empty. Raises ValueError for a UNet with several
    adapters in it.
    """
    plain = _without_wrappers(tensors)
    layers = {key: layer for key in plain if (layer := _layer(key))}
    roots = _roots([key for key in plain if key not in layers])
    befores = sorted(dict.fromkeys(layer.before for layer in layers.values()), key=lambda one: _rank(one, layers))
    pairs = [(_shared(root, before), root, before) for root in roots for before in befores]
    best = max((pair[0] for pair in pairs), default=0)
    _, root, before = next((pair for pair in pairs if pair[0] == best), (0, None, None))
    root = root if root is not None else next(iter(roots), None)
    before = before if before is not None else next(iter(befores), None)
    found: dict[str, Tensor] = {}
    if root is not None:
        inside = [key for key in plain if key.startswith(root) and key not in layers]
        if not root:
            inside = [key for key in inside if not (_BLOCK.search(key) or key.startswith("unet."))]
        found |= _published_names({key.removeprefix(root): plain[key] for key in inside})
    if before is not None:
        found |= _numbered({key: layer for key, layer in layers.items() if layer.before == before}, plain)
    return found


def unwrapped(tensors: Mapping[str, Tensor]) -> Iterator[Mapping[str, Tensor]]:
    """Give the tensors of any model as they are called, then without each part that all of their names begin with."""
    yield tensors
    plain = _without_wrappers(tensors)
    while plain:
        yield plain
        if len({key.partition(".")[0] for key in plain}) > 1 or not all("." in key for key in plain):
            return
        plain = {key.partition(".")[2]: tensor for key, tensor in plain.items()}


def in_short(names: Iterable[str], count: int = 3) -> str:
    """Return the first of some names, for a message: "12 tensors, the first called a, b, c"."""
    listed = list(names)
    first = ", ".join(printable(name, 60) for name in listed[:count])
    return f"{len(listed)} tensor{'' if len(listed) == 1 else 's'}, the first called {first}"


def _without_wrappers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the parts of names that programs put between: `module` (DDP), and those that begin with `_`."""
    plain: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if len(key) > _MAX_NAME:
            continue
        parts = [part for part in key.split(".") if part != "module" and not part.startswith("_")]
        plain.setdefault(".".join(parts), tensor)
    return plain


def _layer(key: str) -> _Layer | None:
    match = _LAYER.fullmatch(key)
    if match is None:
        return None
    at = match.groupdict()
    if at["kv"]:
        name = f"to_{at['kv']}_ip.weight"
    else:
        end = at["end"] or {"A": "down", "B": "up"}[at["factor"]]
        name = f"to_{at['kind'] or at['peft']}_lora.{end}.weight"
    which = int(at["which"] or at["face"] or 0)
    if at["number"] is not None:
        return _Layer(at["before"], (int(at["number"]),), name, which)
    place = tuple(int(number) for number in re.findall(r"\d+", at["place"]))
    order = (_SIDES[at["side"]], *place, int(at["block"]), int(at["attn"]) - 1)
    return _Layer(f"{at['before']}<unet>", order, name, which)


def _rank(before: str, layers: Mapping[str, _Layer]) -> tuple[bool, bool, int]:
    """Order groups of layers: averages last, numbers before names (a trainer's file has both), the larger first."""
    size = sum(layer.before == before for layer in layers.values())
    return "ema" in before.lower(), before.endswith("<unet>"), -size


def _roots(keys: list[str]) -> list[str]:
    """Return what stands in front of each projection network, the averages last."""
    present = set(keys)
    found: dict[str, None] = {}
    for key in keys:
        for first, second in _NETWORKS:
            root = key.removesuffix(first)
            if root != key and (not root or root.endswith(".")) and f"{root}{second}" in present:
                found[root] = None
    # A resampler inside a projection is a part of that one; a UNet's own layers are none.
    outer = [one for one in found if not any(one != other and one.startswith(other) for other in found)]
    outer = [one for one in outer if not _BLOCK.search(one)]
    marked = [f"{match['before']}." for key in keys if (match := _MARKED.match(key))]
    return sorted(outer or dict.fromkeys(marked), key=lambda one: "ema" in one.lower())


def _shared(root: str, before: str) -> int:
    """Return how many parts two names begin with together."""
    count = 0
    for one, other in zip(root.split("."), before.split("."), strict=False):
        if one != other:
            break
        count += 1
    return count


def _numbered(layers: Mapping[str, _Layer], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return one group of layers under their numbers: named ones by their place, even for attn1 and odd for attn2."""
    adapters = sorted({layer.which for layer in layers.values() if "_ip" in layer.name})
    if len(adapters) > 1:
        raise ValueError(f"holds {len(adapters)} adapters in one UNet")
    blocks = sorted({layer.order[:-1] for layer in layers.values() if len(layer.order) > 1})
    numbers = {block: index for index, block in enumerate(blocks)}
    found: dict[str, Tensor] = {}
    for key, layer in layers.items():
        if "_ip" in layer.name or layer.which in (0, *adapters):
            named = len(layer.order) > 1
            number = 2 * numbers[layer.order[:-1]] + layer.order[-1] if named else layer.order[0]
            found[f"ip_adapter.{number}.{layer.name}"] = tensors[key]
    return found


# -------------------------------------------------------------------------- diffusers' names of the projection networks
_MLP = ((r"ff\.net\.0\.proj\.", "proj.0."), (r"ff\.net\.2\.", "proj.2."))
_FULL = (*_MLP, (r"norm\.", "proj.3."))
_PLAIN = ((r"image_embeds\.", "proj."),)
_PERCEIVER = (
    (r"layers\.(\d+)\.ln0\.", r"layers.\1.0.norm1."),
    (r"layers\.(\d+)\.ln1\.", r"layers.\1.0.norm2."),
    (r"layers\.(\d+)\.attn\.to_out\.0\.", r"layers.\1.0.to_out."),
    (r"layers\.(\d+)\.attn\.", r"layers.\1.0."),
    (r"layers\.(\d+)\.ff\.0\.", r"layers.\1.1.0."),
    (r"layers\.(\d+)\.ff\.1\.net\.0\.proj\.", r"layers.\1.1.1."),
    (r"layers\.(\d+)\.ff\.1\.net\.2\.", r"layers.\1.1.3."),
)


def _published_names(network: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a projection network under the published names, after `image_proj.`; diffusers saves it under others."""
    if "image_embeds.weight" in network:
        named = _renamed(network, _PLAIN)
    elif "ff.net.0.proj.weight" in network:
        out, norm = (network.get(key, torch.empty(0)).shape[:1] for key in ("ff.net.2.weight", "norm.weight"))
        named = _renamed(network, _FULL if out == norm else _MLP)
    elif "proj.net.0.proj.weight" in network:
        outer = {key: tensor for key, tensor in network.items() if key.startswith(("proj.", "norm."))}
        inner = {key: tensor for key, tensor in network.items() if key not in outer}
        named = _renamed(outer, ((r"proj\.net\.0\.proj\.", "proj.0."), (r"proj\.net\.2\.", "proj.2.")))
        named |= {f"perceiver_resampler.{key}": tensor for key, tensor in _joined(inner).items()}
    else:
        named = _joined(network)
    return {f"image_proj.{key}": tensor for key, tensor in named.items()}


def _renamed(network: Mapping[str, Tensor], table: Iterable[tuple[str, str]]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, tensor in network.items():
        new = next((re.sub(f"^{old}", new, key) for old, new in table if re.match(old, key)), key)
        found[new] = tensor
    return found


def _joined(network: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a resampler with keys and values in one matrix, as published, which diffusers keeps apart."""
    if not any(".attn.to_k." in key for key in network):
        return dict(network)
    named = _renamed(network, _PERCEIVER)
    for key in [key for key in named if key.endswith(".to_k.weight")]:
        both = named.pop(key), named.pop(key.replace(".to_k.", ".to_v."), None)
        if both[1] is not None and both[0].shape[1:] == both[1].shape[1:]:
            named[key.replace(".to_k.", ".to_kv.")] = torch.cat([both[0], both[1]])
    return named
