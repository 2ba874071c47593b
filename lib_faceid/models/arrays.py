"""numpy arrays in files: as pickles hold them, and as `.npy` and `.npz` do. Numbers only, never objects."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.models.pickles import Calls

__all__ = ["ARRAY_CALLS", "Array", "read_npy", "read_npz"]

_CODES = frozenset(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"])
_MAX_NPZ_BYTES = 64 * 1024 * 1024
_DAMAGE = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, KeyError)


class _Kind:
    """A numpy dtype, by its code."""

    def __init__(self, code: str) -> None:
        self.code = code if code in _CODES else ""
        self.order = "<"

    def take_state(self, state: tuple[Any, ...]) -> None:
        """Take the byte order from what follows a dtype in a pickle."""
        self.order = state[1] if state[1] in ("<", ">", "|") else "<"


class Array:
    """A numpy array in a pickle: what is said of it, until somebody wants its numbers."""

    def __init__(
        self, shape: tuple[int, ...] = (), kind: _Kind | None = None, data: bytes = b"", order: str = "C"
    ) -> None:
        self.shape, self.kind, self.data, self.order = _checked(shape), kind, data, order

    def take_state(self, state: tuple[Any, ...]) -> None:
        """Take what follows an array in a pickle: (version, shape, dtype, whether in Fortran order, bytes)."""
        _, shape, self.kind, is_fortran, self.data = state
        self.shape = _checked(shape)
        self.order = "F" if is_fortran else "C"

    def tensor(self) -> Tensor | None:
        """Return the numbers; None where it holds objects, or not as many bytes as its shape wants."""
        shape, kind, data = self.shape, self.kind, self.data
        if not isinstance(kind, _Kind) or not kind.code or not isinstance(data, bytes | bytearray):
            return None
        dtype = np.dtype(f"{'' if kind.code.endswith('1') else kind.order}{kind.code}")
        if math.prod(shape) * dtype.itemsize != len(data):
            return None
        array = np.frombuffer(data, dtype).reshape(shape, order="F" if self.order == "F" else "C")
        return _as_tensor(array)


def _checked(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(isinstance(one, int) and 0 <= one < 1 << 48 for one in shape):
        raise ValueError("an array of an impossible shape")
    return shape


def read_npy(content: bytes) -> Tensor:
    """Return the array of a `.npy` file. Raises ValueError where it is damaged or holds objects."""
    try:
        return _as_tensor(np.load(io.BytesIO(content), allow_pickle=False))
    except (*_DAMAGE, SyntaxError, TokenError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"a .npy file that cannot be read: {error}") from error


def read_npz(content: bytes) -> dict[str, Tensor]:
    """Return the arrays of a `.npz` file by name. Raises ValueError where it is damaged or unpacks to too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
            if sum(one.file_size for one in members) > _MAX_NPZ_BYTES:
                raise ValueError(f"more than {_MAX_NPZ_BYTES:,} bytes")
            arrays: dict[str, Tensor] = {}
            for one in members:
                with archive.open(one) as file:  # which gives no more than the size that it claims
                    arrays[one.filename.removesuffix(".npy")] = read_npy(file.read(one.file_size))
            return arrays
    except _DAMAGE as error:
        raise ValueError(f"a .npz file that cannot be read: {error}") from error


def _as_tensor(array: NDArray[Any]) -> Tensor:
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise ValueError(f"an array of {array.dtype}")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:  # torch 2.1 has no such
        array = array.astype(np.float64)
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def _scalar(kind: Any, data: Any = b"") -> float | None:
    value = Array((), kind, data).tensor()
    return None if value is None else value.item()


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Return bytes as old protocols write them: as a text whose letters are the bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes encoded as {encoding[:20]}")
    return text.encode("latin-1")


def _dtype(code: Any, *_: Any) -> _Kind:
    return _Kind(code if isinstance(code, str) else "")


def _reconstructed(*_: Any) -> Array:
    return Array()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> Array:
    return Array(shape, kind, data, str(order))


ARRAY_CALLS: Calls = {
    "_codecs.encode": _encoded,
    "numpy.dtype": _dtype,
    **{f"{room}.multiarray._reconstruct": _reconstructed for room in ("numpy.core", "numpy._core")},
    **{f"{room}.multiarray.scalar": _scalar for room in ("numpy.core", "numpy._core")},
    **{f"{room}.numeric._frombuffer": _from_buffer for room in ("numpy.core", "numpy._core")},
}
"""What calls of numpy in a pickle give."""
