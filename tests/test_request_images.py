"""What a request may name as a picture: nothing by default, and never more than the policy says."""

from __future__ import annotations

import base64
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_faceid import public_web, request_images
from lib_faceid.errors import PhotoError
from lib_faceid.photo import read_photo
from lib_faceid.public_web import fetch_public, is_public
from lib_faceid.request_images import RequestPolicy, photo_from_request

URLS = RequestPolicy(are_urls_allowed=True)


def png(size_px: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size_px, size_px), (200, 10, 10)).save(buffer, "PNG")
    return buffer.getvalue()


# --------------------------------------------------------------------------------------------------- by default


@pytest.mark.parametrize("form", ["{}", "data:image/png;base64,{}", "  {}\n", "DATA:image/png;BASE64,{}"])
def test_base64_and_data_urls_are_pictures(form: str, no_network: None) -> None:
    assert photo_from_request(form.format(base64.b64encode(png()).decode())) == png()


def test_a_jpeg_that_begins_like_a_path_is_base64() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    text = base64.b64encode(buffer.getvalue()).decode()
    assert text.startswith("/9j/")
    assert photo_from_request(text, RequestPolicy(folder=Path.cwd())) == buffer.getvalue()


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 3), np.uint8), Image.new("RGB", (4, 4)), png()])
def test_pixels_are_given_back(pixels: Any) -> None:
    assert photo_from_request(pixels) is pixels


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd.png",
        "photo.png",
        "../photo.png",
        "C:\\photo.png",
        "\\\\server\\share\\photo.png",
        "~/photo.png",
        "file:///etc/passwd",
        "http://example.com/a.png",
        "HTTPS://example.com/a.png",
        "ftp://example.com/a.png",
    ],
)
def test_nothing_is_opened_by_default(text: str, no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((os, "open"), (request_images, "fetch_public"), (request_images, "_read_inside")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("something was opened"))
    with pytest.raises(PhotoError, match="Send the picture itself"):
        photo_from_request(text)


@pytest.mark.parametrize("text", [None, 5, True, ["a"], {"image": "a"}, 1.5])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(PhotoError, match="a text was expected"):
        photo_from_request(text)


@pytest.mark.parametrize(
    "text", ["", "====", "\0", "\ud800", "data:", "data:image/png,x", "ümlaut", "a" * 9, "x." * 9999]
)
@pytest.mark.parametrize("policy", [RequestPolicy(), RequestPolicy(Path.cwd(), are_urls_allowed=True)])
def test_any_text_is_a_picture_or_a_sentence(text: str, policy: RequestPolicy) -> None:
    with pytest.raises(PhotoError):
        read_photo(photo_from_request(text, policy))


def test_too_much_base64_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base64, "b64decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(PhotoError, match="larger than 20 MiB"):
        photo_from_request("A" * (28 << 20))


# ---------------------------------------------------------------------------------------------------------- paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An allowed folder with one photo, beside a secret one."""
    (tmp_path / "allowed" / "people").mkdir(parents=True)
    (tmp_path / "allowed" / "people" / "anna.png").write_bytes(png())
    (tmp_path / "secret.png").write_bytes(png(9))
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed-not" / "other.png").write_bytes(png(9))
    return tmp_path / "allowed"


def test_files_of_the_folder_are_read(folder: Path) -> None:
    policy = RequestPolicy(folder=folder)
    for text in ("people/anna.png", str(folder / "people" / "anna.png"), "people/../people/./anna.png"):
        assert photo_from_request(text, policy) == png()


def test_a_folder_that_is_a_link_is_read_by_both_names(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    for base in (link, folder):
        assert photo_from_request(str(base / "people" / "anna.png"), RequestPolicy(folder=link)) == png()


def test_links_inside_the_folder_are_followed_inside_only(folder: Path) -> None:
    (folder / "inner.png").symlink_to(folder / "people" / "anna.png")
    (folder / "outer.png").symlink_to(folder.parent / "secret.png")
    (folder / "up").symlink_to(folder.parent)
    (folder / "round.png").symlink_to(folder / "round.png")
    policy = RequestPolicy(folder=folder)
    assert photo_from_request("inner.png", policy) == png()
    for text in ("outer.png", "up/secret.png", "up/allowed-not/other.png"):
        with pytest.raises(PhotoError, match="not in the folder"):
            photo_from_request(text, policy)
    with pytest.raises(PhotoError):
        photo_from_request("round.png", policy)


@pytest.mark.parametrize("name", ["secret.png", "allowed-not/other.png", "nowhere.png", "allowed-not/nowhere.png"])
def test_what_is_outside_gives_one_answer_whether_it_is_there_or_not(folder: Path, name: str) -> None:
    said = set[str]()
    for text in (str(folder.parent / name), f"../{name}", f"people/../../{name}"):
        with pytest.raises(PhotoError) as caught:
            photo_from_request(text, RequestPolicy(folder=folder))
        said.add(str(caught.value).replace(Path(name).name, "X"))
    assert said == {
        "X is not in the folder that requests may read. Send the picture itself, as base64 or as a data URL."
    }


@pytest.mark.parametrize(
    "text", ["a\0.png", "\ud800.png", "x" * 300 + ".png", "/" * 4000 + "a.png", "..", ".", "people."]
)
def test_odd_paths_give_a_sentence(folder: Path, text: str) -> None:
    with pytest.raises(PhotoError):
        photo_from_request(text, RequestPolicy(folder=folder))


def test_pipes_folders_large_and_missing_files_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    with (folder / "large.png").open("wb") as file:
        file.truncate((20 << 20) + 1)
    for name, why in (
        ("pipe", "not a file"),
        ("folder", "not a file"),
        ("large", "20 MiB"),
        ("none", "does not exist"),
    ):
        with pytest.raises(PhotoError, match=why):
            photo_from_request(f"{name}.png", RequestPolicy(folder=folder))


def test_a_folder_that_is_gone_gives_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="cannot be opened"):
        photo_from_request("a.png", RequestPolicy(folder=tmp_path / "gone"))


# ------------------------------------------------------------------------------------------------------ addresses

PRIVATE = [
    "0.0.0.0",  # noqa: S104 - refused, not listened on
    "10.0.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:db8::1",
    "2001::1",
]
PUBLIC = ["93.184.216.34", "1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///a.png",
        "http://[::1",
        "http://host:port/a.png",
        "http://host:99999/a.png",
        "http://user:pass@host/a.png",
        "http://user@host/a.png",
        "http://" + "a" * 70 + ".example/a.png",
        "http://a..b/a.png",
        "https://\ud800/",
    ],
)
def test_odd_addresses_are_refused_before_the_network_is_asked(url: str, no_network: None) -> None:
    with pytest.raises(PhotoError, match="no web address"):
        photo_from_request(url, URLS)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://2130706433/", "http://0x7f.1/", "http://0/"],
)
def test_this_machine_cannot_be_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(PhotoError, match=r"this machine or one of its own network|was not found"):
        fetch_public(url)


def test_one_private_address_among_several_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, {"mixed.example": ["93.184.216.34", "10.0.0.1"]})
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(PhotoError, match=r"mixed\.example is this machine or one of its own network"):
        fetch_public("http://mixed.example/a.png")


# ------------------------------------------------------------------------- a server on this machine plays the world


class Server(ThreadingHTTPServer):
    """Answers by path from `answers`; keeps what it was asked."""

    daemon_threads = True
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]]
    asked: list[tuple[str, str]]


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))
        self.server.answers[self.path](self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose address counts as public, under the names of *.example."""
    with Server(("127.0.0.1", 0), Handler) as one:
        one.answers, one.asked = {"/a.png": send(png())}, []
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(public_web, "is_public", lambda address: address == "127.0.0.1")
        yield one
        one.shutdown()
        thread.join()


def void(_: object) -> None:
    """Nothing, whatever was done."""


def send(content: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def resolve_to(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Let names resolve to addresses; which names were asked for is in the list that is given back."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host[0].isdigit() and host not in names:
            return real(host, port, *_, **__)  # an address, when it is connected to
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr(public_web.socket, "getaddrinfo", getaddrinfo)
    return asked


def connect_to(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep where connections really go."""
    made: list[str] = []
    create = socket.create_connection

    def create_connection(address: tuple[str, int], *args: Any) -> socket.socket:
        made.append(address[0])
        return create(address, *args)

    monkeypatch.setattr(public_web.socket, "create_connection", create_connection)
    return made


def test_a_public_picture_arrives(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    url = f"http://127.0.0.1:{server.server_port}/a.png"
    assert photo_from_request(url, URLS) == png()
    assert server.asked == [(f"127.0.0.1:{server.server_port}", "/a.png")]


def test_the_address_that_was_checked_is_the_one_connected_to(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that changes its answer after the check (rebinding) is asked once only."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    names = type("Names", (dict,), {"__getitem__": lambda self, host: next(answers)})({"moving.example": []})
    asked, made = resolve_to(monkeypatch, names), connect_to(monkeypatch)
    assert fetch_public(f"http://moving.example:{server.server_port}/a.png") == png()
    assert (asked, made) == (["moving.example"], ["127.0.0.1"])
    assert server.asked == [(f"moving.example:{server.server_port}", "/a.png")]


def test_paths_are_encoded_once(server: Server) -> None:
    server.answers["/%C3%A4%20b.png?q=%C3%BC&x=%20"] = send(png())
    assert fetch_public(f"http://127.0.0.1:{server.server_port}/ä%20b.png?q=ü&x=%20") == png()


def test_redirects_are_followed_and_checked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    port = server.server_port
    server.answers["/moved"] = send(b"", 302, Location="/a.png")
    server.answers["/inwards"] = send(b"", 301, Location=f"http://inside.example:{port}/a.png")
    server.answers["/file"] = send(b"", 302, Location="file:///etc/passwd")
    server.answers["/round"] = send(b"", 302, Location="/round")
    server.answers["/nowhere"] = send(b"", 302)
    resolve_to(monkeypatch, {"127.0.0.1": ["127.0.0.1"], "inside.example": ["10.0.0.1"]})
    assert fetch_public(f"http://127.0.0.1:{port}/moved") == png()
    server.asked.clear()
    for path, why in (
        ("inwards", r"inside\.example is this machine or one of its own network"),
        ("file", "no web address"),
        ("round", "redirected more than 3 times"),
        ("nowhere", "redirected more than 3 times"),
    ):
        with pytest.raises(PhotoError, match=why):
            fetch_public(f"http://127.0.0.1:{port}/{path}")
    assert [path for _, path in server.asked] == ["/inwards", "/file", *["/round"] * 4, *["/nowhere"] * 4]


@pytest.mark.parametrize("status", [204, 206, 304, 400, 404, 500])
def test_what_is_no_answer_is_said(server: Server, status: int) -> None:
    server.answers["/x"] = send(b"", status)
    with pytest.raises(PhotoError, match=f"answered {status} instead"):
        fetch_public(f"http://127.0.0.1:{server.server_port}/x")


def test_large_pictures_are_not_read_to_the_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_web, "MAX_BYTES", 1 << 20)
    sent: list[int] = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while len(sent) < 1000:
                sent.append(handler.wfile.write(bytes(1 << 16)))
        except OSError:
            pass

    server.answers["/x"] = endless
    with pytest.raises(PhotoError, match="larger than 1 MiB"):
        fetch_public(f"http://127.0.0.1:{server.server_port}/x")
    assert len(sent) < 1000


@pytest.mark.parametrize("where", ["before", "headers", "body"])
def test_slow_servers_are_left(server: Server, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then never ends a wait for silence: the whole has a limit too."""
    monkeypatch.setattr(public_web, "TOTAL_SECONDS", 0.4)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        line = {"before": b"", "headers": b"HTTP/1.0 200 OK\r\nX: ", "body": b"HTTP/1.0 200 OK\r\n\r\n"}[where]
        try:
            handler.wfile.write(line)
            for _ in range(100):
                time.sleep(0.05)
                handler.wfile.write(b"" if where == "before" else b"a")
        except OSError:
            pass

    server.answers["/x"] = drip
    began = time.monotonic()
    with pytest.raises(PhotoError, match="took too long"):
        fetch_public(f"http://127.0.0.1:{server.server_port}/x")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "junk", [b"", b"junk\r\n\r\n", b"HTTP/1.0 999999 x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_no_http_gives_a_sentence(server: Server, junk: bytes) -> None:
    server.answers["/x"] = lambda handler: void(handler.wfile.write(junk))
    with pytest.raises(PhotoError):
        read_photo(fetch_public(f"http://127.0.0.1:{server.server_port}/x"))


def test_encryption_is_not_faked(server: Server) -> None:
    """A plain server behind https:// gives a sentence: the handshake fails, and nothing is asked."""
    with pytest.raises(PhotoError, match="could not be read from"):
        fetch_public(f"https://127.0.0.1:{server.server_port}/a.png")
    assert server.asked == []


def test_nobody_listens(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(PhotoError, match="could not be read from"):
        fetch_public(f"http://127.0.0.1:{port}/a.png")


def test_messages_name_the_host_and_not_the_rest(server: Server) -> None:
    server.answers["/private?token=abc"] = send(b"", 404)
    with pytest.raises(PhotoError) as caught:
        fetch_public(f"http://127.0.0.1:{server.server_port}/private?token=abc")
    assert "private" not in str(caught.value)
    assert "abc" not in str(caught.value)
