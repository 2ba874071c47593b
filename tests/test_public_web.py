"""Pictures from web addresses: public machines only, small, soon, and from the very address that was checked."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from lib_faceid.errors import PhotoError
from lib_faceid.pictures import public_web
from lib_faceid.pictures.photo import read_photo
from lib_faceid.pictures.public_web import fetch_public, is_public
from lib_faceid.pictures.requested import RequestPolicy, photo_from_request

URLS = RequestPolicy(are_urls_allowed=True)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(buffer, "PNG")
    return buffer.getvalue()


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


def test_a_dead_address_is_passed_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_web, "is_public", lambda _: True)
    resolve_to(monkeypatch, {"two.example": ["127.0.0.2", "127.0.0.1"]})  # the server listens at the latter alone
    made = connect_to(monkeypatch)
    assert fetch_public(f"http://two.example:{server.server_port}/a.png") == png()
    assert made == ["127.0.0.2", "127.0.0.1"]


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
