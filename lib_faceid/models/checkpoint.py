"""Read model files: `.safetensors`, or torch files with nothing but weights in them. Nothing is unpickled freely."""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from lib_faceid.errors import FileError
from lib_faceid.models.arrays import Array
from lib_faceid.models.kinds import GET_AGAIN, START_BYTES, Kind, is_safetensors_start, kind_of
from lib_faceid.models.shards import parts_of
from lib_faceid.models.torch_files import OddTensor, StoredTensor, read_torch_pickle, read_torch_zip
from lib_faceid.models.tree import leaves, printable

__all__ = [
    "Weights",
    "is_safetensors",
    "read_content",
    "read_metadata",
    "read_tensors",
    "read_weights",
    "read_whole",
    "sha256_of",
    "tensor_of",
]

# A file may hold a tensor under several names, as checkpoints of trainers do; not hundreds of times what it has.
MOST_TIMES, MOST_BYTES_MORE = 8, 16 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Weights:
    """The tensors and the text metadata of one model file."""

    path: Path
    tensors: Mapping[str, Tensor]
    """On the CPU, by dotted path; mapped from the file where its format allows."""
    metadata: Mapping[str, str]
    """Of `.safetensors`; empty for every other kind."""


def read_weights(path: Path) -> Weights:
    """Return every tensor of a model file on the CPU, keyed by its dotted path, with the file's metadata.

    A nested dict comes out flat (`{"ip_adapter": {"1.to_k_ip.weight": t}}` gives `ip_adapter.1.to_k_ip.weight`), as
    `.safetensors` stores it anyway. The content decides how the file is read, never its extension. Tensors are
    memory-mapped where the format allows, so what nobody looks at is not read from disk.

    Raises FileError when the file is missing, empty, damaged, or holds something other than weights.
    """
    kind, size_bytes = _kind(path)
    if kind == "safetensors":
        weights = _read_safetensors(path)
    else:
        weights = Weights(path, _tensors(read_content(path), path.name, size_bytes), {})
    if not weights.tensors:
        raise FileError(f"{path.name} holds no weights at all. Use a file that was saved from a model's state_dict.")
    return weights


def read_whole(path: Path) -> Weights:
    """Return the tensors of a model file and of its other parts. Raises FileError, naming a missing part."""
    parts = parts_of(path)
    missing = [part.name for part in parts if not part.is_file()]
    if len(parts) == 1 or not path.is_file():
        return read_weights(path)
    if missing:
        there = f"{', '.join(missing[:3])} {'is' if len(missing) == 1 else 'are'} not beside it"
        raise FileError(
            f"{path.name} is part {parts.index(path) + 1} of {len(parts)} of a model, and {there}. Put all parts into "
            f"one folder."
        )
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for part in parts:
        weights = read_weights(part)
        tensors |= weights.tensors
        metadata |= weights.metadata
    return Weights(path, tensors, metadata)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of `read_weights`."""
    return dict(read_weights(path).tensors)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the text metadata of a `.safetensors` file; empty for every other kind."""
    return dict(_read_safetensors(path).metadata) if _kind(path)[0] == "safetensors" else {}


def is_safetensors(path: Path) -> bool:
    """Whether a file is a `.safetensors` by its content. Raises FileError where it cannot be read at all."""
    with _opened(path) as file:
        return is_safetensors_start(_start(file, path), path.stat().st_size)


def read_content(path: Path) -> Any:
    """Return what a torch file or a pickle holds, nested as it is; its tensors are not made yet.

    Nothing in it is run. Raises FileError.
    """
    with _opened(path) as file:
        kind = kind_of(_start(file, path), path.stat().st_size, path.name)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # so that tensors may be written to
        return read_torch_zip(mapped, file, path.name) if kind == "zip" else read_torch_pickle(mapped, path.name)


def tensor_of(value: Any) -> Tensor | None:
    """Return the tensor that a leaf of `read_content` is; None for anything else. Raises ValueError for a bad one."""
    if isinstance(value, OddTensor):
        raise ValueError(f"is a {value.kind} tensor, and plain numbers were expected")
    if isinstance(value, Array):
        return value.tensor()
    if not isinstance(value, StoredTensor):
        return None
    try:
        return value.tensor()
    except (RuntimeError, OverflowError) as error:
        raise ValueError(f"cannot be read ({str(error).splitlines()[0][:80]})") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _opened(path: Path) -> IO[bytes]:
    try:
        if not path.is_file():
            found = "is a folder" if path.is_dir() else "does not exist"
            raise FileError(f"{path} {found}, a model file was expected. Check the name, or refresh the list.")
        return path.open("rb")
    except (OSError, ValueError) as error:  # a path too long, or with a zero byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise FileError(f"{path} cannot be read ({reason}). Check who may read it.") from error


def _start(file: IO[bytes], path: Path) -> bytes:
    try:
        return file.read(START_BYTES)
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}). Check the disk.") from error


def _kind(path: Path) -> tuple[Kind, int]:
    """Return how a file is read, and its bytes; raise FileError for anything that holds no weights."""
    with _opened(path) as file:
        size_bytes = path.stat().st_size
        return kind_of(_start(file, path), size_bytes, path.name), size_bytes


def _read_safetensors(path: Path) -> Weights:
    try:
        with _as_text(path) as name, safe_open(name, framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            return Weights(path, tensors, {str(key): str(value) for key, value in (file.metadata() or {}).items()})
    except (SafetensorError, ValueError, OSError, RuntimeError, KeyError, AttributeError) as error:
        raise FileError(f"{path.name} is damaged ({_first_line(error)}). {GET_AGAIN}") from error


@contextmanager
def _as_text(path: Path) -> Generator[Path]:
    """Give a path that is UTF-8, which safetensors insists on: where the file's own is not, that of a link to it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="faceid-") as folder:
            link = Path(folder) / "model.safetensors"
            link.symlink_to(path.absolute())
            yield link
    else:
        yield path


def _tensors(content: Any, name: str, size_bytes: int) -> dict[str, Tensor]:
    """Return the tensors in what a torch file holds. Raises FileError for those that cannot be weights."""
    tensors: dict[str, Tensor] = {}
    left = MOST_TIMES * size_bytes + MOST_BYTES_MORE
    for key, value in list(leaves(content, name)):  # so that what unfolds is refused before a tensor is made
        left -= value.size_bytes if isinstance(value, StoredTensor) else 0
        if left < 0:
            raise FileError(
                f"{name} is not what it seems: its tensors would unfold to more than {MOST_TIMES} times its "
                f"{size_bytes:,} bytes ({printable(key)} was the first too much). Use a file that holds real weights."
            )
        try:
            tensor = tensor_of(value)
        except ValueError as error:
            raise FileError(f"{name} cannot be used: the tensor {printable(key)} {error}. {GET_AGAIN}") from error
        if tensor is not None:
            tensors[key] = tensor
    return tensors


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
