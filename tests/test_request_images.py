"""What a request may name as a picture: nothing by default, and never more than the policy says."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_faceid.errors import PhotoError
from lib_faceid.pictures import requested as request_images
from lib_faceid.pictures.photo import read_photo
from lib_faceid.pictures.requested import RequestPolicy, photo_from_request


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
