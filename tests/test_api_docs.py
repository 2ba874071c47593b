"""Every command of docs/API.md is run here, against a server."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from api_server import Fixture, picture

from lib_faceid import external
from lib_faceid.api.routes import ROUTES, Route

PROJECT = Path(__file__).resolve().parent.parent
API_MD = (PROJECT / "docs" / "API.md").read_text("utf-8")
BASH, CURL = shutil.which("bash"), shutil.which("curl")
needs_curl = pytest.mark.skipif(not (BASH and CURL), reason="no bash or no curl here")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server with our routes on a free port."""
    server = uvicorn.Server(uvicorn.Config(Fixture().app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def run(commands: list[str], address: str, folder: Path) -> list[str]:
    """What each block of commands says, run one after the other in one folder."""
    for name, colour in (("me.jpg", (200, 90, 40)), ("other.jpg", (10, 20, 250))):
        (folder / name).write_bytes(base64.b64decode(picture(colour)))
    script = "\necho ====\n".join(["set -e", *commands]).replace("http://127.0.0.1:7860", address)
    done = subprocess.run(
        [str(BASH), "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr + done.stdout[-500:]
    return done.stdout.split("====\n")[1:]


@needs_curl
def test_the_commands_of_the_long_form(address: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", API_MD, re.DOTALL)
    answers = run(blocks, address, tmp_path)
    assert len(answers) == len(ROUTES) + 1  # the first block is the preparation
    assert '"cosine"' in "".join(answers)
    assert '"deleted":"Anna"' in "".join(answers)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.answer)
def test_every_route_has_its_paragraph(route: Route) -> None:
    assert f"### {route.method} {route.path}\n" in API_MD


def test_every_name_for_other_extensions_is_in_the_docs() -> None:
    part = API_MD.split("## From another extension")[1]
    missing = {name for name in external.__all__ if name.islower() and name not in part}
    assert not missing
