"""Every container, protocol and kind of tensor that torch writes is read as torch reads it, and nothing more."""

from __future__ import annotations

import argparse
import io
import pickle
import time
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lib_faceid.errors import FileError
from lib_faceid.models.checkpoint import read_tensors

VIEWS: dict[str, torch.Tensor] = {
    "matrix": torch.arange(12.0).reshape(3, 4),
    "transposed": torch.arange(12.0).reshape(3, 4).t(),
    "part": torch.arange(100.0)[10:20:3],
    "number": torch.tensor(7.0),
    "empty": torch.ones(0, 4),
    "bool": torch.tensor([True, False]),
    "complex": torch.ones(2, dtype=torch.complex64),
    **{str(dtype): torch.ones(3).to(dtype) for dtype in (torch.float64, torch.half, torch.bfloat16, torch.int8)},
    "parameter": torch.nn.Parameter(torch.ones(2)),
}
if torch.__version__ >= "2.2":  # which is the first to save it
    VIEWS["fp8"] = torch.ones(3).to(torch.float8_e4m3fn)
LEGACY = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


@LEGACY
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_tensor_in_every_protocol(tmp_path: Path, legacy: bool, protocol: int) -> None:
    path = tmp_path / "a.bin"
    views = VIEWS if protocol > 1 else {key: t for key, t in VIEWS.items() if key != "fp8"}
    content = OrderedDict(views)
    content._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]  # as state_dict() has
    torch.save({"model": content}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    found = read_tensors(path)
    assert found.keys() == {f"model.{key}" for key in views}
    for key, tensor in views.items():
        read = found[f"model.{key}"]
        assert read.dtype == tensor.dtype
        assert read.shape == tensor.shape
        assert torch.equal(read.to(torch.complex64), tensor.detach().to(torch.complex64)), key


def test_what_training_programs_keep_besides_weights_is_left_out(tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    content: dict[str, Any] = {
        "state_dict": {"a": torch.ones(2)},
        "hyper_parameters": argparse.Namespace(out=Path("a"), rate=1e-4),
        "optimizer": optimizer.state_dict(),
        "rng": np.random.default_rng(0).integers(9, size=3),
        "best": np.float32(1.0),
        "seen": {1, 2},
        "device": torch.device("cpu"),
        "type": torch.float16,
    }
    torch.save(content, tmp_path / "a.ckpt")
    found = read_tensors(tmp_path / "a.ckpt")
    assert found["state_dict.a"].tolist() == [1, 1]
    assert found["rng"].tolist() == content["rng"].tolist()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<i8", "|u1"])
def test_numpy_arrays_in_a_pickle(tmp_path: Path, protocol: int, dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    content = {"c": array, "fortran": np.asfortranarray(array), "objects": np.array([None])}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
    found = read_tensors(tmp_path / "a.pkl")
    assert found.keys() == {"c", "fortran"}
    assert all(tensor.tolist() == array.tolist() for tensor in found.values())


def test_what_is_read_may_be_written_to_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    torch.save({"a": torch.ones(4)}, path)
    before = path.read_bytes()
    read_tensors(path)["a"].zero_()
    assert path.read_bytes() == before
    assert read_tensors(path)["a"].tolist() == [1, 1, 1, 1]


# ---------------------------------------------------------------------------------------------- a little file, unfolded
def nested_dicts(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"a": torch.ones(1)}
    for _ in range(depth):
        made = {"a": made}
    return made


def shared_dicts(levels: int, make: Any) -> Any:
    made = make(torch.ones(1), torch.ones(1))
    for _ in range(levels):
        made = make(made, made)
    return made


def holding_itself() -> dict[str, Any]:
    made: dict[str, Any] = {"t": torch.ones(1)}
    made["a"] = made
    return made


UNFOLDING: dict[str, Any] = {
    "shared dicts": lambda: shared_dicts(40, lambda a, b: {"a": a, "b": b}),
    "shared lists": lambda: shared_dicts(40, lambda a, b: [a, b]),
    "shared tuples": lambda: shared_dicts(40, lambda a, b: (a, b)),
    "shared lists of numbers": lambda: [[[1.0] * 1000] * 1000] * 1000,
    "itself": holding_itself,
    "deep": lambda: nested_dicts(300),
    "stride 0, a matrix": lambda: {"a": torch.ones(1).half().expand(1000, 1_000_000)},
    "stride 0, a vector": lambda: {"embedding": torch.ones(1).half().expand(10**9)},
    "one tensor under many names": lambda: {str(i): torch.ones(1000).expand(100, 1000) for i in range(10_000)},
}


@LEGACY
@pytest.mark.parametrize("name", UNFOLDING)
def test_a_little_file_that_unfolds_is_refused_at_once(tmp_path: Path, name: str, legacy: bool) -> None:
    path = tmp_path / "a.bin"
    torch.save(UNFOLDING[name](), path, _use_new_zipfile_serialization=not legacy)
    started = time.monotonic()
    with pytest.raises(FileError, match=r"without end|unfold to more than|a list of"):
        read_tensors(path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("depth", [1_000, 200_000])
def test_a_pickle_nested_beyond_what_python_can_follow(tmp_path: Path, depth: int) -> None:
    for opened, closed in ((b"(", b"t"), (b"(", b"l"), (b"(K\x01", b"d")):
        content = b"\x80\x02" + opened * depth + b"K\x01" + closed * depth + b"."
        (tmp_path / "a.bin").write_bytes(content)
        with pytest.raises(FileError):
            read_tensors(tmp_path / "a.bin")


ODD = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "sparse csr": lambda: torch.eye(3).to_sparse_csr(),
    "meta": lambda: torch.ones(3, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ODD)
def test_a_tensor_of_another_kind_is_named(tmp_path: Path, name: str) -> None:
    try:
        torch.save({"ip_adapter": {"1.to_k_ip.weight": ODD[name]()}}, tmp_path / "a.bin")
    except RuntimeError as error:
        pytest.skip(f"this torch cannot save one: {error}")
    with pytest.raises(FileError, match=r"the tensor ip_adapter\.1\.to_k_ip\.weight (is a|has no)"):
        read_tensors(tmp_path / "a.bin")


# ------------------------------------------------------------------------------------------------ programs and archives
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("suffix", [".bin", ".pt", ".safetensors"])
def test_torchscript_is_refused_before_torch_sees_it(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{suffix}"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("it came so far")

    monkeypatch.setattr(torch.jit, "load", fail)
    monkeypatch.setattr(torch, "load", fail)
    monkeypatch.setattr(torch.serialization, "load", fail)
    with pytest.raises(FileError, match=r"is a TorchScript archive: a program, not weights\. It was not loaded"):
        read_tensors(path)


def test_a_folder_called_code_is_no_program(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "code.bin")  # torch calls the folder in the archive after the file
    assert list(read_tensors(tmp_path / "code.bin")) == ["a"]


def test_archives_are_named(tmp_path: Path) -> None:
    packed = io.BytesIO()
    torch.save({"a": torch.ones(1)}, tmp_path / "a.bin")
    with zipfile.ZipFile(tmp_path / "a.bin") as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.infolist():
            new.writestr(one.filename, old.read(one))
    (tmp_path / "b.bin").write_bytes(packed.getvalue())
    with pytest.raises(FileError, match=r"is a packed zip archive"):
        read_tensors(tmp_path / "b.bin")


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (b"GGUF", "a GGUF model"),
        (b"\x08\x07\x12\x07pytorch", "an ONNX model"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ", "a note that macOS keeps beside a file"),
        (b"\x80\x02" + bytes(255) + b"ustar", "a tar archive"),
        ("Ärger mit der Datei\n".encode(), "a text or web page"),
        ("a text".encode("utf-16"), "a text or web page"),
        (b"\xff\xd8\xff\xe0", "a picture"),
        (b"\x01\x02\x03", "an unknown kind of file"),
    ],
)
def test_what_it_is_instead_is_said(tmp_path: Path, start: bytes, told: str) -> None:
    (tmp_path / "a.bin").write_bytes(start + bytes(600 if b"\0" in start or not told.startswith("a text") else 0))
    with pytest.raises(FileError, match=f"a.bin is {told}") as caught:
        read_tensors(tmp_path / "a.bin")
    assert "Delete" not in str(caught.value)
