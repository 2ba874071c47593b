"""The same picture in a file that Pillow reads: what is not needed for the pixels left out, a missing end put on.

Browsers read past both: a PNG with megabytes of text in it (node editors keep whole workflows there), a colour profile
or a check sum that is damaged, a download whose last bytes are missing.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile

__all__ = ["mended"]

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# What decides about pixels. Orientation is in eXIf; text, profiles, animation and times are for others.
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT")
MAX_EXIF_BYTES = 1 << 20
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by PNG's colour type
LOST = 0.05  # what may be missing of the picture, at its lower end
MAX_MENDED_PIXELS = 110_000_000
END_OF_JPEG = b"\xff\xd9"


def mended(content: bytes) -> bytes | None:
    """Return a PNG or JPEG that holds the pixels alone, as far as they are there; None for what cannot be helped.

    Up to a twentieth of the picture may be missing at its end; it is black or grey then, as in a browser.
    """
    if content.startswith(PNG):
        return _lean_png(content)
    if content.startswith(JPEG):
        return _ended_jpeg(content)
    return None


def _lean_png(content: bytes) -> bytes | None:
    chunks: dict[bytes, bytes] = {}
    data: list[bytes] = []
    at = len(PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IDAT":
            data.append(body)
        elif kind in PIXEL_CHUNKS and kind not in chunks and (kind != b"eXIf" or length <= MAX_EXIF_BYTES):
            chunks[kind] = body
        elif kind == b"IEND":
            break
    if len(chunks.get(b"IHDR", b"")) != 13:
        return None
    whole = _whole_data(chunks[b"IHDR"], b"".join(data))
    if whole is None:
        return None
    chunks[b"IDAT"] = whole
    ordered = (_chunk(kind, chunks[kind]) for kind in PIXEL_CHUNKS if kind in chunks)
    return PNG + b"".join(ordered) + _chunk(b"IEND", b"")


def _whole_data(header: bytes, data: bytes) -> bytes | None:
    """Return the compressed pixels with what is missing at their end; None where too much of them is."""
    width, height, bits, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    row_bytes = (width * bits * CHANNELS.get(colour, 4) + 7) // 8 + 1
    inflate = zlib.decompressobj()
    found = 0
    try:
        for start in range(0, len(data), 1 << 16):
            pixels = inflate.decompress(data[start : start + (1 << 16)], row_bytes * height + (1 << 16))
            found += len(pixels)
            if inflate.unconsumed_tail:  # more than the header says: not ours to judge
                return data
    except zlib.error:
        return None
    missing = row_bytes * height - found
    if interlace or missing <= 0:
        return data
    if missing > LOST * row_bytes * height:
        return None
    rows = zlib.decompressobj().decompress(data) + bytes(missing)
    return zlib.compress(rows, 1)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _ended_jpeg(content: bytes) -> bytes | None:
    """Return a JPEG with the end that it lacks; None where it has one, or where more than that is missing.

    How much is missing: as many pixels as look different when something else is put there.
    """
    if END_OF_JPEG in content[-64:]:
        return None
    content = content.rstrip(b"\xff")  # half of a marker
    ended = content + END_OF_JPEG
    other = content + b"\x55" * max(1 << 16, len(content) // 4) + END_OF_JPEG
    differs = (_decoded(ended) != _decoded(other)).any(axis=-1)
    return ended if differs.mean() <= LOST else None


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    image = JpegImageFile(io.BytesIO(jpeg))
    if image.width * image.height > MAX_MENDED_PIXELS:
        raise ValueError("too large to be decoded twice")
    return np.asarray(image.convert("RGB"))
