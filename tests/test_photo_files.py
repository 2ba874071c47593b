"""Files that browsers show and that are damaged, overloaded or called by another name: their pixels are read."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_faceid.errors import PhotoError
from lib_faceid.pictures import files
from lib_faceid.pictures.files import is_picture
from lib_faceid.pictures.photo import read_photo

NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
SMOOTH = np.asarray(Image.fromarray(NOISE).resize((400, 300), Image.Resampling.BICUBIC))
HEADER_END = 33  # of a PNG: its signature and IHDR
MIB = b"a" * 1_100_000


def saved(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes, wrong: int = 0) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


ASIDE = {  # what a PNG may hold besides its pixels
    "compressed text": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(MIB)),
    "international text": chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(MIB)),
    "plain text": chunk(b"tEXt", b"workflow\0" + 3 * MIB),
    "profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(MIB)),
    "broken profile": chunk(b"iCCP", b"icc\0\0" + b"no zlib"),
    "many texts": b"".join(chunk(b"zTXt", b"w%d\0\0" % i + zlib.compress(MIB[:1_000_000])) for i in range(70)),
    "wrong check sum": chunk(b"tEXt", b"a\0b", wrong=1),
    "short size": chunk(b"pHYs", b""),
    "short gamma": chunk(b"gAMA", b""),
    "short animation": chunk(b"acTL", b"\0\0"),
    "short frame": chunk(b"fcTL", b"\0\0"),
    "EXIF that is none": chunk(b"eXIf", b"junk"),
    "large EXIF": chunk(b"eXIf", b"MM\0*" + 2 * MIB),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
@pytest.mark.parametrize("name", ASIDE)
@pytest.mark.parametrize("is_behind", [False, True])
def test_what_a_png_holds_besides_its_pixels_is_left_out(name: str, is_behind: bool, tmp_path: Path) -> None:
    whole = saved(NOISE, "PNG")
    at = len(whole) - 12 if is_behind else HEADER_END
    content = whole[:at] + ASIDE[name] + whole[at:]
    (tmp_path / "a.png").write_bytes(content)
    for source in (content, tmp_path / "a.png"):
        assert np.array_equal(read_photo(source), NOISE)


def test_transparency_and_orientation_outlive_a_large_text() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(np.dstack([NOISE, np.full((64, 64), 0, np.uint8)]), "PNG", exif=exif)
    content = whole[:HEADER_END] + ASIDE["compressed text"] + whole[HEADER_END:]
    assert (read_photo(content) == 128).all()  # nothing but the grey behind it
    whole = saved(SMOOTH, "PNG", exif=exif)
    content = whole[:HEADER_END] + ASIDE["compressed text"] + whole[HEADER_END:]
    assert np.array_equal(read_photo(content), np.rot90(SMOOTH, -1))
    palette = Image.fromarray(SMOOTH).quantize(16)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", transparency=3)
    whole = buffer.getvalue()
    content = whole[:HEADER_END] + ASIDE["wrong check sum"] + whole[HEADER_END:]
    assert np.array_equal(read_photo(content), read_photo(whole))


def test_an_image_of_pillow_keeps_its_pixels_when_the_text_behind_them_is_too_large() -> None:
    whole = saved(NOISE, "PNG")
    content = whole[:-12] + ASIDE["compressed text"] + whole[-12:]
    assert np.array_equal(read_photo(Image.open(io.BytesIO(content))), NOISE)
    cut = Image.open(io.BytesIO(whole[:-3000]))
    for _ in range(2):  # also not the second time
        with pytest.raises(PhotoError, match="damaged or cut off"):
            read_photo(cut)


@pytest.mark.parametrize("missing", [1, 2, 4, 12, 20, 100])
@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True, "quality": 95})]
)
def test_a_missing_end(kind: str, options: dict[str, Any], missing: int) -> None:
    """Browsers show them; what is missing is a corner at most."""
    whole = saved(SMOOTH, kind, **options)
    photo = read_photo(whole[:-missing])
    same = (photo == read_photo(whole)).all(axis=-1)
    assert same[:-40].all() or options
    assert same.mean() > 0.9


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_more_than_a_twentieth_is_too_much(kind: str) -> None:
    whole = saved(SMOOTH, kind)
    for kept in (0.3, 0.6, 0.85):
        with pytest.raises(PhotoError, match="damaged or cut off"):
            read_photo(whole[: int(len(whole) * kept)])


def test_orientation_without_end_costs_the_orientation_only() -> None:
    """A float orientation may be infinite."""
    for number in (float("inf"), float("nan"), 1e300):
        entry = struct.pack(">HHII", 0x0112, 12, 1, 26) + bytes(4)  # one double
        exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1" + entry + struct.pack(">d", number)
        assert read_photo(saved(SMOOTH, "JPEG", exif=exif)).shape == SMOOTH.shape


def test_icons() -> None:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "ICO", sizes=[(16, 16), (64, 64)])
    assert np.array_equal(read_photo(buffer.getvalue()), NOISE)
    png = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", png) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(bomb), 22) + bomb
    with pytest.raises(PhotoError, match="20000x20000 px; at most 110 megapixels"):
        read_photo(icon)
    for cut in (4, 7, 20, 40):
        with pytest.raises(PhotoError):
            read_photo(buffer.getvalue()[:cut])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"  <?xml version='1.0'?><svg/>", "an SVG drawing"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"%PDF-1.7 and so on", "a PDF document"),
        (b"\0\x05\x16\x07\0\2\0\0Mac OS X        ", "AppleDouble"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1miaf", r"AVIF.*pip install pillow-avif-plugin"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", r"HEIF.*pip install pillow-heif"),
        (b"\xff\x0a\x12\x34 and so on", r"JXL.*pip install pillow-jxl-plugin"),
        (b"GIF88a and so on", "not a picture that can be read here"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(content: bytes, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AVIF", "HEIF", "JXL"):
        monkeypatch.delitem(Image.OPEN, name, raising=False)
    monkeypatch.setattr(files, "_load_plugins", lambda: None)
    with pytest.raises(PhotoError, match=words) as caught:
        read_photo(content)
    assert re.fullmatch(r"The picture is an? .*\.|The picture is (not|what) .*\.", str(caught.value))
    assert not is_picture(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "ICO"])
def test_the_first_bytes_tell_a_picture(kind: str) -> None:
    assert is_picture(saved(NOISE, kind)[:32])


def test_large_photos_are_read_whole(tmp_path: Path) -> None:
    """A hundred megapixels, without Pillow's warning of a bomb; every strip is where it belongs."""
    height, width = 10_000, 10_000
    rows = np.arange(height, dtype=np.uint32)[:, None]
    grey = Image.fromarray(((rows // 40 + np.arange(width, dtype=np.uint32) // 100) % 256).astype(np.uint8))
    grey.save(tmp_path / "large.bmp")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photo = read_photo(tmp_path / "large.bmp")
    assert photo.shape == (height, width, 3)
    for y, x in ((0, 0), (5_000, 3), (1_599, 9_999), (1_600, 0), (9_999, 9_999)):
        assert (photo[y, x] == (y // 40 + x // 100) % 256).all()


def test_a_plugin_that_is_installed_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def imported(name: str) -> Any:
        called.append(name)
        raise ImportError(name)

    real: Callable[[], None] = files._load_plugins
    monkeypatch.setattr("importlib.import_module", imported)
    for name in ("AVIF", "HEIF", "JXL"):
        monkeypatch.delitem(Image.OPEN, name, raising=False)
    real.cache_clear()  # pyright: ignore[reportFunctionMemberAccess]
    files._load_plugins()
    assert called == ["pillow_avif", "pillow_heif", "pillow_jxl"]
    real.cache_clear()  # pyright: ignore[reportFunctionMemberAccess]
