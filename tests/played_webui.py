"""The WebUI's modules, played: what `lib_faceid/hosts` and the script import of them, empty until a test fills them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

__all__ = ["forget_hosts", "play_webui"]

PLAYED = (
    "scripts shared paths sd_models sd_unet sd_samplers_common extra_networks ui_extra_networks devices images"
    " processing script_callbacks"
)


def play_webui(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package `modules`, in place until the test ends; call `forget_hosts` then."""
    package: Any = ModuleType("modules")
    for name in PLAYED.split():
        module = ModuleType(f"modules.{name}")
        setattr(package, name, module)
        monkeypatch.setitem(sys.modules, f"modules.{name}", module)
    monkeypatch.setitem(sys.modules, "modules", package)
    package.extra_networks.ExtraNetwork = type("ExtraNetwork", (), {"__init__": lambda self, name: None})
    forget_hosts()
    return package


def forget_hosts() -> None:
    """Have what imports the WebUI's modules imported anew the next time."""
    for name in [name for name in sys.modules if name.startswith("lib_faceid.hosts.webui")]:
        del sys.modules[name]
        vars(sys.modules["lib_faceid.hosts"]).pop(name.rpartition(".")[2], None)
