"""The WebUI, played: its modules that `lib_faceid/hosts` imports, a processing object, and our callbacks in turn."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from lib_faceid.errors import MissingModelError
from lib_faceid.jobs.choosing import Models
from lib_faceid.people.library import People
from lib_faceid.references.identity import Identity

__all__ = ["Host", "P", "Params", "forget_hosts", "job_of", "play_webui", "played_host"]

PLAYED = (
    "scripts shared paths sd_models sd_unet sd_samplers_common extra_networks ui_extra_networks devices images"
    " processing script_callbacks prompt_parser rng sd_samplers"
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
    ours = ("lib_faceid.webui", *(f"lib_faceid.hosts.{one}" for one in ("webui", "a1111", "forge")))
    for name in [name for name in sys.modules if name.startswith(ours)]:
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(child, None)


class Params:
    """What the WebUI makes of one tag: its parts."""

    def __init__(self, tag: str) -> None:
        self.items = tag.split(":")


@dataclass
class P:
    """The part of the WebUI's processing object that matters, and what it does with it."""

    all_prompts: list[str]
    batch_size: int = 1
    enable_hr: bool = False
    all_hr_prompts: list[str] | None = None
    all_negative_prompts: list[str] = field(default_factory=list)
    all_hr_negative_prompts: list[str] | None = None
    disable_extra_networks: bool = False
    is_hr_pass: bool = False
    iteration: int = 0
    steps: int = 4
    extra_network_data: dict[str, list[Params]] | None = None
    hr_extra_network_data: dict[str, list[Params]] | None = None
    extra_generation_params: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, int] = field(default_factory=dict)
    closed: int = 0
    image_mask: Any = None
    scripts: Any = None
    batch_index: int = 0

    init_images: list[Any] | None = None

    @property
    def n_iter(self) -> int:
        return len(self.all_prompts) // self.batch_size

    def comment(self, text: str) -> None:
        self.comments[text] = 1

    def init(self) -> None:
        pass

    def sample(self) -> str:
        return "drawn"

    def close(self) -> None:
        self.closed += 1

    def cut(self, prompts: list[str] | None) -> dict[str, list[Params]] | None:
        if prompts is None:
            return None
        first = prompts[self.iteration * self.batch_size]
        return {"faceid": [Params(tag) for tag in re.findall(r"<faceid:([^>]+)>", first)]}


@dataclass
class Host:
    """Our callbacks, in the order in which the WebUI calls them."""

    webui: ModuleType
    tags: ModuleType
    package: Any
    unet: nn.Module
    parts: int = 0
    """How often we were told that a face inside a job is about to be drawn."""
    drawing: list[P] = field(default_factory=list)
    """The WebUI holds on to what it draws."""

    @property
    def network(self) -> Any:
        def count() -> None:
            self.parts += 1

        return self.tags.FaceIDNetwork(count)

    def process(self, p: P, *units: dict[str, Any]) -> P:
        self.drawing.append(p)
        self.webui.start(p, units or [{"enabled": False}])
        return p

    def batch(self, p: P, number: int = 0) -> str:
        """Go through one batch up to its sampling, which is what is given back."""
        p.iteration = number
        p.extra_network_data, p.hr_extra_network_data = p.cut(p.all_prompts), p.cut(p.all_hr_prompts)
        if not p.disable_extra_networks:
            self.network.activate(p, [])
            self.webui.apply_loras(p)
        self.webui.apply_loras(p)
        self.tags.say_if_off(p)
        return p.sample()

    def draw(self, p: P, *units: dict[str, Any]) -> str:
        return self.batch(self.process(p, *units))

    def step(self, p: P, order: Sequence[int] | None = None, model: nn.Module | None = None) -> Any:
        """Go through the first step of the sampling, and give back what was made of the conditionings.

        order: whose the cond rows are, after somebody has moved them; without, one for each image; model: the
        sampler's own, around the UNet.
        """
        sampler = SimpleNamespace(func=self.step)
        denoiser = SimpleNamespace(p=p, step=0, steps=p.steps, total_steps=p.steps, init_latent=None, sampler=sampler)
        denoiser.inner_model = model or nn.Identity()
        noise = torch.randn(p.batch_size, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        order = range(p.batch_size) if order is None else order
        cond, uncond = torch.zeros(len(order), 77, 768), torch.zeros(p.batch_size, 77, 768)
        params = SimpleNamespace(denoiser=denoiser, sigma=torch.ones(1), text_cond=cond, text_uncond=uncond)
        params.x = torch.cat([noise[list(order)], noise])
        self.webui.on_denoiser(params)
        return params

    def people(self, p: P) -> list[tuple[str, str, float]]:
        """Who is drawn: the metadata's key, the name, and the weight."""
        prepared = job_of(p)._job.prepare(self.unet) if job_of(p) else ()
        return [(f"FaceID {one.number}", one.unit.person, one.unit.weight) for one in prepared]


def job_of(p: P) -> Any:
    """What ours leaves on `p`, if anything."""
    return getattr(p, "faceid_job", None)


@contextmanager
def played_host(unet: nn.Module, adapter_file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Host]:
    """The WebUI with this UNet and adapter, no face models, and Anna and Bert in the library."""
    package = play_webui(monkeypatch)
    package.sd_unet.get_unet_option = lambda: None
    shared = package.shared
    shared.opts, shared.cmd_opts = (
        SimpleNamespace(faceid_on_failure="Stop", faceid_write_hashes=True),
        SimpleNamespace(),
    )
    shared.sd_model = SimpleNamespace(
        model=SimpleNamespace(diffusion_model=unet), apply_model=None, sd_checkpoint_info="a"
    )
    shared.state = SimpleNamespace(interrupted=False, skipped=False)
    package.paths.data_path = package.paths.models_path = str(folder)
    hosts = ("script", "tags", "prompts")
    webui, webui_tags, webui_prompts = (import_module(f"lib_faceid.hosts.webui.{name}") for name in hosts)
    library = People(folder / "faceid" / "faces")
    for seed, name in enumerate(("Anna", "Bert"), 1):
        vector = torch.randn(1, 512, generator=torch.Generator().manual_seed(seed)) * 20
        library.save(name, Identity(vector, recogniser="w600k_r50"))
    monkeypatch.setattr(webui_prompts, "open_library", lambda _roots: library)
    models = Models(lambda: [adapter_file], nothing_here, nothing_here, lambda name: library.load(name).identity)
    monkeypatch.setattr(webui, "models", lambda: models)
    yield Host(webui, webui_tags, package, unet)
    webui.on_scripts_unloaded()
    forget_hosts()


def nothing_here(*_: object) -> Any:
    raise MissingModelError("not here")
