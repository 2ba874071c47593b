"""The script's callbacks among those of other extensions, with the WebUI's modules played."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from played_webui import forget_hosts, play_webui

pytest.importorskip("fastapi")
pytest.importorskip("gradio")

SCRIPT = Path(__file__).parent.parent / "scripts" / "ip_adapter_faceid.py"


class Callbacks:
    """The WebUI's list of callbacks for each category, in the order of registration."""

    def __init__(self, module: Any) -> None:
        self.lists: dict[str, list[Callable[..., None]]] = {}
        events = "before_ui app_started ui_settings cfg_denoiser cfg_denoised model_loaded script_unloaded"
        for name in events.split():
            setattr(module, f"on_{name}", self.lists.setdefault(name, []).append)
        module.remove_callbacks_for_function = self.remove

    def remove(self, callback: Callable[..., None]) -> None:
        for callbacks in self.lists.values():
            callbacks[:] = [one for one in callbacks if one != callback]


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callbacks]:
    package = play_webui(monkeypatch)
    package.scripts.Script = object
    package.ui_extra_networks.ExtraNetworksPage = object
    yield Callbacks(package.script_callbacks)
    forget_hosts()


@pytest.fixture
def script(callbacks: Callbacks) -> ModuleType:
    spec = importlib.util.spec_from_file_location("faceid_script", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tags_are_written_after_callbacks_that_were_registered_in_the_job(
    script: ModuleType, callbacks: Callbacks
) -> None:
    """CADS registers its noise before each batch, and in front of hires fix's second pass."""
    ours: Any = script.webui.on_denoiser
    noise: list[Callable[..., None]] = [lambda params: None, lambda params: None]
    for one in noise:
        callbacks.lists["cfg_denoiser"].append(one)
        script.FaceIDScript().process_before_every_sampling(object(), "args", x=None)
        assert callbacks.lists["cfg_denoiser"][-1] is ours
    assert callbacks.lists["cfg_denoiser"] == [*noise, ours]
    assert [len(one) for one in callbacks.lists.values()] == [2, 1, 1, 3, 1, 1, 1]


def test_also_in_front_of_a_face_inside_a_job(
    script: ModuleType, callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[Any] = []
    extra_networks: Any = script.webui_tags.extra_networks
    extra_networks.register_extra_network = networks.append
    monkeypatch.setattr(script.webui_cards, "register", lambda: None)
    monkeypatch.setattr(script.webui_tags, "is_part", lambda p: True)
    script.add_networks()
    callbacks.lists["cfg_denoiser"].append(lambda params: None)
    networks[0].activate(object(), [])
    assert callbacks.lists["cfg_denoiser"][-1] is script.webui.on_denoiser
