"""Our own page as a user starts it: `python -m lib_faceid ui` in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lib_faceid.miniature import published_name, write_adapter, write_checkpoint, write_clip_vision

VARIANTS = ("plusv2", "portrait", "faceid", "ip_adapter_plus")
PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 180
ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def write_random_models(models: Path) -> None:
    """Write a checkpoint, four adapters and CLIP ViT-H where the page looks for them: what they draw means nothing."""
    write_checkpoint(models / "Stable-diffusion" / "miniature_sd15.safetensors", "sd15")
    write_clip_vision(models / "clip_vision" / "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors")
    for variant in VARIANTS:
        write_adapter(models / "faceid" / f"{published_name(variant, 'sd15')}.bin", variant, "sd15")


@contextmanager
def own_page(folder: Path, *arguments: str) -> Generator[str, None, None]:
    """Serve the page from a folder, which is its home and holds its temporary files; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log.txt"
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "lib_faceid", "ui", "--port", str(port), *arguments],
            cwd=folder,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path, "HOME": str(folder), "TMPDIR": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(f"http://127.0.0.1:{port}", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()  # noqa: S310 - our own server
        except OSError:  # noqa: PERF203 - not there yet
            time.sleep(0.5)
        else:
            return
    raise AssertionError(f"the page did not come up:\n{log.read_text()}")
