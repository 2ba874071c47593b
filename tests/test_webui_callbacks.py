"""The script's callbacks among those of other extensions, with the WebUI's modules played."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from played_webui import forget_hosts, play_webui

pytest.importorskip("fastapi")
pytest.importorskip("gradio")

SCRIPT = Path(__file__).parent.parent / "scripts" / "ip_adapter_faceid.py"


EVENTS = [
    "before_ui",
    "app_started",
    "ui_settings",
    "cfg_denoiser",
    "cfg_after_cfg",
    "before_image_saved",
    "ui_tabs",
    "model_loaded",
    "script_unloaded",
]


class Callbacks:
    """The WebUI's list of callbacks for each event, in the order of registration."""

    def __init__(self, module: Any) -> None:
        self.map: dict[str, list[Any]] = {f"callbacks_{event}": [] for event in EVENTS}
        module.callback_map = self.map
        module.add_callback = self.add
        for event in EVENTS:
            setattr(module, f"on_{event}", partial(self.add, self.map[f"callbacks_{event}"], filename="found out"))
        module.remove_callbacks_for_function = self.remove

    def add(self, callbacks: list[Any], fun: Any, *, category: str = "", filename: str | None = None) -> None:
        callbacks.append(SimpleNamespace(callback=fun, filename=filename))

    def remove(self, callback: Callable[..., None]) -> None:
        for callbacks in self.map.values():
            callbacks[:] = [one for one in callbacks if one.callback != callback]

    def of(self, event: str) -> list[Any]:
        return [one.callback for one in self.map[f"callbacks_{event}"]]

    def files(self) -> set[str]:
        return {Path(one.filename).name for callbacks in self.map.values() for one in callbacks}


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callbacks]:
    package = play_webui(monkeypatch)
    package.scripts.Script = object
    package.ui_extra_networks.ExtraNetworksPage = object
    yield Callbacks(package.script_callbacks)
    forget_hosts()


@pytest.fixture
def script(callbacks: Callbacks) -> ModuleType:
    return load_script()


def load_script() -> ModuleType:
    module = import_module("lib_faceid.webui.script")
    module.register()
    return module


def test_tags_are_written_after_callbacks_that_were_registered_in_the_job(
    script: ModuleType, callbacks: Callbacks
) -> None:
    """CADS registers its noise before each batch, and in front of hires fix's second pass."""
    ours: Any = script.webui.on_denoiser
    noise: list[Callable[..., None]] = [lambda params: None, lambda params: None]
    for one in noise:
        script.callbacks.add("cfg_denoiser", one)
        script.FaceIDScript().process_before_every_sampling(object(), "args", x=None)
        assert callbacks.of("cfg_denoiser")[-1] is ours
    assert callbacks.of("cfg_denoiser") == [*noise, ours]
    assert [len(one) for one in callbacks.map.values()] == [2, 1, 1, 3, 1, 1, 1, 1, 1]


def test_the_webui_need_not_look_for_who_registers(script: ModuleType, callbacks: Callbacks) -> None:
    assert callbacks.files() == {SCRIPT.name}


def test_an_older_webui_finds_out_by_itself(callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = sys.modules["modules.script_callbacks"]
    monkeypatch.setattr(module, "add_callback", lambda callbacks, fun: None)
    load_script()
    assert [len(one) for one in callbacks.map.values()] == [2, 1, 1, 1, 1, 1, 1, 1, 1]
    assert callbacks.files() == {"found out"}


def test_also_in_front_of_a_face_inside_a_job(
    script: ModuleType, callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[Any] = []
    extra_networks: Any = script.webui_tags.extra_networks
    extra_networks.register_extra_network = networks.append
    monkeypatch.setattr(script.webui_cards, "register", lambda: None)
    monkeypatch.setattr(script.webui_tags, "is_part", lambda p: True)
    script._add_networks()
    script.callbacks.add("cfg_denoiser", lambda params: None)
    networks[0].activate(object(), [])
    assert callbacks.of("cfg_denoiser")[-1] is script.webui.on_denoiser


def started(folder: Path, *modules: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a WebUI does that has these modules, all of them empty."""
    (folder / "modules").mkdir()
    for name in modules:
        (folder / "modules" / f"{name}.py").touch()
    code = "import runpy, sys; sys.path[:0] = sys.argv[2:]; runpy.run_path(sys.argv[1])"
    arguments = [sys.executable, "-c", code, str(SCRIPT), str(folder), str(SCRIPT.parents[1])]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=folder, timeout=120, check=False)


@pytest.mark.parametrize("modules", [("sd_samplers_diffusers", "sd_samplers_cfg_denoiser"), ("shared",)])
def test_a_webui_that_draws_otherwise_gets_a_sentence(tmp_path: Path, modules: tuple[str, ...]) -> None:
    """SD.Next, with what it kept of AUTOMATIC1111's for a while and without."""
    ran = started(tmp_path, *modules)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("IP-Adapter FaceID does not run in this WebUI:")


def test_a_webui_that_is_served_loads_the_script(tmp_path: Path) -> None:
    """Here it comes as far as what is empty."""
    ran = started(tmp_path, "sd_samplers_cfg_denoiser", "scripts", "script_callbacks")
    assert ran.stdout == ""
    assert "lib_faceid/webui/script.py" in ran.stderr
