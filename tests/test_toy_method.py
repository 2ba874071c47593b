"""A method that the package does not know draws everywhere, by its line in the registry alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from api_server import Fixture
from builders import SD15, Parts, Source, ip_adapter_layers, sd15_widths, write
from PIL import Image
from played_webui import P, job_of, played_host
from torch import nn
from toy_method.method import METHOD
from unets import SMALL, call, inputs

from lib_faceid.commands.cli import main
from lib_faceid.hosts.diffusers.checkpoint import load_parts
from lib_faceid.inventory.check import check_setup
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.job import Job
from lib_faceid.methods import registry
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature.sizes import MINIATURE
from lib_faceid.models.folders import Roots
from lib_faceid.references.identity import Identity
from lib_faceid.units.unit import Unit

pytestmark = pytest.mark.usefixtures("no_network", "loaded_once")

NAME = "toy_sd15"
SOMEBODY = Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)) * 20, recogniser="a test")


@pytest.fixture(autouse=True)
def with_toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one line that a new method adds, on a machine without models."""
    monkeypatch.setattr(registry, "METHODS", (*registry.METHODS, METHOD))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("FACEID_MODELS", "FACEID_FACE_MODELS", "FACEID_CLIP_VISION"):
        monkeypatch.delenv(name, raising=False)


def write_toy(folder: Path, widths: list[int]) -> Path:
    source = Source(3)
    folder.mkdir(parents=True, exist_ok=True)
    toy = {"toy.weight": source.weight(2, SD15, 512, gain=20)}
    return write(Parts(toy, ip_adapter_layers(source, widths, SD15)), folder / f"{NAME}.safetensors")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A toy adapter for the miniature, where adapters lie."""
    return write_toy(tmp_path / "models" / "faceid", list(MINIATURE["sd15"].unet.attention_channels))


def nothing_here(*_: object) -> Any:
    raise AssertionError("neither a face model nor an image encoder was to be asked for")


@pytest.fixture
def models(file: Path) -> Models:
    return Models(lambda: [file], nothing_here, nothing_here, lambda _name: SOMEBODY)


def test_it_is_small() -> None:
    lines = Path(__file__).with_name("toy_method").joinpath("method.py").read_text("utf-8").splitlines()
    assert len(lines) <= 45


def test_a_file_is_recognised(file: Path) -> None:
    adapter = load_adapter(file)
    assert (adapter.variant.id, adapter.assumed, adapter.purpose) == ("toy_plain", "", "person")
    tokens = adapter.encode(SOMEBODY)
    assert tokens.cond.shape == (2, SD15)
    assert not tokens.uncond.any(), "a matrix without a bias gives zeros of zeros"


def test_a_job_draws_with_it(models: Models, miniature_checkpoint: Callable[[str], Path]) -> None:
    unet = load_parts(miniature_checkpoint("sd15")).modules["unet"]
    plain = call(unet, inputs())

    def drawn(**settings: Any) -> torch.Tensor:
        job = Job([Unit(enabled=True, person="Bert", **settings)], models)
        (prepared,) = job.prepare(unet)
        assert prepared.adapter.name == NAME
        assert "Toy plain" in prepared.summary("in all steps")
        injection = job.attach(unet)
        injection.set_rows((0, 1))
        found = call(unet, inputs())
        job.close()
        return found

    once, doubled = drawn(), drawn(structure=2.0)
    assert (once - plain).abs().max() > 1e-3
    assert (once - doubled).abs().max() > 1e-3, "the network gets the settings that it names"
    assert torch.equal(call(unet, inputs()), plain)


def test_the_command_line_draws_with_it(
    file: Path, miniature_checkpoint: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SOMEBODY.save(tmp_path / "somebody.safetensors")
    asked = ["generate", "--identity", "somebody.safetensors", "--checkpoint", str(miniature_checkpoint("sd15"))]
    asked += ["--adapter", str(file), "--prompt", "a hat", "--size", "64x64", "--steps", "2", "--seed", "5"]
    for weight in ("0.8", "0"):
        assert main([*asked, "--weight", weight]) == 0
    assert f"Adapter: {NAME} (Toy plain)" in capsys.readouterr().out
    pictures = [Image.open(tmp_path / "out" / name) for name in ("seed5.png", "seed5-2.png")]
    assert f"adapter: {NAME}, variant: toy_plain" in pictures[0].info["parameters"]
    toy, plain = (np.asarray(one).astype(int) for one in pictures)
    assert np.abs(toy - plain).mean() > 1


@pytest.mark.usefixtures("file")
def test_the_api_names_it(tmp_path: Path) -> None:
    api = Fixture()
    object.__setattr__(api.services, "setup", lambda: check_setup(Roots(models=(tmp_path / "models",))))
    (row,) = [one for one in api.get("/status")["rows"] if one["variant"] == "toy_plain"]
    assert (row["label"], row["status"], row["lora"]) == ("Toy plain for SD 1.5", "found", "none")
    assert f"{NAME}.safetensors" in str(api.get("/models"))
    checked = api.post("/check", {"units": [{"person": "Bert", "adapter": NAME, "variant": "toy_plain"}]})
    assert "toy_plain" in str(checked)


def test_without_a_file_the_setup_says_so(tmp_path: Path) -> None:
    rows = [row for row in check_setup(Roots(models=(tmp_path,))).rows if row.variant == "toy_plain"]
    assert [(row.status, row.note) for row in rows] == [("missing", "No download of it is known here.")]


def test_the_webui_draws_with_it(ldm: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the body of an API request: "alwayson_scripts" hands its dict on as it is."""
    pytest.importorskip("fastapi")
    toy = write_toy(tmp_path / "of the host", sd15_widths(SMALL))
    with played_host(ldm, toy, tmp_path, monkeypatch) as host:
        p = host.process(P(["x"]), {"person": "Bert", "variant": "toy_plain"})
        host.batch(p)
        params = host.step(p)
        rows = torch.cat([params.text_cond, params.text_uncond])
        latents = torch.ones(len(rows), 4, 8, 8)
        with torch.no_grad():
            toyed = host.unet(latents, torch.full((len(rows),), 500), rows)
        host.webui.on_denoised(None)
        assert f"adapter: {NAME}, variant: toy_plain" in p.extra_generation_params["FaceID 0"]
        assert job_of(p)._job.is_applied
        p.close()
        with torch.no_grad():
            plain = host.unet(latents, torch.full((len(rows),), 500), torch.zeros(len(rows), 77, SD15))
        assert (toyed - plain).abs().max() > 1e-3


def test_the_page_offers_it(file: Path) -> None:
    gr = pytest.importorskip("gradio")
    from lib_faceid.ui.parts import leaves
    from lib_faceid.ui.services import Services
    from lib_faceid.ui.settings import used_by
    from lib_faceid.ui.units import build_units

    with gr.Blocks() as page:
        build_units("txt2img", Services(adapter_files=lambda: [file]), 1)
    (variant,) = [one for one in leaves(page) if str(one.elem_id).endswith("_variant")]
    assert "toy_plain" in [choice[0] if isinstance(choice, tuple) else choice for choice in variant.choices]
    used = used_by(METHOD.variants[0])
    assert used["structure"]
    assert not used["lora"]
    assert not used["clip_crop"]
