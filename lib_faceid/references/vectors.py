"""Embeddings that other programs keep: 512 numbers in a file of any of the usual kinds, and whose they are.

What made them is not in such a file, as a rule: the same 512 numbers of another recogniser are another person.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib_faceid.errors import FileError
from lib_faceid.faces.recognisers import TRAINED_ON
from lib_faceid.models.arrays import Array, read_npy, read_npz
from lib_faceid.models.checkpoint import read_content, read_weights, tensor_of
from lib_faceid.models.kinds import START_BYTES, kind_of, other_kind
from lib_faceid.models.person_suffixes import PERSON_SUFFIXES
from lib_faceid.models.torch_files import StoredTensor
from lib_faceid.models.tree import is_numbers, leaves
from lib_faceid.references.combining import SAME_PERSON
from lib_faceid.references.reference import MAX_PICTURES

__all__ = ["Vectors", "is_person_file", "read_vectors"]

SIZE = 512
MAX_FACES = MAX_PICTURES
MAX_TEXT_BYTES = 8 * 1024 * 1024
EXPECTED = "one vector of 512 numbers in a .safetensors, .pt, .bin, .npy, .json or .csv file was expected"
# Whose files say by what is in them which recogniser it was: both programs use buffalo_l, always.
_KNOWN = (frozenset({"bbox", "kps", "det_score", "embedding"}), frozenset({"embedding", "gender", "age"}))
_SEPARATORS = re.compile(r"[,;\s]+")


class Vectors(NamedTuple):
    """One person's embeddings."""

    embeddings: Tensor
    """[faces, 512], float32, as in the file: raw or of unit length."""
    recogniser: str
    """As an Identity's; empty where the file does not say."""


class _Candidate(NamedTuple):
    name: str
    rows: Tensor
    """[n, 512], finite, none of zeros."""


def is_person_file(path: Path) -> bool:
    """Whether a file may hold embeddings, by its content: a picture does not."""
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    except OSError:
        return path.suffix.lower() in PERSON_SUFFIXES  # reading it says what is wrong
    try:
        kind_of(start, max(path.stat().st_size, START_BYTES), path.name)
    except FileError:
        return start.startswith(b"\x93NUMPY") or other_kind(start)[0].startswith("a text")
    return True


def read_vectors(path: Path) -> Vectors:
    """Return the one person in a file. Raises FileError where there is none, or no telling which one."""
    found = _content(path)
    values = list(leaves(found, path.name))
    candidates = _distinct([one for name, value in values for one in _candidates(name, value)])
    named = [one for one in candidates if "embed" in one.name.lower()]
    if len(candidates) > 1 and len(named) == 1:
        candidates = named
    is_model = any(name.endswith((".weight", ".bias")) for name, _ in values)
    if not candidates or is_model:
        names = json.dumps(sorted(name[:40] for name, _ in values)[:3])
        raise FileError(f"{path.name} is not a saved identity ({names} was found in it; {EXPECTED}).")
    if len(candidates) > 1:
        names = ", ".join(one.name[:40] or "(no name)" for one in candidates[:4])
        raise FileError(
            f"{path.name} holds {len(candidates)} vectors of 512 numbers that are not alike ({names}), and those of "
            f"one person were expected. Keep each person in a file of its own."
        )
    rows = candidates[0].rows
    if len(rows) > MAX_FACES:
        raise FileError(
            f"{path.name} holds {len(rows):,} vectors; up to {MAX_FACES} faces of one person were expected."
        )
    return Vectors(rows, _recogniser(found, values))


def _content(path: Path) -> Any:
    """Return what a file holds: tensors, arrays and lists of numbers, nested as they are."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(START_BYTES)
            rest = file.read(MAX_TEXT_BYTES + 1) if size <= MAX_TEXT_BYTES else b""
        if start.startswith(b"\x93NUMPY"):
            return {"array": read_npy(start + rest)}
        if start[:2] == b"PK" and _is_npz(path):
            return read_npz(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FileError(f"{path.name} cannot be read ({error}); {EXPECTED}.") from error
    try:
        kind = kind_of(start, size, path.name)
    except FileError as error:
        what, _ = other_kind(start)
        if size and not what.startswith("a text"):
            raise FileError(f"{path.name} is {what}; {EXPECTED}.") from error
        return _of_text(path, start + rest)
    if kind == "safetensors":
        weights = read_weights(path)
        return {**weights.metadata, **weights.tensors}
    return read_content(path)


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error):
        return False  # the reader of torch files says what is wrong with it


def _of_text(path: Path, content: bytes) -> Any:
    """Return what a text holds: JSON, a table of numbers, or a torch or numpy file in base64."""
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise FileError(f"{path.name} is a text that is not UTF-8; {EXPECTED}.") from error
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{path.name} is damaged JSON ({str(error)[:80]}); {EXPECTED}.") from error
    if (rows := _table(text)) is not None:
        return {"table": rows}
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded or other_kind(decoded)[0].startswith("a text"):
        raise FileError(f"{path.name} is a text or web page; {EXPECTED}.")
    with tempfile.TemporaryDirectory() as folder:  # which the readers of files want to map
        inner = Path(folder) / path.name
        inner.write_bytes(decoded)
        return {"base64": {name: _copied(value) for name, value in leaves(_content(inner), path.name)}}


def _copied(value: Any) -> Any:
    """Return a tensor that no longer needs its file."""
    rows = _rows(value)
    return value if rows is None else rows.clone()


def _table(text: str) -> list[list[float]] | None:
    """Return the vectors of a table: a row of 512 numbers each, after labels; or one column of 512 numbers."""
    rows: list[list[float]] = []
    column: list[float] = []
    for line in text.splitlines():
        cells = [_number(cell) for cell in _SEPARATORS.split(line.strip(" \t,;"))]
        numbers = [cell for cell in cells if cell is not None]
        if len(numbers) in (SIZE, SIZE + 1) and not all(number.is_integer() for number in numbers):
            rows.append(numbers[-SIZE:])
        elif 1 <= len(cells) <= 2 and cells[-1] is not None:
            column.append(cells[-1])
    if rows:
        return rows
    return [column[-SIZE:]] if len(column) in (SIZE, SIZE + 1) else None


def _number(cell: str) -> float | None:
    try:
        return float(cell.strip("\"'[]()"))
    except ValueError:
        return None


def _candidates(name: str, value: Any) -> Iterable[_Candidate]:
    rows = _rows(value)
    if rows is None or not rows.isfinite().all():
        return
    rows = rows[rows.any(dim=-1)]  # zeros are the negative side of other programs
    if len(rows):
        yield _Candidate(name, rows)


def _rows(value: Any) -> Tensor | None:
    """Return vectors [n, 512] of a value; None where it is something else. What is too large is not looked at."""
    if is_numbers(value):
        value = _listed(value)
    shape: tuple[int, ...] = tuple(value.shape) if isinstance(value, StoredTensor | Array | Tensor) else ()
    size = math.prod(shape)
    if not shape or not 0 < size <= SIZE * 10_000 or size % SIZE or (shape[-1] != SIZE and size != SIZE):
        return None
    try:
        tensor = value if isinstance(value, Tensor) else tensor_of(value)
    except ValueError:
        return None
    if tensor is None or not tensor.is_floating_point() or tensor.layout is not torch.strided or tensor.is_meta:
        return None
    return tensor.detach().float().reshape(-1, SIZE).clone()


def _listed(numbers: Any) -> Tensor | None:
    if len(numbers) != SIZE or not any(isinstance(one, float) for one in numbers):
        return None
    try:
        return torch.tensor([float(one) for one in numbers])
    except OverflowError:
        return None


def _distinct(candidates: list[_Candidate]) -> list[_Candidate]:
    """Join what is one person: the same vector raw and of unit length, and lists of vectors that are alike."""
    left: list[_Candidate] = []
    for one in candidates:
        same = next((i for i, other in enumerate(left) if _is_same(one.rows, other.rows)), None)
        if same is None:
            left.append(one)
        elif one.rows.norm() > left[same].rows.norm():
            left[same] = one
    parents = {one.name.rpartition(".")[0] for one in left}
    are_one = len(parents) == 1 and all(one.name.rpartition(".")[2].isdigit() for one in left)
    rows = torch.cat([one.rows for one in left]) if left else torch.zeros(0, SIZE)
    if len(left) > 1 and are_one and _are_alike(rows):
        return [_Candidate(parents.pop(), rows)]
    return left if len(left) != 1 or _are_alike(rows) else [_Candidate(left[0].name, row[None]) for row in rows]


def _is_same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.cosine_similarity(one, other).min() > 0.999)


def _are_alike(rows: Tensor) -> bool:
    unit = torch.nn.functional.normalize(rows[: MAX_FACES + 1], dim=-1)
    return bool((unit @ unit.T).min() >= SAME_PERSON)


def _recogniser(found: Any, values: Iterable[tuple[str, Any]]) -> str:
    """Return which recogniser a file names, or whose layout it has."""
    of_safetensors = isinstance(found, Mapping) and isinstance(found.get("embedding"), Tensor)
    if of_safetensors and any(found.keys() >= known for known in _KNOWN):
        return TRAINED_ON
    named = (value for name, value in values if name.rpartition(".")[2].lower() in ("recogniser", "recognizer"))
    return next((value[:100] for value in named if isinstance(value, str)), "")
