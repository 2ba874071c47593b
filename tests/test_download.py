"""The download of the face models, from a server on this machine."""

from __future__ import annotations

import hashlib
import io
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lib_faceid.download import BUFFALO_L, Pack, download_pack, offer_pack
from lib_faceid.errors import FileError, MissingModelError

DETECTOR, RECOGNISER = b"detector" * 40_000, b"recogniser" * 50_000


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, data in files.items():
            content.writestr(name, data)
    return buffer.getvalue()


GOOD = archive({"1k3d68.onnx": b"not needed", "det_10g.onnx": DETECTOR, "../buffalo_l/w600k_r50.onnx": RECOGNISER})


@dataclass
class Server:
    """What the server sends, and what it was asked."""

    content: bytes = GOOD
    breaks_after: int | None = None
    knows_ranges: bool = True
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""

    def pack(self, content: bytes = GOOD) -> Pack:
        sha256 = {"det_10g.onnx": DETECTOR, "w600k_r50.onnx": RECOGNISER}
        return replace(
            BUFFALO_L,
            url=self.url,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            files={name: hashlib.sha256(data).hexdigest() for name, data in sha256.items()},
        )


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and state.knows_ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.breaks_after])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/buffalo_l.zip"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def test_the_official_address_is_what_it_was() -> None:
    assert BUFFALO_L.url == ("https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip")
    assert BUFFALO_L.size_bytes == 288_621_354
    assert "289 MB" in BUFFALO_L.description
    assert "non-commercial" in BUFFALO_L.description


def test_just_the_two_files_arrive(server: Server, tmp_path: Path) -> None:
    steps: list[int] = []
    download_pack(tmp_path / "new" / "buffalo_l", server.pack(), lambda done, total: steps.append(done))
    found = {path.name: path.read_bytes() for path in (tmp_path / "new" / "buffalo_l").iterdir()}
    assert found == {"det_10g.onnx": DETECTOR, "w600k_r50.onnx": RECOGNISER}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert steps[-1] == len(GOOD)


def test_a_download_that_broke_goes_on(server: Server, tmp_path: Path) -> None:
    server.breaks_after = 300_000
    with pytest.raises(MissingModelError, match=r"300,000 of .* bytes are here; try again"):
        download_pack(tmp_path, server.pack())
    assert [path.name for path in tmp_path.iterdir()] == ["buffalo_l.zip.part"]
    server.breaks_after = None
    download_pack(tmp_path, server.pack())
    assert server.ranges == [None, "bytes=300000-"]
    assert (tmp_path / "w600k_r50.onnx").read_bytes() == RECOGNISER


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "buffalo_l.zip.part").write_bytes(GOOD[:1000])
    server.knows_ranges = False
    download_pack(tmp_path, server.pack())
    assert (tmp_path / "det_10g.onnx").read_bytes() == DETECTOR


def test_a_part_that_is_whole_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "buffalo_l.zip.part").write_bytes(GOOD)
    download_pack(tmp_path, server.pack())
    assert server.ranges == []


def test_another_file_is_deleted(server: Server, tmp_path: Path) -> None:
    server.content = GOOD[:-1] + b"!"
    with pytest.raises(FileError, match=r"buffalo_l.zip has the SHA-256 .* was expected. It was deleted"):
        download_pack(tmp_path, server.pack())
    assert list(tmp_path.iterdir()) == []


def test_an_archive_without_the_files_is_refused(server: Server, tmp_path: Path) -> None:
    server.content = archive({"other.onnx": b"x"})
    with pytest.raises(FileError, match=r"does not hold det_10g.onnx and w600k_r50.onnx"):
        download_pack(tmp_path, server.pack(server.content))


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    pack = replace(BUFFALO_L, url="http://127.0.0.1:9/buffalo_l.zip")
    with pytest.raises(MissingModelError, match="could not be downloaded") as error:
        download_pack(tmp_path, pack)
    assert "\n" not in str(error.value)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nobody_is_asked_without_a_terminal(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    said: list[str] = []
    assert not offer_pack(tmp_path, yes=False, pack=server.pack(), say=said.append)
    assert server.ranges == []
    assert "nobody is here to be asked" in said[-1]


@pytest.mark.parametrize(("answer", "accepted"), [("y\n", True), ("Yes\n", True), ("\n", False), ("no\n", False)])
def test_a_person_decides(
    answer: str, accepted: bool, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    said: list[str] = []
    assert offer_pack(tmp_path, yes=False, pack=server.pack(), say=said.append) == accepted
    assert (tmp_path / "det_10g.onnx").exists() == accepted
    assert server.pack().sha256 in said[0]


def test_yes_beforehand(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert offer_pack(tmp_path, yes=True, pack=server.pack(), say=lambda _: None)
