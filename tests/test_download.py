"""Downloads, from a server on this machine that does everything a server should not."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from lib_faceid.app.offer import offer
from lib_faceid.errors import DownloadError, FileError, LicenceError
from lib_faceid.faces.packs import find_face_pack
from lib_faceid.models import official_hosts
from lib_faceid.models.archive import unpack
from lib_faceid.models.catalogue import Entry, Member, catalogue, entry
from lib_faceid.models.download import download
from lib_faceid.models.folders import Roots, find_adapters, find_clip_vision, place_of
from lib_faceid.models.licences import accept_licence, is_licence_accepted
from lib_faceid.models.official_hosts import open_official

DETECTOR, RECOGNISER = b"detector" * 40_000, b"recogniser" * 50_000
MODEL = bytes(range(256)) * 4_000  # four chunks
MEMBERS = {"det_10g.onnx": DETECTOR, "w600k_r50.onnx": RECOGNISER}


@pytest.fixture(autouse=True)
def _its_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow the server of these tests, which production does not."""
    monkeypatch.setattr(official_hosts, "PLAIN_HOSTS", {"127.0.0.1"})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, data in files.items():
            content.writestr(name, data)
    return buffer.getvalue()


PACK = archive({"1k3d68.onnx": b"not needed", "det_10g.onnx": DETECTOR, "../../buffalo_l/w600k_r50.onnx": RECOGNISER})


@dataclass
class Server:
    """What the server sends, and what it was asked."""

    url: str
    content: bytes = MODEL
    breaks_after: int | None = None
    claimed_size: int | None = None
    knows_ranges: bool = True
    range_shift: int = 0
    status: int = 200
    redirect: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)

    def model(self) -> Entry:
        return replace(entry("faceid_sd15"), url=f"{self.url}/model.bin", size_bytes=len(MODEL), sha256=sha256(MODEL))

    def pack(self, content: bytes = PACK) -> Entry:
        self.content = content
        members = tuple(Member(name, len(data), sha256(data)) for name, data in MEMBERS.items())
        facts = {"size_bytes": len(content), "sha256": sha256(content), "members": members}
        return replace(entry("buffalo_l"), url=f"{self.url}/buffalo_l.zip", **facts)


class Handler(BaseHTTPRequestHandler):
    state: Server

    def do_GET(self) -> None:
        state = self.state
        state.asked.append(self.headers["Range"])
        if state.redirect and not self.path.startswith("/storage"):
            self.send_response(302)
            self.send_header("Location", state.redirect)
            self._end(0)
        elif state.status != 200:
            self.send_response(state.status)
            self._end(0)
        else:
            self._send()

    def _send(self) -> None:
        state = self.state
        asked = self.headers["Range"] if state.knows_ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked and start >= len(state.content):
            self.send_response(416)
            self._end(0)
            return
        self.send_response(206 if asked else 200)
        if asked:
            first = start + state.range_shift
            self.send_header("Content-Range", f"bytes {first}-{len(state.content) - 1}/{len(state.content)}")
        body = state.content[start:]
        self._end(len(body) if state.claimed_size is None else state.claimed_size)
        self.wfile.write(body[: state.breaks_after])

    def _end(self, length: int) -> None:
        for name, value in {**self.state.headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    class OwnHandler(Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), OwnHandler) as http:
        OwnHandler.state = Server(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield OwnHandler.state
        http.shutdown()
        thread.join()


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A machine on which every licence was accepted."""
    roots = Roots(models=(tmp_path / "models",))
    for one in catalogue():
        accept_licence(one.licence, roots)
    return roots


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix not in (".json", ".lock")}


# ------------------------------------------------------------------------------------------------------- one whole file
def test_a_model_arrives_where_it_is_looked_for(server: Server, roots: Roots) -> None:
    steps: list[tuple[int, int | None]] = []
    done = download(server.model(), roots, lambda here, total: steps.append((here, total)))
    assert done.paths == (place_of(server.model(), roots),) == find_adapters(roots)
    assert done.paths[0].read_bytes() == MODEL
    assert done.sha256 == sha256(MODEL)
    assert "as published" in str(done)
    assert (steps[0], steps[-1]) == ((0, len(MODEL)), (len(MODEL), len(MODEL)))
    assert [here for here, _ in steps] == sorted(here for here, _ in steps)
    assert list(files_in(done.paths[0].parent)) == ["ip-adapter-faceid_sd15.bin"]  # and no .part


def test_what_is_there_is_not_fetched_again(server: Server, roots: Roots) -> None:
    first = download(server.model(), roots)
    assert download(server.model(), roots) == first
    assert len(server.asked) == 1


def test_a_damaged_file_is_replaced_by_the_published_one(server: Server, roots: Roots) -> None:
    place = place_of(server.model(), roots)
    place.write_bytes(MODEL[:-1])
    download(server.model(), roots)
    assert place.read_bytes() == MODEL


def test_just_the_two_files_of_a_pack_arrive(server: Server, roots: Roots) -> None:
    done = download(server.pack(), roots)
    folder = roots.models[0] / "insightface" / "models" / "buffalo_l"
    assert files_in(folder) == MEMBERS
    assert done.paths == tuple(folder / name for name in MEMBERS)
    assert find_face_pack(roots)
    assert download(server.pack(), roots) == done
    assert len(server.asked) == 1


@pytest.mark.parametrize("one", catalogue(), ids=lambda one: one.id)
def test_each_place_is_one_that_is_searched(one: Entry, tmp_path: Path) -> None:
    named = tmp_path / "named"
    for roots in (Roots((tmp_path / "models",)), Roots((tmp_path / "m",), face_models=named, clip_vision=named)):
        place = place_of(one, roots)
        for path in [place / member.name for member in one.members] or [place]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        found = {
            "adapter": find_adapters,
            "clip_vision": lambda roots: find_clip_vision(roots, one.id),
            "face_models": find_face_pack,
            "controlnet": find_adapters,  # among whose files it is looked for
        }[one.kind]
        assert found(roots)


# ------------------------------------------------------------------------------------------------------------ cut short
def test_a_download_that_broke_goes_on(server: Server, roots: Roots) -> None:
    server.breaks_after = 300_000
    with pytest.raises(DownloadError, match=r"ended after 300,000 of 1,024,000 bytes.*are kept; try again"):
        download(server.model(), roots)
    place = place_of(server.model(), roots)
    assert list(files_in(place.parent)) == [f"{place.name}.part"]
    server.breaks_after = None
    steps: list[int] = []
    download(server.model(), roots, lambda here, _: steps.append(here))
    assert server.asked == [None, "bytes=300000-"]
    assert steps[0] == 300_000
    assert place.read_bytes() == MODEL


@pytest.mark.parametrize("oddity", ["no ranges", "another range"])
def test_a_server_that_cannot_go_on_sends_all_again(oddity: str, server: Server, roots: Roots) -> None:
    place = place_of(server.model(), roots)
    place.with_name(f"{place.name}.part").write_bytes(MODEL[:1000])
    if oddity == "no ranges":
        server.knows_ranges = False
    else:
        server.range_shift = 7
    download(server.model(), roots)
    assert place.read_bytes() == MODEL
    assert server.asked == (["bytes=1000-"] if oddity == "no ranges" else ["bytes=1000-", None])


def test_a_part_that_is_whole_is_not_fetched_again(server: Server, roots: Roots) -> None:
    place = place_of(server.model(), roots)
    place.with_name(f"{place.name}.part").write_bytes(MODEL)
    assert download(server.model(), roots).paths == (place,)
    assert server.asked == []


@pytest.mark.parametrize("is_size_known", [True, False])
def test_a_part_that_is_too_long_is_begun_anew(is_size_known: bool, server: Server, roots: Roots) -> None:
    place = place_of(server.model(), roots)
    place.with_name(f"{place.name}.part").write_bytes(MODEL + b"more")
    one = server.model() if is_size_known else replace(server.model(), size_bytes=None)
    download(one, roots)
    assert place.read_bytes() == MODEL


def test_it_can_be_cancelled_and_goes_on_later(server: Server, roots: Roots) -> None:
    seen: list[int] = []
    with pytest.raises(DownloadError, match=r"FaceID for SD 1\.5 was cancelled\. 262,144 bytes are kept"):
        download(server.model(), roots, lambda here, _: seen.append(here), lambda: bool(seen and seen[-1]))
    download(server.model(), roots)
    assert server.asked == [None, "bytes=262144-"]
    assert place_of(server.model(), roots).read_bytes() == MODEL


def test_two_downloads_of_one_file_do_not_meet(server: Server, roots: Roots) -> None:
    second: list[str] = []

    def press_again(here: int, total: int | None) -> None:
        with pytest.raises(DownloadError) as error:
            download(server.model(), roots)
        second.append(str(error.value))

    download(server.model(), roots, press_again)
    assert "is being downloaded already" in second[0]


DOWNLOADER = """
import sys
from dataclasses import replace
from pathlib import Path
from lib_faceid.errors import DownloadError
from lib_faceid.models import official_hosts
from lib_faceid.models.catalogue import entry
from lib_faceid.models.download import download
from lib_faceid.models.folders import Roots
official_hosts.PLAIN_HOSTS.add("127.0.0.1")
url, size, sha256, folder = sys.argv[1:]
one = replace(entry("faceid_sd15"), url=url, size_bytes=int(size), sha256=sha256)
try:
    print(download(one, Roots((Path(folder),))))
except DownloadError as error:
    print("busy" if "being downloaded already" in str(error) else f"other: {error}")
"""


def test_two_programs_do_not_write_one_file(server: Server, roots: Roots) -> None:
    """One of them fetches it, the other is told, or finds it whole; neither installs what both wrote."""
    one = server.model()
    accept_licence(one.licence, roots)
    command = [sys.executable, "-c", DOWNLOADER, one.url, str(one.size_bytes), str(one.sha256), str(roots.models[0])]
    others: list[subprocess.Popen[str]] = []

    def start_others(_here: int, _total: int | None) -> None:
        if not others:
            others.extend(subprocess.Popen(command, text=True, stdout=subprocess.PIPE) for _ in range(2))
            assert [other.communicate(timeout=60)[0].strip() for other in others] == ["busy", "busy"]

    download(one, roots, start_others)
    assert place_of(one, roots).read_bytes() == MODEL
    after = subprocess.run(command, text=True, capture_output=True, timeout=60, check=True).stdout
    assert "as published" in after
    assert server.asked == [None]


def test_no_host_is_asked_without_encryption() -> None:
    """What the tests allow themselves is empty in the program."""
    code = "from lib_faceid.models import official_hosts as o; print(o.PLAIN_HOSTS, [h for h in o.STORAGE_HOSTS])"
    found = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True).stdout
    assert found.strip() == "set() ['github.com', 'huggingface.co']"


# ------------------------------------------------------------------------------------------------ not the official file
@pytest.mark.parametrize("kind", ["model", "pack"])
def test_a_file_of_another_hash_is_deleted(kind: str, server: Server, roots: Roots) -> None:
    one = server.model() if kind == "model" else server.pack()
    server.content = server.content[:-1] + b"!"
    with pytest.raises(FileError, match=rf"{one.file_name} has the SHA-256 .* was expected\. It was deleted"):
        download(one, roots)
    place = place_of(one, roots)
    assert files_in(place if one.members else place.parent) == {}


@pytest.mark.parametrize("content", [b"<html>Please log in to the network</html>", MODEL + b"and more"])
def test_a_file_of_another_size_is_refused_at_once(content: bytes, server: Server, roots: Roots) -> None:
    server.content = content
    with pytest.raises(FileError, match=rf"offers {len(content):,} bytes .* 1,024,000 were expected.*login page"):
        download(server.model(), roots)
    assert files_in(roots.models[0] / "faceid") == {}


def test_a_server_that_claims_more_than_it_sends(server: Server, roots: Roots) -> None:
    server.content, server.claimed_size = MODEL[:5000], len(MODEL)
    with pytest.raises(DownloadError, match=r"ended after 5,000 of 1,024,000 bytes"):
        download(server.model(), roots)


def test_an_archive_without_the_files_is_refused(server: Server, roots: Roots) -> None:
    one = server.pack(archive({"other.onnx": b"x"}))
    with pytest.raises(FileError, match=r"buffalo_l.zip .*does not hold det_10g.onnx and w600k_r50.onnx"):
        download(one, roots)


@pytest.mark.parametrize("lie", ["another file", "a longer file", "a broken file"])
def test_each_member_is_checked_too(lie: str, tmp_path: Path) -> None:
    data = {"another file": b"x" * len(RECOGNISER), "a longer file": RECOGNISER * 3, "a broken file": RECOGNISER}[lie]
    path = tmp_path / "pack.zip"
    content = bytearray(archive({"det_10g.onnx": DETECTOR, "w600k_r50.onnx": data}))
    if lie == "a broken file":
        content[len(DETECTOR) + 1000] ^= 1  # inside the second file
    path.write_bytes(content)
    members = [Member(name, len(whole), sha256(whole)) for name, whole in MEMBERS.items()]
    with pytest.raises(FileError):
        unpack(path, members, tmp_path)
    assert list(files_in(tmp_path)) == ["pack.zip"]


# -------------------------------------------------------------------------------------------- a hash nobody published
def test_the_server_s_own_hash_is_used_and_said(server: Server, roots: Roots) -> None:
    one = replace(server.model(), sha256=None, size_bytes=None)
    server.headers = {"X-Linked-ETag": f'"{sha256(MODEL)}"', "ETag": '"0x8D"'}
    done = download(one, roots)
    assert (done.sha256, done.is_hash_published) == (sha256(MODEL), False)
    assert "as the server said, none is published" in str(done)


def test_the_server_s_own_hash_is_held_against_it(server: Server, roots: Roots) -> None:
    server.headers = {"ETag": f'W/"{sha256(b"something else")}"'}
    with pytest.raises(FileError, match="It was deleted"):
        download(replace(server.model(), sha256=None), roots)


def test_a_file_that_nobody_can_check_is_refused(server: Server, roots: Roots) -> None:
    server.headers = {"ETag": '"5d41402abc4b2a76b9719d911017c592"'}
    with pytest.raises(FileError, match="the server names none"):
        download(replace(server.model(), sha256=None), roots)
    assert files_in(roots.models[0] / "faceid") == {}


# ------------------------------------------------------------------------------------------------------------ addresses
def test_a_redirect_to_the_host_s_own_storage_is_followed(server: Server, roots: Roots) -> None:
    server.redirect = f"{server.url}/storage/signed"
    server.headers = {"X-Linked-ETag": sha256(MODEL)}
    assert not download(replace(server.model(), sha256=None), roots).is_hash_published
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "address", ["http://localhost:9/x", "https://example.com/x", "https://127.0.0.1.example.com/", "http://[::1]/x"]
)
def test_a_redirect_elsewhere_is_refused(address: str, server: Server, roots: Roots) -> None:
    server.redirect = address
    with pytest.raises(DownloadError, match="which is not a host of its own"):
        download(server.model(), roots)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://github.com/deepinsight/insightface",
        "https://github.com:8443/x",
        "https://me@github.com/x",
        "https://github.com.example.com/x",
        "https://github.com:port/x",
        "https://10.0.0.1/x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "",
    ],
)
def test_only_official_addresses_are_asked(address: str) -> None:
    with pytest.raises(DownloadError, match="not an official address"):
        open_official(address)


def test_a_redirect_may_lead_to_the_storage_of_that_host_only() -> None:
    from lib_faceid.models.official_hosts import _is_allowed  # no server of theirs can be asked here

    storage = {
        "github.com": ["https://objects.githubusercontent.com/x", "https://release-assets.githubusercontent.com/x?a=b"],
        "huggingface.co": [
            "https://cdn-lfs.huggingface.co/x",
            "https://cdn-lfs-us-1.hf.co/x",
            "https://cas-bridge.xethub.hf.co/x",
            "https://huggingface.co/h94/other",
        ],
    }
    for host, addresses in storage.items():
        assert all(_is_allowed(address, host) for address in addresses)
        assert not any(_is_allowed(address.replace("https", "http"), host) for address in addresses)
        other = next(name for name in storage if name != host)
        assert not any(_is_allowed(address, other) for address in addresses)
        assert not _is_allowed("https://127.0.0.1/x", host)
        assert not _is_allowed("https://evilhf.co/x", host)


# -------------------------------------------------------------------------------------------------------------- trouble
@pytest.mark.parametrize(("status", "words"), [(404, "answered 404"), (503, "It asks to wait"), (403, "answered 403")])
def test_an_answer_that_is_none(status: int, words: str, server: Server, roots: Roots) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=rf"{words}.*Or put http.* yourself"):
        download(server.model(), roots)


def test_no_network_is_one_sentence_and_a_way_out(roots: Roots) -> None:
    one = replace(entry("buffalo_l"), url="http://127.0.0.1:9/buffalo_l.zip")
    with pytest.raises(DownloadError) as error:
        download(one, roots)
    text = str(error.value)
    assert "could not be reached" in text
    assert f"put det_10g.onnx and w600k_r50.onnx from {one.url} into {place_of(one, roots)} yourself" in text
    assert "\n" not in text


class Usage(NamedTuple):
    total: int = 10**9
    used: int = 10**9 - 1000
    free: int = 1000


def test_a_disk_too_small_is_noticed_before_anything_is_fetched(
    server: Server, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    with pytest.raises(
        DownloadError, match=r"The disk is full: .*\(1 MB are needed, 0 MB are free\)\. Make room\. Then try again\.$"
    ):
        download(server.model(), roots)
    assert server.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_up_meanwhile(server: Server, roots: Roots) -> None:
    place = place_of(server.model(), roots)
    place.with_name(f"{place.name}.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"The disk is full: FaceID for SD 1\.5 does not fit into"):
        download(server.model(), roots)


def test_a_folder_that_nobody_may_write_to(server: Server, roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "models")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DownloadError, match=r"cannot be written to \(Permission denied\)\. Check who may"):
        download(server.model(), roots)


# ------------------------------------------------------------------------------------------------------------- licences
def test_nothing_is_fetched_before_the_licence_is_accepted(server: Server, tmp_path: Path) -> None:
    roots = Roots(models=(tmp_path / "models",))
    one = server.model()
    with pytest.raises(LicenceError, match=r"exclusively for research.* Read it at https://huggingface\.co/h94"):
        download(one, roots)
    assert server.asked == []
    assert not (tmp_path / "models").exists()
    accept_licence(one.licence, roots)
    assert download(one, roots).paths


def test_a_licence_is_accepted_once_and_for_its_own_models(tmp_path: Path) -> None:
    roots = Roots(models=(tmp_path / "models",))
    adapters, faces = entry("plusv2_sdxl").licence, entry("buffalo_l").licence
    accept_licence(adapters, roots)
    assert is_licence_accepted(entry("faceid_sd15").licence, roots)
    assert not is_licence_accepted(faces, roots)
    accept_licence(faces, roots)
    assert is_licence_accepted(adapters, roots)
    assert not is_licence_accepted(replace(faces, sentence="Other terms."), roots)
    stored = json.loads((tmp_path / "models" / "faceid" / "accepted_licences.json").read_text("utf-8"))
    assert stored.keys() == {"ip-adapter-faceid", "insightface"}
    assert find_adapters(roots) == ()


@pytest.mark.parametrize("content", ["{", "[]", '{"insightface": 1}', "\ufeff"])
def test_a_list_of_licences_that_cannot_be_read_accepts_nothing(content: str, tmp_path: Path) -> None:
    roots = Roots(models=(tmp_path,))
    path = tmp_path / "faceid" / "accepted_licences.json"
    path.parent.mkdir()
    path.write_text(content, "utf-8")
    licence = entry("buffalo_l").licence
    assert not is_licence_accepted(licence, roots)
    accept_licence(licence, roots)
    assert is_licence_accepted(licence, roots)


# -------------------------------------------------------------------------------------------------------- at a terminal
class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nobody_is_asked_without_a_terminal(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    said: list[str] = []
    assert offer(server.pack(), Roots((tmp_path,)), say=said.append) is None
    assert server.asked == []
    assert "nobody is here to be asked" in said[-1]


@pytest.mark.parametrize(("answer", "accepted"), [("y\n", True), ("Yes\n", True), ("\n", False), ("no\n", False)])
def test_a_person_decides(
    answer: str, accepted: bool, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    said: list[str] = []
    one, roots = server.pack(), Roots((tmp_path,))
    assert bool(offer(one, roots, reason="There are none.", say=said.append)) == accepted
    assert is_licence_accepted(one.licence, roots) == accepted
    assert (find_face_pack(roots) is not None) == accepted
    for words in ("There are none.", one.sha256 or "", "non-commercial", str(place_of(one, roots))):
        assert words in said[0]


def test_yes_beforehand_and_a_bar(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert offer(server.model(), Roots((tmp_path,)), yes=True, say=lambda _: None)
    assert "faceid_sd15: 100%" in capsys.readouterr().err
