"""Our own routes in a live WebUI: there with --api, listed at /docs, and behind --api-auth."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webui.server import Server

PREFIX = "/ip-adapter-faceid"
SECRET = {"Authorization": f"Basic {base64.b64encode(b'anna:pass').decode()}"}


def ask(server: Server, path: str, body: Any = None, method: str | None = None, **headers: str) -> tuple[int, Any]:
    """The status and the JSON of one answer."""
    data = None if body is None else json.dumps(body).encode()
    sent = {**headers, **({"Content-Type": "application/json"} if data else {})}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310 - our own loopback address
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_routes_answer(server: Server, photo: str) -> None:
    assert ask(server, f"{PREFIX}/version")[0] == 200
    status, setup = ask(server, f"{PREFIX}/status")
    assert status == 200
    assert "ip-adapter-faceid_sd15.safetensors" in json.dumps(setup)
    _, models = ask(server, f"{PREFIX}/models")
    assert models["auto"]["SD 1.5"] == "ip-adapter-faceid-plusv2_sd15.safetensors"
    _, found = ask(server, f"{PREFIX}/detect", {"image": photo})
    assert [face["number"] for face in found["faces"]] == [1]
    _, same = ask(server, f"{PREFIX}/compare", {"first": photo, "second": photo})
    assert same["cosine"] == pytest.approx(1, abs=1e-3)


def test_a_person_is_saved_drawn_and_deleted(server: Server, photo: str) -> None:
    status, saved = ask(server, f"{PREFIX}/faces", {"name": "Eileen", "images": [photo]})
    assert status == 200, saved
    assert "Eileen" in ask(server, f"{PREFIX}/faces")[1]["faces"]
    unit = {"adapter": "ip-adapter-faceid_sd15", "weight": 0.8}
    by_name, by_photo = (server.txt2img({**unit, **who}) for who in ({"person": "Eileen"}, {"image": photo}))
    assert (by_name.images[0] == by_photo.images[0]).all()
    assert ask(server, f"{PREFIX}/faces/Eileen", method="DELETE") == (200, {"deleted": "Eileen"})
    assert ask(server, f"{PREFIX}/faces")[1]["faces"] == []


def test_what_is_kept_in_memory_is_freed_and_comes_back(server: Server, person: dict[str, Any]) -> None:
    before = server.txt2img(person).png
    assert ask(server, f"{PREFIX}/unload", method="POST") == (200, {"unloaded": True})
    assert server.txt2img(person).png == before


def test_a_wrong_request_is_answered_as_everywhere(server: Server) -> None:
    status, answer = ask(server, f"{PREFIX}/check", {"units": [{"wieght": 1}]})
    assert (status, answer["detail"]) == (422, "Unit 0: unknown field 'wieght' (did you mean 'weight'?)")
    status, answer = ask(server, f"{PREFIX}/detect", {"image": "/etc/passwd.png"})
    assert (status, "no files are read by request" in answer["detail"]) == (422, True)


def test_the_docs_list_our_schema(server: Server) -> None:
    _, told = ask(server, "/openapi.json")
    body = told["paths"][f"{PREFIX}/check"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["units"]["items"]["properties"]["weight"]["maximum"] == 2


PRIVATE = "faceid/faces/Eileen.safetensors"


@pytest.fixture
def shared(webui_dir: Path, data_dir: Path, server: Server, photo: str) -> Iterator[Server]:
    """Another WebUI that others may open, whose gradio gives out all models; with a saved person."""
    assert ask(server, f"{PREFIX}/faces", {"name": "Eileen", "images": [photo]})[0] == 200
    one = Server(webui_dir, data_dir)
    one.start(
        *("--ckpt", str(data_dir / "models/Stable-diffusion/mini_sd15.safetensors")),
        *("--listen", "--server-name", "127.0.0.1", "--gradio-allowed-path", str(data_dir)),
    )
    yield one
    one.stop()
    assert ask(server, f"{PREFIX}/faces/Eileen", method="DELETE")[0] == 200


def fetched(server: Server, path: str) -> int:
    """The status of a file that is asked of gradio."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/file={path}", timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_saved_people_are_not_given_out_by_the_pages_server(shared: Server, data_dir: Path) -> None:
    models = data_dir / "models"
    (data_dir / "link").symlink_to(models)
    assert (models / PRIVATE).is_file()
    assert fetched(shared, str(models / "Stable-diffusion" / "mini_sd15.safetensors")) == 200  # the WebUI's own affair
    for way in (f"{models}/{PRIVATE}", f"{models}/VAE/../{PRIVATE}", f"{data_dir}/link/{PRIVATE}"):
        assert fetched(shared, way) == 403, way
        assert fetched(shared, way.replace("/", "%2F").replace(".", "%2E")) == 403, way
    assert "Eileen" in ask(shared, f"{PREFIX}/faces")[1]["faces"]  # the API is there as before


def test_no_page_of_another_origin_frees_the_memory(server: Server) -> None:
    status, answer = ask(server, f"{PREFIX}/unload", method="POST", Origin="http://evil.example")
    assert (status, "Content-Type: application/json" in answer["detail"]) == (415, True)


@pytest.fixture(scope="module")
def guarded(webui_dir: Path, data_dir: Path, server: Server) -> Iterator[Server]:
    """Another WebUI on the same models, whose API asks for a name and a password."""
    one = Server(webui_dir, data_dir)
    one.start(
        *("--ckpt", str(data_dir / "models/Stable-diffusion/mini_sd15.safetensors")),
        "--api-auth",
        "anna:pass",
        "--nowebui",
    )
    yield one
    one.stop()


def test_nobody_is_let_in_without_the_password(guarded: Server) -> None:
    for method, path in (("GET", "version"), ("GET", "faces"), ("DELETE", "faces/Anna"), ("POST", "unload")):
        assert ask(guarded, f"{PREFIX}/{path}", method=method)[0] == 401
    assert ask(guarded, f"{PREFIX}/version", **SECRET)[0] == 200
