"""No photo stays in gradio's temporary folder, and nothing else is ever taken from it."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio")

from lib_faceid.app.private import StaysHere, private_folder  # noqa: E402
from lib_faceid.ui.parts import IS_GRADIO_4  # noqa: E402
from lib_faceid.ui.traces import Received, forget_shown, photo_gallery, upload_button  # noqa: E402

only_gradio_3 = pytest.mark.skipif(IS_GRADIO_4, reason="gradio 4 shares uploads: they stay where they are")


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return tmp_path / "gradio"


def uploaded(folder: Path, content: bytes = b"a photo") -> dict[str, Any]:
    path = folder / "0123abcd" / "me.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return {"name": str(path), "data": None, "is_file": True}


@only_gradio_3
def test_an_upload_is_read_and_taken_off_the_disk(uploads: Path) -> None:
    button = upload_button("Photos")
    assert button.preprocess([uploaded(uploads)]) == [Received("me.jpg", b"a photo")]
    assert list(uploads.iterdir()) == []
    assert button.preprocess([{"name": "me.jpg", "data": "data:image/jpeg;base64,YWJj"}]) == [
        Received("me.jpg", b"abc")
    ]
    assert button.preprocess(None) is None


@only_gradio_3
@pytest.mark.parametrize(
    "name", ["secret.txt", "gradio/secret.txt", "gradio/a/b/secret.txt", "gradio/a/../../x/secret.txt"]
)
def test_a_file_that_was_not_uploaded_is_neither_read_nor_deleted(uploads: Path, name: str) -> None:
    """A client says which file it means, and may say anything."""
    path = uploads.parent / name
    for folder in (path.parent, uploads / "a"):
        folder.mkdir(parents=True, exist_ok=True)
    path.write_text("kept")
    with pytest.raises(ValueError, match="not uploaded here"):
        upload_button("Photos").preprocess([{"name": str(path), "is_file": True}])
    assert path.read_text() == "kept"


@only_gradio_3
def test_a_link_out_of_the_folder_is_not_followed(uploads: Path) -> None:
    secret = uploads.parent / "secret.txt"
    uploads.mkdir()
    secret.write_text("kept")
    (uploads / "a").mkdir()
    (uploads / "a" / "link").symlink_to(secret)
    with pytest.raises(ValueError, match="not uploaded here"):
        upload_button("Photos").preprocess([{"name": str(uploads / "a" / "link"), "is_file": True}])
    assert secret.read_text() == "kept"


def test_thumbnails_go_when_others_are_shown_but_not_those_of_another_unit(tmp_path: Path) -> None:
    mine, shared, gone = (tmp_path / name for name in ("mine.png", "shared.png", "gone.png"))
    for path in (mine, shared):
        path.write_bytes(b"")
    one, two = photo_gallery(), photo_gallery()
    one.temp_files.update(map(str, (mine, shared, gone)))
    two.temp_files.add(str(shared))
    forget_shown(one)
    assert (mine.exists(), shared.exists(), one.temp_files) == (False, True, set())
    forget_shown(two)
    assert not shared.exists()


def test_the_pages_own_folder_goes_when_the_program_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    handler = signal.getsignal(signal.SIGTERM)
    with private_folder() as folder:
        assert gr.Image().temp_files == set()
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        (folder / "photo.png").write_bytes(b"")
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)
    assert not folder.exists()
    assert os.environ["GRADIO_TEMP_DIR"] == "before"
    assert signal.getsignal(signal.SIGTERM) == handler


# ----------------------------------------------------------------------------------------------------------- requests
PAGE = (
    b'<head><link rel="preconnect" href="https://fonts.example.com" />\n<link rel="stylesheet" href="/own.css">'
    b'<script src="https://cdn.example.com/x.js"\n async></script><script>const a = "https://x"</script></head>'
)


def answered(content_type: bytes, *parts: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """What arrives of an answer that an application gives in parts."""
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        length = str(sum(map(len, parts))).encode()
        headers = [(b"content-type", content_type), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})

    async def receive() -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    with ThreadPoolExecutor(1) as apart:  # Playwright keeps an event loop running in this thread
        apart.submit(asyncio.run, StaysHere(app)({"type": "http"}, receive, send)).result()
    return dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:])


def test_a_page_loads_nothing_from_another_machine() -> None:
    headers, body = answered(b"text/html; charset=utf-8", PAGE[:70], PAGE[70:])
    assert body == b'<head>\n<link rel="stylesheet" href="/own.css"><script>const a = "https://x"</script></head>'
    assert headers[b"content-length"] == str(len(body)).encode()
    assert b"default-src 'self'" in headers[b"content-security-policy"]


def test_what_is_no_page_goes_through_as_it_is() -> None:
    headers, body = answered(b"text/javascript", PAGE[:70], PAGE[70:])
    assert body == PAGE
    assert b"content-security-policy" not in headers
