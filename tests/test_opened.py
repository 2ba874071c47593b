"""A photo or a saved person that was seen before is not read again, unless it is another one by now."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from unets import identity_of

from lib_faceid.errors import FileError, PhotoError
from lib_faceid.people import index as known
from lib_faceid.people.library import People
from lib_faceid.references import lazy_photo as opened
from lib_faceid.references.lazy_photo import Opened, digest


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Which sources were decoded."""
    sources: list[object] = []
    read = opened.read_photo
    monkeypatch.setattr(opened, "read_photo", lambda source: sources.append(source) or read(source))
    opened.forget_files()
    return sources


def picture(seed: int = 0, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 9, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_a_file_seen_before_is_not_decoded(decoded: list[object], tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(picture())
    hashes = {Opened(source).sha256 for source in (path, picture(), str(path), picture(kind="BMP"))}
    assert hashes == {digest(Opened(path).pixels)}
    assert len(decoded) == 3  # the file, its other format, and for its pixels


def test_a_file_with_another_picture_by_now_is_another_photo(decoded: list[object], tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    found: list[str] = []
    for seed in range(2):
        path.write_bytes(picture(seed))
        found.append(Opened(path).sha256)
    assert len(set(found)) == 2


def test_its_pixels_are_decoded_once_and_forgotten_with_it(decoded: list[object]) -> None:
    photo = Opened(picture())
    assert photo.sha256 == digest(photo.pixels)
    assert len(decoded) == 1
    opened.forget_files()
    assert Opened(picture()).sha256 == photo.sha256
    assert len(decoded) == 2


def test_pixels_are_what_they_are(decoded: list[object]) -> None:
    pixels = Opened(picture()).pixels
    assert Opened.decoded(pixels).pixels is pixels
    assert Opened(Image.fromarray(pixels)).sha256 == Opened.decoded(pixels).sha256 == digest(pixels)


@pytest.mark.parametrize("source", [b"", b"no picture", "a" * 5000, "missing.png", "with\0zero", Path()])
def test_what_is_no_photo_is_an_error_every_time(source: object) -> None:
    for _ in range(2):
        with pytest.raises(PhotoError):
            _ = Opened(source).sha256  # type: ignore[arg-type]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose files were read."""
    names: list[str] = []
    load = known._read
    monkeypatch.setattr(known, "_read", lambda path: names.append(path.stem) or load(path))
    known.forget_known()
    return names


def test_a_library_is_read_once_and_what_has_changed_again(read: list[str], tmp_path: Path) -> None:
    library = People(tmp_path)
    for number in range(3):
        library.save(str(number), identity_of(number))
    assert [library.most_alike(identity_of(2))[0][0] for _ in range(2)] == ["2", "2"]
    assert read == ["0", "1", "2"]
    library.save("0", identity_of(7), overwrite=True)
    assert library.most_alike(identity_of(7))[0] == ("0", pytest.approx(1))
    library.rename("1", "9")
    (tmp_path / "5.safetensors").write_bytes(b"damaged")
    alike = library.most_alike(identity_of(1))
    assert alike[0] == ("9", pytest.approx(1))
    assert len(alike) == 3
    assert read.count("2") == 1


def test_who_is_deleted_is_forgotten(read: list[str], tmp_path: Path) -> None:
    library = People(tmp_path)
    library.save("Ann", identity_of(1))
    assert library.made_from([identity_of(1).fingerprint[:8]])
    library.delete("Ann")
    assert library.made_from([identity_of(1).fingerprint[:8]]) is None
    assert not len(known._known)
    with pytest.raises(FileError):
        library.load("Ann")
