"""Read model files: `.safetensors`, or torch files with nothing but weights in them. Nothing is unpickled freely."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch.serialization import load as torch_load

from lib_faceid.errors import FileError

__all__ = ["read_metadata", "read_tensors", "sha256_of"]

DOWNLOAD_AGAIN = "Delete it and download it again."
MAX_HEADER = 100_000_000  # bytes; the safetensors format allows no longer one


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return every tensor of a model file on the CPU, keyed by its dotted path.

    A nested dict comes out flat (`{"ip_adapter": {"1.to_k_ip.weight": t}}` gives `ip_adapter.1.to_k_ip.weight`), as
    `.safetensors` stores it anyway. The content decides how the file is read, never its extension. Tensors are
    memory-mapped where the format allows, so what nobody looks at is not read from disk.

    Raises FileError when the file is missing, empty, damaged, or holds something other than weights.
    """
    kind = _kind_of(path)
    tensors = _read_safetensors(path) if kind == "safetensors" else _read_torch(path)
    if not tensors:
        raise FileError(f"{path.name} holds no weights at all. Use a model file from its official page.")
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """Return the text metadata of a `.safetensors` file; empty for every other kind."""
    if _kind_of(path) != "safetensors":
        return {}
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = cast("dict[str, Any]", json.loads(file.read(length)))
    return {str(key): str(value) for key, value in header.get("__metadata__", {}).items()}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _kind_of(path: Path) -> str:
    """Tell `safetensors` from `torch` by the first bytes; raise FileError for anything else."""
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise FileError(f"{path} {found}, a model file was expected. Check the name, or refresh the list.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}). Check who may read it.") from error
    if size == 0:
        raise FileError(f"{path.name} is empty (0 bytes). {DOWNLOAD_AGAIN}")
    if len(start) >= 9 and start[8:9] == b"{":
        (length,) = struct.unpack("<Q", start[:8])
        if length <= size:
            return "safetensors"
        if length <= MAX_HEADER:
            raise FileError(f"{path.name} is cut off ({size:,} bytes, shorter than its own header). {DOWNLOAD_AGAIN}")
    if start[:2] in (b"PK", b"\x80\x02"):
        return "torch"
    is_text = start.isascii() and b"\0" not in start
    found = "a text or web page" if is_text else "an unknown kind of file"
    raise FileError(f"{path.name} is {found}, not .safetensors or .bin weights. {DOWNLOAD_AGAIN}")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, ValueError, OSError, RuntimeError) as error:
        raise FileError(f"{path.name} is damaged ({_first_line(error)}). {DOWNLOAD_AGAIN}") from error


def _read_torch(path: Path) -> dict[str, torch.Tensor]:
    try:
        content = _load_weights(path)
    except FileError:
        raise
    except pickle.UnpicklingError as error:
        raise FileError(
            f"{path.name} was not loaded: it is damaged, or holds Python objects besides weights, which could run "
            f"code. Use the .safetensors file, or download it again from its official page."
        ) from error
    except Exception as error:  # a damaged pickle trips torch's reader up anywhere, down to struct.error
        raise FileError(f"{path.name} is damaged ({_first_line(error)}). {DOWNLOAD_AGAIN}") from error
    return dict(_flatten(content, ""))


def _load_weights(path: Path) -> object:
    # Not torch.load: hosts replace that name by a loader of theirs that prints an error and returns None.
    can_be_mapped = _is_torch_zip(path)
    if path.name.endswith(".safetensors"):  # torch goes by the extension, except with an open file
        with path.open("rb") as file:
            return torch_load(file, map_location="cpu", weights_only=True)
    # A str, not a Path: torch 2.1 refuses to map anything else.
    return torch_load(str(path), map_location="cpu", weights_only=True, mmap=can_be_mapped)


def _is_torch_zip(path: Path) -> bool:
    """Say whether the file is torch's zip format, which can be memory-mapped; other zips are refused."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
    raise FileError(f"{path.name} is a zip archive, not a model file. Unpack it and use the file inside.")


def _flatten(content: object, prefix: str) -> list[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        return [(prefix, content)]
    if not isinstance(content, Mapping):
        return []
    items: list[tuple[str, torch.Tensor]] = []
    for key, value in cast("Mapping[object, object]", content).items():
        items += _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return items


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
