"""The adapter's LoRA as one of the WebUI's networks, with its Lora extension played."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from played_webui import forget_hosts, play_webui
from torch import nn

from lib_faceid.effects.lora import named_lora
from lib_faceid.methods.adapter import Adapter


class Network:
    """The Lora extension's, as far as we use it."""

    def __init__(self, name: str, on_disk: object) -> None:
        self.name = name
        self.te_multiplier = self.unet_multiplier = 1.0
        self.modules: dict[str, object] = {}


class Checkpoint:
    """What the WebUI has loaded, as far as we use it."""

    def __init__(self, unet: nn.Module, layers: dict[str, None]) -> None:
        self.model = SimpleNamespace(diffusion_model=unet)
        self.network_layer_mapping = layers


@pytest.fixture
def loaded(ldm: nn.Module, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is merged, one of them the user's own."""
    found: Any = {name: ModuleType(name) for name in ("network", "network_lora", "networks")}
    for name, module in found.items():
        monkeypatch.setitem(sys.modules, name, module)
    found["network"].Network = Network
    found["network"].NetworkWeights = found["network_lora"].NetworkModuleLora = lambda *_, **__: None
    found["networks"].loaded_networks = [Network("film", None)]
    names = [f"diffusion_model_{name.replace('.', '_')}" for name in named_lora(adapter, ldm)]
    play_webui(monkeypatch).shared.sd_model = Checkpoint(ldm, dict.fromkeys(names))
    yield found["networks"].loaded_networks
    forget_hosts()


def test_nobody_else_sets_how_strong_ours_is(loaded: list[Any], adapter: Adapter) -> None:
    """Regional Prompter's latent mode sets every network to 0 for the calls of prompts that do not name it."""
    webui_lora = import_module("lib_faceid.hosts.a1111.lora")
    for strength in (0.7, 0.4):
        assert webui_lora.activate([(adapter, strength)]) == []
        _, ours = loaded
        for network in loaded:
            network.te_multiplier = network.unet_multiplier = 0
        assert (ours.te_multiplier, ours.unet_multiplier) == (0, strength)
        assert len(ours.modules) == len(adapter.lora) * 4
    webui_lora.deactivate()
    assert [network.name for network in loaded] == ["film"]


def test_the_adapters_of_one_job_are_made_once(loaded: list[Any], adapter: Adapter, portrait: Adapter) -> None:
    """Making one takes as long as reading it; each pass of each batch asks for all of them."""
    webui_lora = import_module("lib_faceid.hosts.a1111.lora")
    other = replace(portrait, lora=adapter.lora)
    pair = [(adapter, 0.7), (other, 0.4)]
    webui_lora.activate(pair)
    made = loaded[1:]
    assert len(made) == 2
    for pass_of_hires_fix in ([pair[0]], [pair[1]], pair):
        webui_lora.activate(pass_of_hires_fix, [adapter, other])
    assert [id(network) for network in loaded[1:]] == [id(network) for network in made]
    webui_lora.activate([(adapter, 0.7)])  # another job, with one of them
    webui_lora.activate(pair)
    assert loaded[1] is made[0]
    assert loaded[2] is not made[1]


def test_a_checkpoint_that_is_gone_is_not_kept(loaded: list[Any], adapter: Adapter) -> None:
    """Its layers would stay in memory, and another checkpoint at its address would be given them."""
    webui_lora = import_module("lib_faceid.hosts.a1111.lora")
    webui_lora.activate([(adapter, 0.7)])
    made = weakref.ref(loaded[1])
    webui_lora.deactivate()
    assert made() is not None
    webui_lora.shared.sd_model = None
    gc.collect()
    assert made() is None
