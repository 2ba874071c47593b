"""What a WebUI's start takes longer with us: our modules read, and three units built in each of its two tabs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.results import Figure, figure_of

__all__ = ["startup_figures"]

PROJECT = Path(__file__).resolve().parents[2]
TARGET_MS = 150
# A process of its own, in which everything is imported that a WebUI has imported by then.
PROGRAM = """
import time
from types import SimpleNamespace
import fastapi, gradio, numpy, PIL.Image, safetensors.torch, torch, transformers
from transformers import CLIPTextModel
began = time.perf_counter()
from lib_faceid.jobs import job as generation
from lib_faceid.hosts.webui import plot_axes as xyz
from lib_faceid.jobs.choosing import Models
from lib_faceid.models.folders import usual_roots
from lib_faceid.ui.host import services_for
from lib_faceid.ui.units import build_units
from lib_faceid.effects import lora
from lib_faceid.api import api
imported = time.perf_counter()
def missing(*_):
    raise RuntimeError
models = Models(lambda: [], missing, missing, missing)
host = SimpleNamespace(roots=usual_roots, base=lambda: None, models=lambda: models)
with gradio.Blocks():
    began_page = time.perf_counter()
    for tab in ("txt2img", "img2img"):
        build_units(tab, services_for(host))
    built = time.perf_counter()
print(imported - began, built - began_page)
"""


def startup_figures(runs: int) -> list[Figure]:
    """Return how long both take, in milliseconds: not at the very first start, when Python compiles our files."""
    _run()
    found = [[1000 * float(word) for word in _run().split()] for _ in range(runs)]
    section = "The start of a WebUI: milliseconds"
    return [
        figure_of(section, "our modules imported", [one[0] for one in found], "ms"),
        figure_of(section, "three units built in each of two tabs", [one[1] for one in found], "ms"),
        figure_of(section, "together", [sum(one) for one in found], "ms", target=TARGET_MS),
    ]


def _run() -> str:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    keeps_compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=PROJECT, env=keeps_compiled, check=True, capture_output=True, text=True)
    return done.stdout
