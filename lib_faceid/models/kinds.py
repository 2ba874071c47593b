"""What a file is, by its first bytes, never by its name; and what to do with one that holds no weights."""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from lib_faceid.errors import FileError

__all__ = ["GET_AGAIN", "START_BYTES", "Kind", "is_safetensors_start", "kind_of", "other_kind"]

Kind = Literal["safetensors", "zip", "pickle"]

START_BYTES = 512
MAX_HEADER = 100_000_000  # bytes; the safetensors format allows no longer one
GET_AGAIN = "Get it again from where it came from."


class _Signature(NamedTuple):
    start: int
    magic: bytes
    found: str
    remedy: str


_USE = "Use the .safetensors or .bin file of the model."
_UNPACK = "Unpack it and use the file inside."
_SIGNATURES = (
    _Signature(0, b"version https://git-lfs", "a text or web page: Git LFS's note of where the file is", GET_AGAIN),
    _Signature(0, b"\x89PNG", "a picture", _USE),
    _Signature(0, b"\xff\xd8\xff", "a picture", _USE),
    _Signature(0, b"GIF8", "a picture", _USE),
    _Signature(8, b"WEBP", "a picture", _USE),
    _Signature(4, b"ftyp", "a picture or video", _USE),
    _Signature(0, b"\x93NUMPY", "a numpy array", "It is no model; as a person's embedding it can be used."),
    _Signature(0, b"GGUF", "a GGUF model", _USE),
    _Signature(0, b"\x89HDF", "a Keras model", _USE),
    _Signature(
        0, b"\x08", "an ONNX model", "Face models belong into models/insightface. Here, use .safetensors or .bin."
    ),
    _Signature(0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    _Signature(0, b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    _Signature(0, b"Rar!", "a RAR archive", _UNPACK),
    _Signature(257, b"ustar", "a tar archive", _UNPACK),
    _Signature(0, b"\x00\x05\x16\x07", "a note that macOS keeps beside a file", "Use the file without ._ in its name."),
    _Signature(0, b"%PDF", "a PDF", _USE),
)


def kind_of(start: bytes, size: int, name: str) -> Kind:
    """Return how a file is to be read; `start` are its first START_BYTES, `size` all of its bytes.

    Raises FileError for what holds no weights, and for a file that is shorter than it says itself.
    """
    if size == 0:
        raise FileError(f"{name} is empty (0 bytes). {GET_AGAIN}")
    if is_safetensors_start(start, size):
        return "safetensors"
    if start[8:9] == b"{":
        (length,) = struct.unpack("<Q", start[:8])
        if length <= MAX_HEADER:
            raise FileError(f"{name} is cut off ({size:,} bytes, shorter than its own header). {GET_AGAIN}")
    # A tar archive is what torch 0.1 wrote, and what torch still unpacks to the disk, whatever its name begins with.
    is_tar = start[257:262] == b"ustar"
    if start[:2] == b"PK" and not is_tar:
        return "zip"
    if not is_tar and (_is_pickle(start) or start.startswith(b"L119547037146038801333356")):
        return "pickle"
    found, remedy = other_kind(start)
    raise FileError(f"{name} is {found}, not .safetensors or .bin weights. {remedy}")


def is_safetensors_start(start: bytes, size: int) -> bool:
    """Whether a file begins with the header of a `.safetensors`, and is not shorter than that."""
    return start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] <= size


def other_kind(start: bytes) -> tuple[str, str]:
    """Return what a file is that holds no weights, and what to do about it."""
    for one in _SIGNATURES:
        if start[one.start : one.start + len(one.magic)] == one.magic:
            return one.found, one.remedy
    if _is_text(start):
        return (
            "a text or web page",
            f"If it was downloaded, a message came instead of it: {GET_AGAIN[0].lower()}{GET_AGAIN[1:]}",
        )
    return "an unknown kind of file", "Check that it is the right file."


def _is_pickle(start: bytes) -> bool:
    """Whether it starts like a pickle of protocol 2 to 5, or like one of protocol 0 or 1 that holds a dict or list."""
    if start[:1] == b"\x80":
        return len(start) > 1 and 2 <= start[1] <= 5
    return start[:2] in (b"(d", b"(l", b"}q", b"]q") or (start[:1] == b"c" and start.count(b"\n", 0, 100) >= 2)


def _is_text(start: bytes) -> bool:
    """Whether the bytes are letters: of UTF-8, or of UTF-16 with its mark."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    letters = start.rstrip(b"\xc2\xc3\xe2\xf0\x80\x9f")  # may be cut off within one
    try:
        text = letters.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(text) and all(letter.isprintable() or letter in "\t\r\n\ufeff" for letter in text)
