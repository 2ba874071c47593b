"""Every kind of picture file comes out as upright RGB; every bad one as one sentence."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from lib_faceid.errors import PhotoError
from lib_faceid.pictures.photo import MAX_BASE64_BYTES, MAX_PIXELS, decode_base64, photo_name, read_photo

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
QUARTERS = np.array([[RED, GREEN], [BLUE, GREY]], dtype=np.uint8).repeat(8, axis=0).repeat(16, axis=1)  # 16x32


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def assert_quarters(image_rgb: np.ndarray, tolerance: int = 0) -> None:
    assert image_rgb.dtype == np.uint8
    assert image_rgb.shape == QUARTERS.shape
    assert np.abs(image_rgb.astype(int) - QUARTERS).max() <= tolerance


# --------------------------------------------------------------------------------------------- kinds of input
def test_every_kind_of_source_gives_the_same_array(tmp_path: Path) -> None:
    path = save(Image.fromarray(QUARTERS), tmp_path / "quarters.png")
    text = base64.b64encode(path.read_bytes()).decode()
    for source in (path, str(path), path.read_bytes(), Image.open(path), QUARTERS, decode_base64(text)):
        assert_quarters(read_photo(source))


def test_the_array_is_a_copy() -> None:
    photo = read_photo(QUARTERS)
    photo[:] = 0
    assert QUARTERS.any()


@pytest.mark.parametrize("text", ["data:image/png;base64,{}", "DATA:image/png;charset=x;BASE64,{}", " {}\n"])
def test_base64_with_and_without_a_header(text: str, tmp_path: Path) -> None:
    content = save(Image.fromarray(QUARTERS), tmp_path / "a.png").read_bytes()
    encoded = base64.encodebytes(content).decode()  # with line breaks
    assert decode_base64(text.format(encoded)) == content
    assert decode_base64(text.format(encoded.replace("=", ""))) == content


# ---------------------------------------------------------------------------------------------------- formats
@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "gif", "webp", "jpg", "jp2"])
def test_formats(suffix: str, tmp_path: Path) -> None:
    lossy = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}
    if not features.check({"webp": "webp", "jp2": "jpg_2000"}.get(suffix, "zlib")):
        pytest.skip(f"this Pillow cannot write {suffix}")
    path = save(Image.fromarray(QUARTERS), tmp_path / f"a.{suffix}", **lossy.get(suffix, {}))
    assert_quarters(read_photo(path), tolerance=6 if suffix == "jpg" else 0)


def test_the_extension_does_not_matter(tmp_path: Path) -> None:
    path = save(Image.fromarray(QUARTERS), tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert_quarters(read_photo(path))


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.fromarray(QUARTERS), Image.new("RGB", (32, 16), "black")]
    assert_quarters(read_photo(save(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_orientation(orientation: int, suffix: str, tmp_path: Path) -> None:
    """The tag says how the camera was held; each of the eight is undone."""
    undo = {
        1: QUARTERS, 2: QUARTERS[:, ::-1], 3: QUARTERS[::-1, ::-1], 4: QUARTERS[::-1],
        5: QUARTERS.transpose(1, 0, 2), 6: np.rot90(QUARTERS, 1), 7: QUARTERS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(QUARTERS, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation]))
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    path = save(stored, tmp_path / f"a.{suffix}", exif=exif, **options)
    assert_quarters(read_photo(path), tolerance=6)
    assert_quarters(read_photo(Image.open(path)), tolerance=6)


@pytest.mark.filterwarnings("ignore:(Corrupt EXIF|Truncated File):UserWarning")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_damaged_exif_costs_only_the_orientation(suffix: str, tmp_path: Path) -> None:
    for exif in (b"Exif\0\0MM\0", b"Exif\0\0M?\0*\0\0\0\x08\0\1", b"Exif\0\0MM\0*\0\0\0\x08\0\5\1\x12"):
        path = save(Image.fromarray(QUARTERS), tmp_path / f"a.{suffix}", exif=exif, quality=100)
        assert read_photo(path).shape == QUARTERS.shape


# ------------------------------------------------------------------------------------------------------ modes
def test_alpha_is_laid_on_mid_grey(tmp_path: Path) -> None:
    rgba = np.dstack([QUARTERS, np.full(QUARTERS.shape[:2], 255, np.uint8)])
    rgba[8:, :16, 3] = 0  # the blue quarter becomes see-through
    expected = QUARTERS.copy()
    expected[8:, :16] = GREY
    for source in (save(Image.fromarray(rgba), tmp_path / "a.png"), rgba):
        assert np.array_equal(read_photo(source), expected)
    half = read_photo(np.array([[[255, 0, 0, 128]]], np.uint8))
    assert np.abs(half[0, 0].astype(int) - (192, 64, 64)).max() <= 1


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(QUARTERS).quantize(4)
    assert_quarters(read_photo(save(image, tmp_path / "a.png")))
    blue = int(np.asarray(image)[15, 0])
    photo = read_photo(save(image, tmp_path / "b.png", transparency=blue))
    assert tuple(photo[15, 0]) == GREY
    assert tuple(photo[0, 0]) == RED


def test_grey_with_and_without_alpha() -> None:
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    alpha = np.array([[255, 255], [255, 0]], np.uint8)
    assert np.array_equal(read_photo(grey), np.dstack([grey] * 3))
    assert np.array_equal(read_photo(grey[:, :, None]), np.dstack([grey] * 3))
    photo = read_photo(np.dstack([grey, alpha]))
    assert photo[:, :, 0].tolist() == [[0, 100], [200, 128]]
    assert read_photo(Image.fromarray(grey).convert("1")).max() == 255


def test_cmyk(tmp_path: Path) -> None:
    path = save(Image.fromarray(QUARTERS).convert("CMYK"), tmp_path / "a.jpg", quality=100)
    assert Image.open(path).mode == "CMYK"
    assert_quarters(read_photo(path), tolerance=6)


def test_16_bits_become_8(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 128 * 257], [200 * 257, 65535, 32768]], np.uint16)
    expected = [[0, 1, 128], [200, 255, 128]]
    path = save(Image.fromarray(levels), tmp_path / "a.png")
    tiff = save(Image.fromarray(levels), tmp_path / "a.tiff")
    for source in (path, tiff, levels, levels.astype(">u2"), np.dstack([levels] * 3)):
        assert read_photo(source)[:, :, 1].tolist() == expected


def test_16_bits_in_colour(tmp_path: Path) -> None:
    assert_quarters(read_photo(write_png16(tmp_path / "a.png", QUARTERS.astype(np.uint16) * 257)), tolerance=1)


def write_png16(path: Path, pixels: np.ndarray) -> Path:
    """Write a 16-bit RGB PNG, which Pillow reads and does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


# ----------------------------------------------------------------------------------------------------- errors
def refused(source: object) -> str:
    """The sentence for a bad source: one line, ends like a sentence, holds no folder."""
    with pytest.raises(PhotoError) as caught:
        read_photo(source)  # pyright: ignore[reportArgumentType]
    text = str(caught.value)
    assert re.fullmatch(r"[^\n]{20,220}[.]", text)
    assert "/tmp" not in text
    assert "pytest" not in text
    return text


def test_missing_folder_empty_and_pipe(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone.jpg").startswith("gone.jpg does not exist")
    (tmp_path / "album").mkdir()
    assert refused(tmp_path / "album").startswith("album is a folder")
    (tmp_path / "empty.png").touch()
    assert refused(str(tmp_path / "empty.png")).startswith("empty.png is empty")
    assert refused(b"").startswith("The picture is empty")
    assert "is a folder" in refused("")
    assert "zero\0byte" not in refused("zero\0byte.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert refused(tmp_path / "pipe.png").startswith("pipe.png is a device or a pipe")


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear Sir or Madam,\n" * 50)
    assert "letter.jpg is not a picture" in refused(tmp_path / "letter.jpg")
    with zipfile.ZipFile(tmp_path / "photos.png", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "photos.png is not a picture" in refused(tmp_path / "photos.png")
    (tmp_path / "drawing.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    assert "not a picture" in refused(tmp_path / "drawing.eps")  # Pillow would start Ghostscript for it


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tiff"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_truncated_files(suffix: str, kept: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = save(Image.fromarray(noise), tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"half.{suffix}").write_bytes(whole[: max(12, int(len(whole) * kept))])
    assert f"half.{suffix} is" in refused(tmp_path / f"half.{suffix}")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_with_flipped_bits_never_gives_another_error(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in ("png", "jpg", "webp", "tiff", "gif"):
        whole = save(Image.fromarray(QUARTERS), tmp_path / f"a.{suffix}", exif=exif.tobytes()).read_bytes()
        for _ in range(60):
            damaged = np.frombuffer(whole, np.uint8).copy()
            damaged[random.integers(0, len(damaged), 4)] = random.integers(0, 255, 4)
            with contextlib.suppress(PhotoError):
                read_photo(damaged.tobytes())


def test_huge_pictures_are_refused_by_their_header(tmp_path: Path) -> None:
    huge = write_header_only(tmp_path / "huge.png", 20_000, 20_000)
    assert "huge.png is 20000x20000 px; at most 110 megapixels" in refused(huge)
    over = write_header_only(tmp_path / "over.png", 8000, MAX_PIXELS // 8000 + 1)
    assert f"over.png is 8000x{MAX_PIXELS // 8000 + 1} px; at most 110 megapixels" in refused(over)
    assert "long.png is 65536x8 px" in refused(write_header_only(tmp_path / "long.png", 65_536, 8))
    assert "px; at most" in refused(np.broadcast_to(np.uint8(0), (20_000, 20_000, 3)))


def write_header_only(path: Path, width_px: int, height_px: int) -> Path:
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(start + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    return path


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray) -> None:
    refused(array)


def test_floating_point_pictures_are_refused(tmp_path: Path) -> None:
    path = save(Image.fromarray(np.ones((4, 4), np.float32)), tmp_path / "a.tiff")
    assert "floating-point" in refused(path)


def test_base64_is_not_a_path_and_is_not_repeated_in_messages() -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    assert refused(text) == "The picture cannot be opened. Base64 text is not a path: decode it first."


@pytest.mark.parametrize("text", ["?", "data:image/png,abc", "äöü", "https://example.org/a.png", "abcde"])
def test_text_that_is_not_base64(text: str) -> None:
    with pytest.raises(PhotoError, match="not base64"):
        decode_base64(text)


def test_base64_has_a_limit() -> None:
    with pytest.raises(PhotoError, match="larger than 20 MiB"):
        decode_base64("A" * (MAX_BASE64_BYTES * 4 // 3 + 4))


def test_names_are_short_and_without_folders() -> None:
    assert photo_name(r"C:\Users\me\photo.jpg") == "photo.jpg"
    assert photo_name(Path("/home/me/photo.jpg")) == "photo.jpg"
    assert photo_name("x" * 100 + ".jpg") == "x" * 25 + "…" + "x" * 10 + ".jpg"
    assert photo_name("line\nbreak.png") == "line?break.png"
    assert photo_name(b"") == photo_name(QUARTERS) == photo_name("A" * 5000) == ""
