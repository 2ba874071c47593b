"""Model files are read by content, lazily, and never unpickled freely. What is none says so in one sentence."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import struct
import sys
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import CONTAINERS, Parts, Source, ip_adapter_layers, write
from safetensors.torch import save_file

from lib_faceid.errors import FileError
from lib_faceid.models.checkpoint import read_metadata, read_tensors, sha256_of


def tiny_parts() -> Parts:
    """Return an adapter of a few hundred KB: its tensors are too small for a UNet, and named as they should be."""
    source = Source(0)
    image_proj = source.linear("proj.0", 8, 512) | source.linear("proj.2", 4 * 768, 8) | source.norm("norm", 768)
    return Parts(image_proj, ip_adapter_layers(source, [8] * 3, 768, rank=2))


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("containers")
    parts = tiny_parts()
    found: dict[str, bytes] = {}
    for name in ("safetensors", "bin", "legacy bin"):
        suffix, save = CONTAINERS[name]
        save(parts, folder / f"adapter{suffix}")
        found[name] = (folder / f"adapter{suffix}").read_bytes()
    return found


# ----------------------------------------------------------------------------------------------------------- good files
@pytest.mark.parametrize("name", ["safetensors", "bin", "legacy bin", "legacy pth"])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pth", ".txt", ""])
def test_the_content_decides_not_the_extension(tmp_path: Path, name: str, suffix: str) -> None:
    parts, path = tiny_parts(), tmp_path / f"adapter{suffix}"
    CONTAINERS[name][1](parts, path)
    tensors = read_tensors(path)
    assert tensors.keys() == parts.flat().keys()
    assert all(torch.equal(tensors[key], tensor) for key, tensor in parts.flat().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
@pytest.mark.parametrize("legacy", [False, True])
def test_dtypes_are_kept(tmp_path: Path, dtype: torch.dtype, legacy: bool) -> None:
    path = tmp_path / "a.bin"
    torch.save({"a": {"b": torch.ones(2, 3).to(dtype)}}, path, _use_new_zipfile_serialization=not legacy)
    assert read_tensors(path)["a.b"].dtype == dtype


def test_what_is_no_tensor_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "embedding.pt"
    content = {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(1, 768)}, "name": "me"}
    torch.save(content, path)
    assert list(read_tensors(path)) == ["string_to_param.*"]


@pytest.mark.parametrize("wrap", [dict, OrderedDict])
def test_ordered_dicts_parameters_and_odd_keys(tmp_path: Path, wrap: type[dict[Any, Any]]) -> None:
    path = tmp_path / "a.bin"
    torch.save(wrap({"image_proj": wrap({0: torch.nn.Parameter(torch.ones(1)), (1, 2): torch.ones(1)})}), path)
    assert set(read_tensors(path)) == {"image_proj.0", "image_proj.(1, 2)"}


def test_a_replaced_torch_load_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The WebUI puts its own `load` there, which prints an error and returns None."""
    monkeypatch.setattr(torch, "load", lambda *_args, **_kwargs: None)
    torch.save(tiny_parts().nested(), tmp_path / "a.bin")
    assert read_tensors(tmp_path / "a.bin")


def resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("this system does not say how much memory is resident")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_large_safetensors_file_is_not_read_until_it_is_used(tmp_path: Path) -> None:
    path, size = tmp_path / "large.safetensors", 1 << 30
    header = {"a": {"dtype": "F16", "shape": [size // 2], "data_offsets": [0, size]}}
    header |= {"b": {"dtype": "F16", "shape": [1], "data_offsets": [size, size + 2]}}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size + 2)  # sparse: it takes no room on the disk
    before = resident_bytes()
    tensors = read_tensors(path)
    assert tensors["a"].numel() == size // 2
    assert tensors["b"].sum() == 0
    assert resident_bytes() - before < size // 8


def test_a_large_bin_file_is_not_read_until_it_is_used(tmp_path: Path) -> None:
    path, size = tmp_path / "large.bin", 1 << 27
    torch.save({"a": torch.zeros(size, dtype=torch.int8)}, path)
    before = resident_bytes()
    tensors = read_tensors(path)
    assert tensors["a"].numel() == size
    assert resident_bytes() - before < size // 4


def test_metadata(tmp_path: Path) -> None:
    path = write({"a": torch.ones(1)}, tmp_path / "a.safetensors", {"faceid_variant": "plus"})
    assert read_metadata(path) == {"faceid_variant": "plus"}
    assert read_metadata(write({"a": torch.ones(1)}, tmp_path / "b.safetensors")) == {}
    torch.save({"a": torch.ones(1)}, tmp_path / "c.bin")
    assert read_metadata(tmp_path / "c.bin") == {}


def test_sha256(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3_000_000)
    (tmp_path / "a").write_bytes(data)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(data).hexdigest()


# --------------------------------------------------------------------------------------------------------- broken files
class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def zip_of(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return buffer.getvalue()


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "one byte": (b"\x80", "unknown kind of file"),
    "a web page": (b"<!DOCTYPE html>\n<html><body>404</body></html>" * 20, "text or web page"),
    "a git-lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "text or web page"),
    "json": (b'{"model": {"a": 1}, "b": [1, 2, 3]}', "text or web page"),
    "json with a brace at 8": (b'{"abcd":{"b": [1, 2, 3]}}', "text or web page"),
    "zeros": (bytes(5000), "unknown kind of file"),
    "a zip archive": (zip_of({"model.safetensors": b"x" * 100}), r"is a zip archive.*Unpack it"),
    "an empty zip archive": (zip_of({}), r"is a zip archive"),
    "a zip with a false data.pkl": (zip_of({"a/data.pkl": b"nonsense", "a/version": b"3"}), "a"),
    "only PK": (b"PK\x03\x04", "damaged"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a picture"),
    "a header of garbage": (struct.pack("<Q", 10) + b"{" + b"\xff" * 60, "damaged"),
    "a header that is no header": (struct.pack("<Q", 14) + b'{"a": [1, 2]} ' + bytes(99), "damaged"),
    "a longer header than file": (struct.pack("<Q", 5000) + b'{"a":', "cut off"),
    "no tensors, safetensors": (struct.pack("<Q", 2) + b"{}", "holds no weights at all"),
    "a pickle": (pickle.dumps({"a": [1, 2, 3]}, protocol=2), "a"),
    "a new pickle": (pickle.dumps({"a": [1, 2, 3]}), "holds no weights at all"),
}


def check_told_in_one_sentence(path: Path, pattern: str = r".") -> None:
    with pytest.raises(FileError, match=pattern) as caught:
        read_tensors(path)
    check_is_a_sentence(path, str(caught.value))


def check_is_a_sentence(path: Path, message: str) -> None:
    assert path.name in message
    assert "\n" not in message
    assert len(message) < 400
    assert message.endswith("."), message


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_broken_file_says_so_in_one_sentence(tmp_path: Path, name: str, suffix: str) -> None:
    content, pattern = BROKEN[name]
    path = tmp_path / f"ip-adapter-faceid_sd15{suffix}"
    path.write_bytes(content)
    check_told_in_one_sentence(path, pattern)


def test_tensors_in_a_list_are_named_by_their_place(tmp_path: Path) -> None:
    torch.save({"shadow_params": [torch.ones(1), torch.ones(2)]}, tmp_path / "ema.bin")
    assert list(read_tensors(tmp_path / "ema.bin")) == ["shadow_params.0", "shadow_params.1"]


def test_no_tensors_in_a_bin(tmp_path: Path) -> None:
    for content in ({}, {"a": 1}, [1.0]):
        torch.save(content, tmp_path / "a.bin")
        check_told_in_one_sentence(tmp_path / "a.bin", "holds no weights at all")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    check_told_in_one_sentence(tmp_path / "missing.bin", "does not exist")
    check_told_in_one_sentence(tmp_path, "is a folder")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({"a": torch.ones(1)}, tmp_path / "a.safetensors")

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FileError, match=r"cannot be read \(Permission denied\)"):
        read_tensors(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_an_evil_pickle_is_not_run(tmp_path: Path, legacy: bool) -> None:
    mark, path = tmp_path / "it ran", tmp_path / "evil.bin"
    torch.save({"image_proj": {"a": torch.ones(1), "b": Evil(mark)}}, path, _use_new_zipfile_serialization=not legacy)
    check_told_in_one_sentence(path, "Python objects besides weights, which could run code")
    assert not mark.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_evil_pickle_is_not_run(tmp_path: Path, protocol: int) -> None:
    mark, path = tmp_path / "it ran", tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil(mark), protocol=protocol))
    check_told_in_one_sentence(path)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["safetensors", "bin", "legacy bin"])
def test_a_file_cut_off_anywhere(tmp_path: Path, contents: dict[str, bytes], name: str) -> None:
    content, path = contents[name], tmp_path / "cut.bin"
    ends = {*range(1, 40), *(len(content) * i // 60 for i in range(1, 60)), *(len(content) - i for i in range(1, 40))}
    for end in sorted(ends):
        path.write_bytes(content[:end])
        check_told_in_one_sentence(path)


@pytest.mark.parametrize("name", ["safetensors", "bin", "legacy bin"])
def test_a_file_with_flipped_bytes_is_read_or_refused_in_words(
    tmp_path: Path, contents: dict[str, bytes], name: str
) -> None:
    content, path, chance = contents[name], tmp_path / "flipped.bin", random.Random(1)
    for _ in range(150):
        flipped = bytearray(content)
        near_an_end = chance.choice([chance.randrange(3000), len(content) - 1 - chance.randrange(5000)])
        for offset in range(chance.choice([1, 4, 16])):
            flipped[(near_an_end + offset) % len(content)] = chance.randrange(256)
        path.unlink(missing_ok=True)  # the file before may still be mapped
        path.write_bytes(flipped)
        with suppress(FileError):  # data may be flipped unnoticed; anything but a FileError may not happen
            read_tensors(path)


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be replaced on Windows")
def test_a_file_that_is_replaced_leaves_what_was_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = read_tensors(write({"a": torch.ones(4)}, path))
    save_file({"a": torch.zeros(4)}, tmp_path / "b")
    (tmp_path / "b").replace(path)
    assert tensors["a"].tolist() == [1, 1, 1, 1]
