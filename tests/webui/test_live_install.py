"""Extensions > Install from URL, as a user does it: from a repository on a web server to the first picture."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.webui.browsing import WAIT_MS, go_to, open_page
from tests.webui.forge_repos import FOLDER
from tests.webui.server import PROJECT, Server
from tests.webui.test_live_api import PREFIX, ask
from tests.webui.test_live_jobs import clean, difference

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

NAME = "sd-webui-faceid"


def git(folder: Path, *arguments: str) -> str:
    somebody = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(["git", *somebody, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a repository with the project's files as they are now."""
    folder = tmp_path_factory.mktemp("published")
    work, published = folder / "work", folder / f"{NAME}.git"
    for name in git(PROJECT, "ls-files", "-co", "--exclude-standard", "-z").split("\0"):
        if (PROJECT / name).is_file():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, work / name)
    git(work, "init", "-b", "main")
    git(work, "add", "-A")
    git(work, "commit", "-m", "The project")
    git(work, "clone", "--bare", str(work), str(published))
    git(published, "update-server-info")  # so that a server of plain files will do
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{NAME}.git"
        server.shutdown()


@pytest.fixture(scope="module")
def bare(webui_dir: Path, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A WebUI with models and without us, watched as by webui.sh: who asks for a restart gets one."""
    data = tmp_path_factory.mktemp("bare")
    (data / "extensions").mkdir()
    (data / "models").symlink_to(data_dir / "models")
    server = Server(webui_dir, data, environment={"SD_WEBUI_RESTART": "tmp/restart"})
    if server.kind.is_forge:  # which learns of the miniatures' sizes there
        (data / "extensions" / "faceid-probe").symlink_to(PROJECT / "tests" / "webui" / "probe")
        (data / FOLDER).symlink_to(data_dir / FOLDER)
    start(server)
    yield server
    server.stop()


def start(server: Server) -> None:
    server.start("--ckpt", str(server.data / "models/Stable-diffusion/mini_sd15.safetensors"))


def test_from_the_url_to_the_first_picture(
    bare: Server, address: str, browser: Browser, person: dict[str, Any]
) -> None:
    plain = clean(bare.txt2img())
    there = [one.name for one in (bare.data / "extensions").iterdir()]
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{bare.port}", wait_until="domcontentloaded")
    assert page.locator("#txt2img_faceid").count() == 0
    go_to(page, "Extensions", "Install from URL")
    page.get_by_label("URL for extension's git repository").fill(address)
    page.locator("#tab_extensions").get_by_role("button", name="Install", exact=True).click()
    page.locator("#extension_install_result").get_by_text("Installed into").wait_for(timeout=WAIT_MS)
    folder = bare.data / "extensions" / NAME
    assert {one.name for one in folder.parent.iterdir()} == {*there, NAME}
    go_to(page, "Extensions", "Installed")
    page.get_by_role("button", name="Apply and restart UI").click()
    assert bare.process is not None
    bare.process.wait(timeout=60)
    page.close()
    (bare.webui / "tmp" / "restart").unlink()  # as webui.sh does
    start(bare)

    page = open_page(browser, bare)
    page.locator("#txt2img_faceid_0_enabled input").wait_for(timeout=WAIT_MS)
    page.close()
    assert ask(bare, f"{PREFIX}/version")[0] == 200
    drawn = clean(bare.txt2img(person))
    assert difference(plain, drawn) > 5
    assert clean(bare.txt2img()).png == plain.png
    log = bare.log_path.read_text(errors="replace")
    assert "***" not in log, log  # what the WebUI puts in front of an extension's errors
    assert git(folder, "status", "--porcelain", "--branch") == "## main...origin/main", "an update would be refused"
