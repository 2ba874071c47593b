"""A picture's file -> Pillow's image of it, whatever it is called and whatever else is in it: its content decides."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import struct
import sys
from collections.abc import Callable, Iterator
from typing import IO

from PIL import Image

from lib_faceid.errors import PhotoError

__all__ = ["PREFIX_BYTES", "SAVE_AGAIN", "is_picture", "open_image"]

Factory = Callable[[IO[bytes], str | bytes], Image.Image]

# A list of our own: Pillow also opens what starts another program (EPS) and what is no picture (PDF, HDF5). It has
# what browsers show, but for drawings (SVG).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "JPEG2000", "AVIF", "HEIF", "JXL", "ICO")
# Packages that teach Pillow a format, where they are installed: the WebUI brings the first, iPhones write the second.
PLUGINS = {"AVIF": "pillow_avif", "HEIF": "pillow_heif", "JXL": "pillow_jxl"}
PACKAGES = {"AVIF": "pillow-avif-plugin", "HEIF": "pillow-heif", "JXL": "pillow-jxl-plugin"}
AVIF_BRANDS = (b"avif", b"avis")
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
ICON, PNG = b"\0\0\1\0", b"\x89PNG\r\n\x1a\n"
MAX_ICON_BYTES = 16 << 20
SAVE_AGAIN = "Save it again as JPEG, PNG or WebP."
PREFIX_BYTES = 32
"""As much of a file's beginning tells what it is."""
# What is taken for a photo, by how it begins.
OTHER_KINDS = (
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "a text (an SVG drawing?)"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"%pdf", "a PDF document"),
    (b"8bps", "a Photoshop file"),
    (b"gimp xcf", "a GIMP file"),
    (b"\x00\x05\x16\x07", "what macOS keeps beside a picture (AppleDouble)"),
)


def open_image(file: IO[bytes], label: str) -> Image.Image:
    """Return the image in an open file, its header read and its pixels not yet.

    Its size is for the caller to check: Pillow's own check would warn of what is allowed here. Raises PhotoError for
    what is no picture; of a damaged one, Pillow raises nearly every type there is.
    """
    prefix = file.read(PREFIX_BYTES)
    if prefix.startswith(ICON):
        file = _largest_icon(file)
        prefix = file.read(PREFIX_BYTES)
    for factory in _factories(prefix):
        with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):
            file.seek(0)
            return factory(file, "")
    if next(_factories(prefix), None):
        raise PhotoError(f"{label} is damaged or cut off and cannot be read. {SAVE_AGAIN}")
    raise PhotoError(f"{label} is {_other_kind(prefix)}")


def is_picture(beginning: bytes) -> bool:
    """Return whether a file that begins so (32 bytes are enough) is of a kind that is read here."""
    return beginning.startswith(ICON) or next(_factories(beginning), None) is not None


def _factories(prefix: bytes) -> Iterator[Factory]:
    """Give what opens files that begin so."""
    Image.init()
    _load_plugins()
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is not None and accept is not None and accept(prefix) is True:  # a text says why it is not read
            yield factory


@functools.lru_cache(maxsize=1)
def _load_plugins() -> None:
    """Let installed packages register their formats. Pillow's own support, from 11.3 on for AVIF, is left as it is."""
    for name, module in PLUGINS.items():
        if name not in Image.OPEN:
            with contextlib.suppress(ImportError):
                plugin = importlib.import_module(module)
                getattr(plugin, "register_heif_opener", lambda: None)()


def _largest_icon(file: IO[bytes]) -> IO[bytes]:
    """Return the largest picture of a Windows icon where it is a PNG; else the icon itself, which Pillow reads."""
    file.seek(0)
    content = file.read(MAX_ICON_BYTES)
    number = int.from_bytes(content[4:6], "little")
    entries = [content[6 + 16 * i : 22 + 16 * i] for i in range(number)]
    # Sides are bytes in which 0 is 256.
    sizes = [((one[0] or 256) * (one[1] or 256), *struct.unpack("<II", one[8:])) for one in entries if len(one) == 16]
    _, length, start = max(sizes, default=(0, 0, 0))
    inside = content[start : start + length]
    return io.BytesIO(inside if inside.startswith(PNG) else content)


def _other_kind(prefix: bytes) -> str:
    """Return what a file is that no format of ours begins like, and what to do."""
    kind = next((kind for start, kind in OTHER_KINDS if prefix.lstrip().lower().startswith(start)), "")
    if kind:
        return f"{kind}: not a picture that can be read here. {SAVE_AGAIN}"
    brand = prefix[8:12] if prefix[4:8] == b"ftyp" else b""
    name = "AVIF" if brand in AVIF_BRANDS else "HEIF" if brand in HEIF_BRANDS else ""
    name = "JXL" if prefix.startswith(JPEG_XL) else name
    if name:
        command = f'"{sys.executable}" -m pip install {PACKAGES[name]}'
        return f"a picture of the kind {name}, which needs another package. {SAVE_AGAIN} Or run: {command}."
    return f"not a picture that can be read here. {SAVE_AGAIN}"
