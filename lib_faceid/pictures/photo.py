"""Any picture a user can hand over -> one kind of array: upright uint8 RGB [H, W, 3].

Everything after this module sees only that kind: nobody else asks about EXIF, alpha, palettes or bit depth.
Photos are private: an error names the file, and never says anything about what is in the picture.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import io
import struct
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.errors import PhotoError
from lib_faceid.pictures.files import SAVE_AGAIN, open_image
from lib_faceid.pictures.mending import mended
from lib_faceid.pictures.sources import PhotoSource, as_source

__all__ = ["MAX_BASE64_BYTES", "MAX_PIXELS", "PhotoSource", "decode_base64", "photo_name", "photo_sha256", "read_photo"]

MAX_PIXELS = 110_000_000
"""The largest picture that is decoded: 330 MB as an array, and phones' largest sensors. The header decides."""
MAX_SIDE_PX = 65_535
"""The longest side: JPEG's."""
MAX_BASE64_BYTES = 20 * 1024 * 1024
"""The largest picture file that is accepted as base64 text."""

MID_GREY = (128, 128, 128, 255)
ALPHA_MODES = ("LA", "PA", "RGBA", "RGBa")
DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
EXIF_ORIENTATION = 0x0112
# What undoes the orientations 2 to 8 of an array [H, W, 3].
UNDO: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}
STRIP_PIXELS = 16_000_000  # converted at once: Pillow needs four bytes for each, and as many for each step


def read_photo(source: PhotoSource) -> NDArray[np.uint8]:
    """Return the picture as a new upright uint8 array [H, W, 3] in RGB order.

    The EXIF orientation is applied, transparency is laid on mid grey, 16 bits become 8, and of an animation
    the first frame counts. An array is RGB, RGBA, grey + alpha or grey, in uint8 or uint16.
    Raises PhotoError when there is no picture in it, or one larger than `MAX_PIXELS` or `MAX_SIDE_PX`.

    >>> pixels = read_photo("me.jpg")
    >>> pixels.dtype, pixels.shape[2]
    (dtype('uint8'), 3)
    """
    source = as_source(source, "The picture")
    label = photo_name(source) or "The picture"
    with _decoding(label):
        if isinstance(source, np.ndarray):
            return _from_array(source, label)
        if isinstance(source, Image.Image):
            return _from_image(source, label)
        with _open(source, label) as file:
            try:
                return _from_image(open_image(file, label), label)
            except (_TooLargeError, MemoryError):
                raise
            except Exception:  # Pillow's decoders raise nearly every type there is
                file.seek(0)
                content = mended(file.read())
                if content is None:
                    raise
            return _from_image(open_image(io.BytesIO(content), label), label)


def photo_sha256(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of a picture's pixels [H, W, 3], by which it is known whatever its file."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def photo_name(source: PhotoSource) -> str:
    """Return the file name for messages, at most 40 characters and no folders; "" for pixels and bytes."""
    path = getattr(source, "filename", "") if isinstance(source, Image.Image) else source
    # Longer than any path: this is a picture as text, and nothing of a picture belongs in a message.
    if not isinstance(path, (str, Path)) or len(str(path)) > 4096:
        return ""
    # Both separators, because a Windows path may arrive on a Linux server.
    name = str(path).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    return name if len(name) <= 40 else f"{name[:25]}…{name[-14:]}"


def decode_base64(text: str) -> bytes:
    """Return the bytes of a picture that came as base64 or as a data URL (`data:image/png;base64,...`).

    Raises PhotoError when the text is not base64 or holds more than `MAX_BASE64_BYTES`.
    """
    if text.lstrip()[:5].lower() == "data:":
        header, _, text = text.partition(",")
        if not header.rstrip().lower().endswith(";base64"):
            raise PhotoError("The data URL is not base64. Send 'data:image/png;base64,' and the picture.")
    if len(text) * 3 // 4 > MAX_BASE64_BYTES:
        limit_mib = MAX_BASE64_BYTES >> 20
        raise PhotoError(f"The base64 picture is larger than {limit_mib} MiB. Make it smaller and send it again.")
    text = "".join(text.split())
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PhotoError(
            "The text is not base64, a picture was expected. Send base64 or a data URL; no link, no path."
        ) from error


class _TooLargeError(PhotoError):
    """A picture that is refused for its size."""


@contextmanager
def _decoding(label: str) -> Generator[None, None, None]:
    """Turn whatever a damaged file makes Pillow raise into one sentence."""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(f"{label} needs more memory than there is. Make it smaller.") from error
    except Exception as error:  # Pillow's decoders raise nearly every type there is
        raise PhotoError(f"{label} is damaged or cut off and cannot be read. {SAVE_AGAIN}") from error


def _open(source: str | Path | bytes, label: str) -> IO[bytes]:
    """Return the file to read from its beginning."""
    if isinstance(source, bytes):
        if not source:
            raise PhotoError("The picture is empty (0 bytes). Choose it again.")
        return io.BytesIO(source)
    try:
        _check_file(Path(source), label)
        return Path(source).open("rb")
    except OSError as error:
        is_text = error.errno == errno.ENAMETOOLONG
        remedy = "Base64 text is not a path: decode it first." if is_text else "Check its name and permissions."
        raise PhotoError(f"{label} cannot be opened. {remedy}") from error


def _check_file(path: Path, label: str) -> None:
    if path.is_dir():
        raise PhotoError(f"{label} is a folder, a picture was expected. Choose a file inside it.")
    if not path.exists():
        raise PhotoError(f"{label} does not exist, a picture was expected. Choose it again.")
    if not path.is_file():  # opening a pipe or a device may never return
        raise PhotoError(f"{label} is a device or a pipe, a picture was expected. Choose a file.")
    if path.stat().st_size == 0:
        raise PhotoError(f"{label} is empty (0 bytes). Copy the picture again.")


def _check_size(width_px: int, height_px: int, label: str) -> None:
    if width_px < 1 or height_px < 1:
        raise PhotoError(f"{label} has no pixels ({width_px}x{height_px} px). Choose another picture.")
    if width_px * height_px > MAX_PIXELS or max(width_px, height_px) > MAX_SIDE_PX:
        raise _TooLargeError(
            f"{label} is {width_px}x{height_px} px; at most {MAX_PIXELS // 1_000_000} megapixels and {MAX_SIDE_PX} px "
            "a side are read. Make it smaller: a face of 500 px is plenty."
        )


def _from_image(image: Image.Image, label: str) -> NDArray[np.uint8]:
    _check_size(*image.size, label)
    _load(image)
    _check_size(*image.size, label)  # an icon says another size than it has
    orientation = _orientation(image)
    pixels = _flatten(image, label)
    del image  # before the pixels are turned: of 100 megapixels, it has 400 MB
    return np.ascontiguousarray(UNDO[orientation](pixels)) if orientation in UNDO else pixels


def _load(image: Image.Image) -> None:
    """Decode the pixels. Damage behind them, in a text of a PNG, is no reason to lose them."""
    try:
        image.load()
    except Exception:  # Pillow's decoders raise nearly every type there is
        if image.format != "PNG" or getattr(image, "tile", True):  # some of it is not decoded yet
            raise


def _orientation(image: Image.Image) -> int:
    """Return how the camera was held, 1 to 8; 1, upright, where damaged EXIF does not tell."""
    if image.format == "TIFF":
        return 1  # Pillow turns these itself, and older ones leave the tag
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except (SyntaxError, struct.error, ValueError, TypeError, KeyError, OverflowError, OSError):
        return 1


def _flatten(image: Image.Image, label: str) -> NDArray[np.uint8]:
    """Decode any mode to RGB."""
    width_px, height_px = image.size
    rows = max(1, STRIP_PIXELS // width_px)
    if rows < height_px:
        pixels = np.empty((height_px, width_px, 3), np.uint8)
        for top in range(0, height_px, rows):
            strip = image.crop((0, top, width_px, min(top + rows, height_px)))
            pixels[top : top + rows] = _flatten(strip, label)
        return pixels
    if image.mode in DEEP_MODES:
        return _from_array(np.asarray(image).clip(0, 65535).astype(np.uint16), label)
    if image.mode == "F":
        raise PhotoError(f"{label} holds floating-point pixels, whose white is unknown. {SAVE_AGAIN}")
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, MID_GREY), image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)


def _from_array(array: NDArray[Any], label: str) -> NDArray[np.uint8]:
    """Return RGB from an array of 1, 2, 3 or 4 channels."""
    channels = 1 if array.ndim == 2 else array.shape[-1]
    is_photo = array.ndim in (2, 3) and channels in (1, 2, 3, 4)
    if not is_photo or array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise PhotoError(
            f"{label} is an array of shape {list(array.shape)} and type {array.dtype}; "
            "[height, width, 3] of uint8 in RGB order was expected."
        )
    _check_size(array.shape[1], array.shape[0], label)
    if array.dtype.itemsize == 2:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 = 255 * 257
    pixels = array.reshape(array.shape[:2]) if channels == 1 else array
    return _flatten(Image.fromarray(np.ascontiguousarray(pixels)), label)
