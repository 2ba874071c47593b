"""The FaceID LoRA in the WebUI: one more network of its built-in Lora extension, made from memory.

That extension merges `networks.loaded_networks` into the weights, once, from backups, whenever the set changes. So ours
composes with the user's own LoRAs and is undone exactly.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Sequence
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from modules import shared

from lib_faceid.effects.lora import LoraWeights, named_lora
from lib_faceid.hosts.webui.typed_lora import typed_lora

__all__ = ["activate", "deactivate", "is_available"]

_MARK = "faceid_lora"  # an attribute on the networks that are ours
_made: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""For each checkpoint the networks of a job's adapters, by the adapter's fingerprint; they hold its layers."""


def is_available() -> bool:
    """Say whether the built-in Lora extension is loaded; users can switch it off."""
    return "networks" in sys.modules and hasattr(sys.modules["networks"], "loaded_networks")


def activate(loras: Sequence[tuple[LoraWeights, float]], of_job: Iterable[LoraWeights] = ()) -> list[str]:
    """Have these LoRAs merged, instead of those of an earlier call, and return what the user should know about it.

    A FaceID LoRA that the user typed into the prompt wins: it is never applied twice. of_job: the adapters of all
    passes, whose networks are kept for them; those of other jobs go, as one has some hundred MB.
    """
    deactivate()
    typed = {adapter: found for adapter, _ in loras if (found := typed_lora(adapter.lora_hint))}
    _keep_only({adapter.fingerprint for adapter in (*of_job, *(adapter for adapter, _ in loras))})
    for adapter, strength in loras:
        if adapter not in typed:
            network = _network_of(adapter)
            network.strength = strength
            sys.modules["networks"].loaded_networks.append(network)
    named = dict.fromkeys((one.name, one.unet_multiplier) for one in typed.values())
    return [f"FaceID LoRA taken from the prompt ({name}: {strength:g})." for name, strength in named]


def deactivate() -> None:
    """Take our LoRAs off the list again; the weights follow when the UNet runs next."""
    if is_available():
        loaded = sys.modules["networks"].loaded_networks
        loaded[:] = [network for network in loaded if not hasattr(network, _MARK)]


def _keep_only(fingerprints: Container[str]) -> None:
    """Forget the networks of all other adapters."""
    for made in _made.values():
        for fingerprint in [one for one in made if one not in fingerprints]:
            del made[fingerprint]


def _network_of(adapter: LoraWeights) -> Any:
    """Return the adapter's LoRA as a network for the loaded checkpoint, made once for each pair of them."""
    made = _made.setdefault(shared.sd_model, {})
    if adapter.fingerprint not in made:
        with torch.random.fork_rng(devices=[]):  # its layers are initialised at random first: not at the cost of a seed
            made[adapter.fingerprint] = _make_network(adapter)
    return made[adapter.fingerprint]


def _own_class(base: Any) -> Any:
    """Return a class of networks whose strength is for us alone to say, and which leave the text encoder alone.

    Regional Prompter's latent mode sets the multipliers of every loaded network before each UNet call, to 0 where a
    region's prompt does not name it: ours would be left in the negative prompt alone, and lead away from the person.
    """

    class OwnNetwork(base):
        strength = 0.0
        te_multiplier = property(lambda _: 0.0, lambda *_: None)
        unet_multiplier = property(lambda self: self.strength, lambda *_: None)

    return OwnNetwork


def _make_network(adapter: LoraWeights) -> Any:
    network, network_lora, networks = (sys.modules[name] for name in ("network", "network_lora", "networks"))
    model = shared.sd_model
    if not hasattr(model, "network_layer_mapping"):
        networks.assign_network_names_to_compvis_modules(model)
    on_disk = SimpleNamespace(name=adapter.name, alias=adapter.name, filename="", shorthash="", metadata={})
    made = _own_class(network.Network)(f"IP-Adapter FaceID ({adapter.fingerprint})", on_disk)
    setattr(made, _MARK, True)
    for name, pair in named_lora(adapter, model.model.diffusion_model).items():
        key = f"diffusion_model_{name.replace('.', '_')}"
        weights = {"lora_up.weight": pair.up, "lora_down.weight": pair.down}
        layer = model.network_layer_mapping[key]
        made.modules[key] = network_lora.NetworkModuleLora(
            made, network.NetworkWeights(network_key=key, sd_key=key, w=weights, sd_module=layer)
        )
    return made
