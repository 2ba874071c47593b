"""The engine `webui` of a batch against two WebUIs that run: the same files as one draws, also when one is killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webui.folder import write_data_folder
from tests.webui.server import PROJECT, Server

PICTURES = int(os.environ.get("FACEID_LIVE_BATCH", "24"))
"""Before a release: 300, and 20 rounds."""
ROUNDS = int(os.environ.get("FACEID_LIVE_BATCH_ROUNDS", "1"))
MANIFEST = (
    "people,prompt,seeds,steps,cfg,size,adapter\n{photo} || {photo}:0.4,a person,1-{each},4,5,128x128,{adapter}\n"
)
PATIENCE_S = 90 * 60


@pytest.fixture(scope="module")
def second(webui_dir: Path, tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Iterator[Server]:
    """Another WebUI with the same models, in a data folder of its own."""
    data = write_data_folder(tmp_path_factory.mktemp("second") / "data", data_folder)
    server = Server(webui_dir, data)
    start(server)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """A manifest of so many pictures, half of them of a weaker person."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "p.png").write_bytes((data_folder / "photos" / "astronaut.png").read_bytes())
    text = MANIFEST.format(photo="p.png", each=PICTURES // 2, adapter="ip-adapter-faceid_sd15")
    (folder / "m.csv").write_text(text)
    return folder


@pytest.fixture(scope="module")
def by_one(server: Server, folder: Path) -> dict[str, bytes]:
    """All files, of a run in which one WebUI drew alone."""
    assert batch(folder, "one", server).wait(PATIENCE_S) == 0
    found = files_of(folder / "one")
    assert len(found) == 2 * PICTURES, "a PNG and a JSON of each"
    assert len({data for name, data in found.items() if name.endswith(".png")}) == PICTURES
    return found


def start(server: Server) -> None:
    server.start("--ckpt", str(server.data / "models/Stable-diffusion/mini_sd15.safetensors"))


def batch(folder: Path, out: str, *servers: Server) -> subprocess.Popen[bytes]:
    """The command, as a user types it, on its way."""
    urls = [word for one in servers for word in ("--url", f"http://127.0.0.1:{one.port}")]
    command = [sys.executable, "-m", "lib_faceid", "batch", "run", "m.csv", "--out", out, "--engine", "webui", *urls]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "FACEID_MODELS": str(folder / "models")}
    return subprocess.Popen(command, cwd=folder, env=environment)


def files_of(out: Path) -> dict[str, bytes]:
    """Every picture and its JSON, by name."""
    return {path.name: path.read_bytes() for path in out.glob("pictures/*/*")}


def wait_for(out: Path, pictures: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until so many are drawn, and no longer than the command runs."""
    while len(list(out.glob("pictures/*/*.json"))) < pictures:
        assert process.poll() is None, "it ended before"
        time.sleep(0.05)


def test_two_draw_what_one_draws(server: Server, second: Server, folder: Path, by_one: dict[str, bytes]) -> None:
    assert batch(folder, "two", server, second).wait(PATIENCE_S) == 0
    assert files_of(folder / "two") == by_one


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_webui_is_killed_then_the_command(
    server: Server, second: Server, folder: Path, by_one: dict[str, bytes], seed: int
) -> None:
    """The picture of the one that is gone goes to the other at once. Started again, the command draws what is left."""
    dice, name = random.Random(seed), f"killed{seed}"
    process, out = batch(folder, name, server, second), folder / name
    first = dice.randrange(1, PICTURES // 2)
    wait_for(out, first, process)
    time.sleep(dice.random())  # anywhere in a picture
    assert second.process is not None
    second.process.kill()
    second.process.wait()
    wait_for(out, dice.randrange(first, PICTURES * 3 // 4), process)
    process.kill()
    process.wait()
    assert len(files_of(out)) < len(by_one), "some were left to draw"
    start(second)
    assert batch(folder, name, server, second).wait(PATIENCE_S) == 0
    assert files_of(out) == by_one
