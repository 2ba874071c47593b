"""Our own page in a real Chromium, with miniatures: `python -m lib_faceid ui` as a user starts it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROJECT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 180
ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the running page lives, with its temporary files."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def address(browser: Browser, face_models: Path, folder: Path) -> Iterator[str]:
    """The address of the running page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log.txt"
    command = [sys.executable, "-m", "lib_faceid", "ui", "--port", str(port), "--face-models", str(face_models)]
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, "--out", str(folder)],
            cwd=folder,  # where no models lie
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
        assert not list(folder.glob("faceid-page-*")), "photos stay on the disk"
        shutil.rmtree(folder, ignore_errors=True)  # the miniatures are large


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


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh page at 1400 px, the accordion open. An error in its own scripts fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, permissions=["clipboard-write"])
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address, wait_until="domcontentloaded")
    page.locator("#txt2img_faceid .label-wrap").first.click(timeout=60_000)
    page.locator("#txt2img_faceid_0_enabled input").wait_for()
    yield page
    context.close()
    assert not errors


@pytest.fixture
def photos(data_folder: Path) -> Path:
    return data_folder / "photos"
