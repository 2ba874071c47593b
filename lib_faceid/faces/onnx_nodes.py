"""The names of an ONNX file's first nodes, without the package `onnx`.

An ONNX file is one protobuf message: `ModelProto.graph` (field 7) holds `GraphProto.node` (1), which holds
`NodeProto.name` (3). The wire format is protobuf's (protobuf.dev/programming-guides/encoding), the numbers are those of
onnx.proto. Nothing is read but the names, from a file that onnxruntime has already accepted.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

__all__ = ["first_node_names"]

GRAPH, NODE, NAME = 7, 1, 3
VARINT, EIGHT_BYTES, MESSAGE, FOUR_BYTES = 0, 1, 2, 5  # wire types

Bytes: TypeAlias = "mmap.mmap | bytes"


def first_node_names(path: Path, count: int) -> list[str]:
    """Return the names of the first `count` nodes, fewer where there are fewer or the file is no ONNX model."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        names: list[str] = []
        for start, end in _messages(data, 0, len(data), GRAPH):
            for node in _messages(data, start, end, NODE):
                named = next(_messages(data, *node, NAME), (0, 0))
                names.append(bytes(data[slice(*named)]).decode(errors="replace"))
                if len(names) == count:
                    return names
        return names


def _messages(data: Bytes, at: int, end: int, field: int) -> Iterator[tuple[int, int]]:
    """Give where each field of that number lies between two places; stop at what is no protobuf."""
    while at < end:
        key, at = _varint(data, at, end)
        kind, size = key & 7, 0
        if kind == VARINT:
            _, at = _varint(data, at, end)
        elif kind == MESSAGE:
            size, at = _varint(data, at, end)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            return
        if at + size > end:
            return
        if key >> 3 == field and kind == MESSAGE:
            yield at, at + size
        at += size


def _varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at a place, seven bits a byte, and the place after it."""
    number = shift = 0
    while at < end:
        byte = data[at]
        number, shift, at = number | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            break
    return number, at
