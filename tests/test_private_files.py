"""What gradio's own /file= gives out, and that saved people are not among it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

gr = pytest.importorskip("gradio")

from gradio.routes import App  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from lib_faceid.api.private_files import guard, is_inside, private_folders  # noqa: E402
from lib_faceid.models.folders import Roots  # noqa: E402

SECRET = b"the face of Anna"


@pytest.fixture
def webui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a saved person, another file, and links as users have them."""
    folder = tmp_path / "webui"
    faces = folder / "models" / "faceid" / "faces"
    faces.mkdir(parents=True)
    (faces / "Anna.safetensors").write_bytes(SECRET)
    (folder / "outputs").mkdir()
    (folder / "outputs" / "picture.png").write_bytes(b"a picture")
    (folder / "elsewhere").symlink_to(folder / "models")
    (folder / "outputs" / "anna.bin").symlink_to(faces / "Anna.safetensors")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def client(webui: Path) -> Iterator[Any]:
    with gr.Blocks(analytics_enabled=False) as page:
        gr.HTML("a page")
    app = App.create_app(page)
    # gradio 4 gives out what somebody allowed, and no longer the working folder.
    page.allowed_paths = [str(webui)] if gr.__version__ >= "4" else page.allowed_paths
    with TestClient(app) as client:
        assert client.get("/").status_code == 200  # it is running already, as in the WebUI
        yield client


def ways(webui: Path) -> list[str]:
    """How somebody may spell the file: gradio's own list of blocked paths lets all but the first two through."""
    inside = "models/faceid/faces/Anna.safetensors"
    return [
        inside,
        str(webui / inside),
        f"{webui}/outputs/../{inside}",
        f"{webui}//outputs/.././{inside}",
        f"elsewhere/../{inside}",
        "elsewhere/faceid/faces/Anna.safetensors",
        "outputs/anna.bin",
        "outputs/../outputs/anna.bin",
    ]


def answers(client: Any, webui: Path) -> dict[str, tuple[int, bytes]]:
    found: dict[str, tuple[int, bytes]] = {}
    for way in ways(webui):
        for prefix in ("/file=", "/file/"):
            answer = client.get(prefix + quote(way, safe="").replace(".", "%2E"))
            found[prefix + way] = (answer.status_code, answer.content)
    return found


def test_a_saved_person_is_not_served_however_the_file_is_spelled(client: Any, webui: Path) -> None:
    before = answers(client, webui)
    assert [way for way, (status, _) in before.items() if status == 200], "gradio serves none of them any more"
    guard(client.app, lambda: private_folders(Roots(models=(webui / "models",))))
    after = answers(client, webui)
    assert {way: answer for way, answer in after.items() if SECRET in answer[1] or answer[0] < 400} == {}
    assert {status for status, _ in after.values()} <= {403, 404}
    assert client.head("/file=models/faceid/faces/Anna.safetensors").status_code in (403, 405)


def test_everything_else_is_served_as_before(client: Any, webui: Path) -> None:
    guard(client.app, lambda: private_folders(Roots(models=(webui / "models",))))
    assert client.get("/").status_code == 200
    answer = client.get("/file=outputs/picture.png")
    assert (answer.status_code, answer.content) == (200, b"a picture")
    assert client.get("/file=outputs/none.png").status_code == 404
    assert client.get("/config").status_code == 200


def test_other_capitals_of_the_same_folder(
    client: Any, webui: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On Windows and macOS `Models` is `models`: the same folder, which only its status tells."""
    (tmp_path / "same").symlink_to(webui / "models" / "faceid")
    real = os.path.realpath
    other = f"{tmp_path}/same"
    monkeypatch.setattr(os.path, "realpath", lambda path: other if str(path) == other else real(path))
    guard(client.app, lambda: private_folders(Roots(models=(webui / "models",))))
    assert client.get(f"/file={other}").status_code == 403


def test_a_folder_that_is_not_there_keeps_nothing_back(client: Any, webui: Path) -> None:
    guard(client.app, lambda: [webui / "none", Path("\0")])
    assert client.get("/file=outputs/picture.png").status_code == 200
    assert not is_inside("a\0b", [webui])


def test_the_guard_asks_for_the_folders_at_each_request(client: Any, webui: Path) -> None:
    folders: list[Path] = []
    guard(client.app, lambda: folders)
    assert client.get("/file=outputs/picture.png").status_code == 200
    folders.append(webui / "outputs")
    assert client.get("/file=outputs/picture.png").status_code == 403
