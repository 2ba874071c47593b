"""Read what `torch.save` wrote, in each of its containers and with every version of torch, without `torch.load`.

A file is mapped, not read: what is not looked at stays on the disk. Which bytes a tensor has is checked before there is
one, so that a file of a few kilobytes cannot ask for gigabytes.
"""

from __future__ import annotations

import io
import mmap
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import torch
from torch import Tensor

from lib_faceid.errors import FileError
from lib_faceid.models.arrays import ARRAY_CALLS
from lib_faceid.models.kinds import GET_AGAIN
from lib_faceid.models.pickles import DAMAGE, Calls, Named, Pickled, read_pickle
from lib_faceid.models.tree import printable

__all__ = ["OddTensor", "StoredTensor", "read_torch_pickle", "read_torch_zip"]

MAX_PICKLE_BYTES = 32 * 1024 * 1024  # of what is said about tensors: some 300 bytes each
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# Left out where a file holds them: settings and records of training programs. Nothing of them is ever run.
PLAIN_TYPES = ("set", "frozenset", "complex", "slice", "range", "bytearray", "object", "int", "float", "bool", "list")
HARMLESS = (
    *("torch.", "numpy.", "collections.", "argparse.Namespace", "omegaconf.", "pytorch_lightning.", "lightning."),
    *("lightning_fabric.", "deepspeed.", "accelerate.", "transformers.", "diffusers.", "insightface.", "easydict."),
    *("copyreg._reconstructor", "copy_reg._reconstructor", "datetime.", "typing.", "enum."),
    *("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath"),
    *(f"{room}.{kind}" for room in ("builtins", "__builtin__") for kind in (*PLAIN_TYPES, "dict", "tuple", "str")),
)


@dataclass
class _Storage:
    """The bytes of one or more tensors, which are known when the whole file is."""

    dtype: torch.dtype
    location: str
    size_bytes: int
    content: Tensor | None = None
    """uint8 [size_bytes], mapped or copied."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: a view of a storage, not made yet."""

    storage: _Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """What a copy of it would take, which a stride of 0 makes more than the file has."""
        size = self.dtype.itemsize
        for one in self.shape:
            size *= one
        return size

    def tensor(self) -> Tensor:
        """Return the view. Raises ValueError where it does not lie within its storage."""
        content = self.storage.content
        if self.storage.location == "meta" or content is None:
            raise ValueError("has no numbers in this file (it lies on the meta device)")
        if 0 in self.shape:
            return torch.empty(self.shape, dtype=self.dtype)
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if (last + 1) * self.dtype.itemsize > content.numel():
            raise ValueError("reaches beyond its bytes")
        whole = content.numel() // self.dtype.itemsize * self.dtype.itemsize
        return content[:whole].view(self.dtype).as_strided(self.shape, self.strides, self.offset)


@dataclass(frozen=True)
class OddTensor:
    """A tensor of a kind that no weights come in: sparse, nested, quantised, without numbers."""

    kind: str


@dataclass
class _Storages:
    """Makes a storage for each persistent id."""

    found: dict[str, _Storage] = field(default_factory=dict)

    def __call__(self, identity: Any) -> _Storage:
        if isinstance(identity, str):
            identity = _read_identity(identity)
        word, kind, key, location, numel = identity[:5]
        if word != "storage" or not isinstance(kind, Named) or not isinstance(numel, int) or numel < 0:
            raise ValueError("a persistent id that is no storage")
        dtype = _STORAGE_TYPES[kind.name.rpartition(".")[2]]
        if len(identity) > 5 and identity[5] is not None:  # torch 1.0: a part of another storage
            raise ValueError("a view of a storage")
        return self.found.setdefault(str(key), _Storage(dtype, str(location), numel * dtype.itemsize))


def read_torch_zip(mapped: mmap.mmap, file: IO[bytes], name: str) -> Any:
    """Return what the zip container of `torch.save` holds. Raises FileError."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {one.filename: one for one in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise FileError(f"{name} is damaged (a zip archive that cannot be read: {error}). {GET_AGAIN}") from error
    _refuse_programs(entries, name)
    record = next((one for one in entries if one == "data.pkl" or one.endswith("/data.pkl")), None)
    if record is None:
        raise FileError(f"{name} is a zip archive, not a model file. Unpack it and use the file inside.")
    prefix, storages = record.removesuffix("data.pkl"), _Storages()

    def bytes_of(entry: zipfile.ZipInfo) -> tuple[int, int]:
        return _span(mapped, entry, name)

    start, end = bytes_of(entries[record])
    value = _unpickled(io.BytesIO(mapped[start : min(end, start + MAX_PICKLE_BYTES)]), storages, name).value
    if (order := entries.get(f"{prefix}byteorder")) and mapped[slice(*bytes_of(order))][:3] == b"big":
        raise FileError(
            f"{name} was saved on a big-endian machine, which is not read here. Save it again on another one."
        )
    for key, storage in storages.found.items():
        entry = entries.get(f"{prefix}data/{key}")
        if entry is None:
            raise FileError(f"{name} is damaged (the bytes of storage {printable(key, 40)} are missing). {GET_AGAIN}")
        _fill(storage, mapped, *bytes_of(entry), name)
    return value


def read_torch_pickle(mapped: mmap.mmap, name: str) -> Any:
    """Return what a pickle holds: one of `torch.save` before version 1.6, or a plain one. Raises FileError."""
    file, storages = io.BytesIO(mapped[:MAX_PICKLE_BYTES]), _Storages()
    first = _unpickled(file, storages, name).value
    if first != LEGACY_MAGIC:
        return first
    _protocol, system = (_unpickled(file, storages, name).value for _ in range(2))
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise FileError(
            f"{name} was saved on a big-endian machine, which is not read here. Save it again on another one."
        )
    value = _unpickled(file, storages, name).value
    keys = _unpickled(file, storages, name).value
    at = file.tell()
    for key in keys if isinstance(keys, list) else []:
        storage = storages.found.get(str(key))
        if storage is None or storage.content is not None:
            raise FileError(
                f"{name} is damaged (storage {printable(str(key), 40)} is not named, or twice). {GET_AGAIN}"
            )
        start, at = at + 8, at + 8 + storage.size_bytes
        _fill(storage, mapped, start, at, name)
    return value


def _read_identity(text: str) -> tuple[Any, ...]:
    """Return the persistent id that protocol 0 has written as a text, in which torch itself cannot read it again."""
    match = re.fullmatch(r"\('storage', <class '([\w.]+)'>, '(\d+)', '([\w:]+)', (\d{1,18})(?:, None)?\)", text)
    if match is None:
        raise ValueError("a persistent id that is no storage")
    return "storage", Named(match[1]), match[2], match[3], int(match[4])


def _refuse_programs(entries: Mapping[str, Any], name: str) -> None:
    """Raise FileError for TorchScript, which torch below 2.6 runs, whatever it was asked for (CVE-2025-32434)."""
    inside = [one.partition("/")[2] for one in entries]
    if "constants.pkl" in (*entries, *inside) or any(one.startswith("code/") for one in inside):
        raise FileError(
            f"{name} is a TorchScript archive: a program, not weights. It was not loaded. Use the .safetensors file, "
            f"or one that was saved from a state_dict."
        )


def _span(mapped: mmap.mmap, entry: zipfile.ZipInfo, name: str) -> tuple[int, int]:
    """Return where the bytes of an uncompressed entry begin and end in the file."""
    header = mapped[entry.header_offset : entry.header_offset + 30]
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise FileError(
            f"{name} is damaged (no entry begins where {printable(entry.filename, 60)} should). {GET_AGAIN}"
        )
    if entry.compress_type or entry.flag_bits & 1:
        raise FileError(f"{name} is a packed zip archive, which torch does not write. Save it again with torch.save.")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start = entry.header_offset + 30 + name_length + extra_length
    return start, start + entry.file_size


def _fill(storage: _Storage, mapped: mmap.mmap, start: int, end: int, name: str) -> None:
    """Give a storage its bytes."""
    if end > len(mapped) or end - start < storage.size_bytes:
        raise FileError(f"{name} is cut off or damaged: its tensors need more bytes than there are. {GET_AGAIN}")
    if not storage.size_bytes:
        storage.content = torch.empty(0, dtype=torch.uint8)
        return
    content = torch.frombuffer(mapped, dtype=torch.uint8, count=storage.size_bytes, offset=start)
    storage.content = content if start % 16 == 0 else content.clone()


def _unpickled(file: io.BytesIO, storages: Callable[[Any], Any], name: str) -> Pickled:
    try:
        found = read_pickle(file, CALLS, storages)
    except DAMAGE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise FileError(f"{name} is damaged ({reason}). {GET_AGAIN}") from error
    code = sorted(one for one in found.unknown if not one.startswith(HARMLESS))
    if code:
        raise FileError(
            f"{name} was not loaded: it is damaged, or holds Python objects besides weights, which could run code "
            f"({printable(', '.join(code)[:80])}). Use the .safetensors file, or one that was saved from a state_dict."
        )
    return found


def _rebuilt(
    storage: Any, offset: Any, shape: Any, strides: Any, *_: Any, dtype: torch.dtype | None = None
) -> StoredTensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or len(shape) != len(strides) or len(shape) > 8:
        raise ValueError("a tensor without a storage")
    if not all(isinstance(one, int) and 0 <= one < 1 << 48 for one in numbers):
        raise ValueError("a tensor of an impossible size")
    return StoredTensor(storage, dtype or storage.dtype, offset, tuple(shape), tuple(strides))


def _rebuilt_v3(
    storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> StoredTensor:
    return _rebuilt(storage, offset, shape, strides, dtype=_DTYPES[dtype.name])


def _inner(data: Any, *_: Any) -> Any:
    return data


def _odd(kind: str) -> Callable[..., OddTensor]:
    return lambda *_: OddTensor(kind)


_DTYPES = {
    f"torch.{name}": dtype for name, dtype in vars(torch).items() if isinstance(dtype, torch.dtype) and "q" not in name
}
_STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
    "_UntypedStorage": torch.uint8,
    **dict.fromkeys(("QInt8Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage"), torch.uint8),
    "QInt32Storage": torch.int32,
}
CALLS: Calls = {
    **ARRAY_CALLS,
    "collections.OrderedDict": lambda pairs=(): {key: value for key, value in pairs if isinstance(key, str)},
    "collections.defaultdict": lambda *_: {},
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor": _rebuilt,
    "torch._utils._rebuild_tensor_v2": _rebuilt,
    "torch._utils._rebuild_tensor_v3": _rebuilt_v3,
    "torch._utils._rebuild_parameter": _inner,
    "torch._utils._rebuild_parameter_with_state": _inner,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _inner,
    "torch._utils._rebuild_device_tensor_from_numpy": _inner,
    "torch._tensor._rebuild_from_type_v2": lambda function, _kind, values, *_: CALLS[function.name](*values),
    "torch._utils._rebuild_sparse_tensor": _odd("sparse"),
    "torch._utils._rebuild_sparse_csr_tensor": _odd("sparse"),
    "torch._utils._rebuild_nested_tensor": _odd("nested"),
    "torch._utils._rebuild_qtensor": _odd("quantised"),
    "torch._utils._rebuild_meta_tensor_no_storage": _odd("meta"),
    "torch._utils._rebuild_wrapper_subclass": _odd("wrapped"),
}
"""What calls of torch and numpy in a pickle give."""
