"""512 numbers are a person, whichever program wrote them and however; what is none is refused in words of its own."""

from __future__ import annotations

import base64
import io
import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import SD15, tiny_parts_of, write
from safetensors.torch import save_file

from lib_faceid.commands.cli import main
from lib_faceid.errors import FileError, MismatchError
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import read_record
from lib_faceid.references.vectors import is_person_file

V = torch.randn(512, generator=torch.Generator().manual_seed(1)) * 20 / 512**0.5
OTHER = torch.randn(512, generator=torch.Generator().manual_seed(2))
LIST: list[float] = V.tolist()


def torch_bytes(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def npy_bytes(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz_bytes(save: Any, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def table(*rows: list[Any], separator: str = ",") -> bytes:
    return "\n".join(separator.join(map(str, row)) for row in rows).encode()


Z = torch.zeros(1, 512)
FILES: dict[str, Callable[[], bytes]] = {
    "a.bin": lambda: torch_bytes(V),
    "row.pt": lambda: torch_bytes(V[None]),
    "dict.pt": lambda: torch_bytes({"embedding": V}),
    "deep.pt": lambda: torch_bytes({"people": [{"name": "Anna", "feat": V[None, None]}]}),
    "list.pt": lambda: torch_bytes([V]),
    "uncond and cond.pt": lambda: torch_bytes(torch.stack([Z, V[None]])),
    "zeros and embedding.pt": lambda: torch_bytes((Z, V[None])),
    "numbers.pt": lambda: torch_bytes({"embedding": LIST}),
    "parameter.pt": lambda: torch_bytes({"embedding": torch.nn.Parameter(V)}),
    "legacy.pt": lambda: pickle.dumps({"embedding": V.numpy()}, protocol=2),
    "raw and unit.pt": lambda: torch_bytes({"normed_embedding": V / V.norm(), "embedding": V}),
    "v.npy": lambda: npy_bytes(V.numpy()),
    "double.npy": lambda: npy_bytes(V[None].double().numpy()),
    "v.npz": lambda: npz_bytes(np.savez, a=V.numpy(), age=np.array(30)),
    "packed.npz": lambda: npz_bytes(np.savez_compressed, a=V.numpy()),
    "v.pkl": lambda: pickle.dumps({"embedding": V.numpy()}),
    "bare.pkl": lambda: pickle.dumps(V.numpy(), protocol=0),
    "v.json": lambda: json.dumps({"embedding": LIST}).encode(),
    "bom.json": lambda: b"\xef\xbb\xbf" + json.dumps(LIST).encode(),
    "deepface.json": lambda: json.dumps(
        [{"embedding": LIST, "facial_area": {"x": 1, "y": 2}, "face_confidence": 0.9}]
    ).encode(),
    "row.csv": lambda: table(LIST),
    "semicolons.csv": lambda: table(LIST, separator=";"),
    "labelled.csv": lambda: table(["name", *range(512)], ["Anna", *LIST]),
    "column.csv": lambda: table(*([value] for value in LIST)),
    "pandas.csv": lambda: table(["", "0"], *([i, value] for i, value in enumerate(LIST))),
    "savetxt.txt": lambda: table(*([f"{value:.18e}"] for value in LIST)),
    "base64.txt": lambda: base64.b64encode(torch_bytes((Z, V[None]))),
    "no ending": lambda: npy_bytes(V.numpy()),
}


@pytest.mark.parametrize("name", FILES)
def test_one_vector_is_a_person(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name]())
    identity = Identity.load(tmp_path / name)
    assert torch.allclose(identity.id_embeddings, V[None], rtol=1e-5)
    assert identity.recogniser == ""
    assert Identity.load(tmp_path / name, recogniser="w600k_r50").recogniser == "w600k_r50"
    assert read_record(tmp_path / name).photos == ()
    assert is_person_file(tmp_path / name)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_layout_of_safetensors(tmp_path: Path, dtype: torch.dtype) -> None:
    path = write({"who": V[None].to(dtype), "box": torch.ones(4)}, tmp_path / "a.safetensors")
    assert torch.allclose(Identity.load(path).id_embeddings, V[None].to(dtype).float())


def test_the_recogniser_is_taken_from_a_file_that_names_it(tmp_path: Path) -> None:
    path = write({"v": V}, tmp_path / "a.safetensors", {"recogniser": "glintr100"})
    assert Identity.load(path).recogniser == Identity.load(path, "w600k_r50").recogniser == "glintr100"
    (tmp_path / "a.json").write_text(json.dumps({"v": LIST, "recognizer": "facenet512"}))
    assert Identity.load(tmp_path / "a.json").recogniser == "facenet512"


def test_programs_that_use_buffalo_l_always_are_known_by_their_layout(tmp_path: Path) -> None:
    swaplab = {"embedding": V, "gender": torch.tensor(1), "age": torch.tensor(30)}
    assert Identity.load(write(swaplab, tmp_path / "a.safetensors")).recogniser == "w600k_r50"
    torch.save({**swaplab, "bbox": torch.ones(4)}, tmp_path / "a.pt")
    assert Identity.load(tmp_path / "a.pt").recogniser == ""  # insightface's, with any of its packs


def test_several_faces_of_one_person(tmp_path: Path) -> None:
    faces = V + torch.randn(3, 512, generator=torch.Generator().manual_seed(3)) * 0.2
    np.save(tmp_path / "a.npy", faces.numpy())
    torch.save(list(faces), tmp_path / "a.pt")
    (tmp_path / "a.csv").write_bytes(table(*faces.tolist()))
    for name in ("a.npy", "a.pt", "a.csv"):
        assert torch.allclose(Identity.load(tmp_path / name).id_embeddings, faces, rtol=1e-4)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "two.pt": (lambda: torch_bytes({"a": V, "b": OTHER}), r"2 vectors of 512 numbers that are not alike \(a, b\)"),
    "people.npy": (lambda: npy_bytes(torch.stack([V, OTHER]).numpy()), "2 vectors of 512 numbers that are not alike"),
    "many.npy": (lambda: npy_bytes(V.expand(30, 512).numpy()), "holds 30 vectors; up to 20 faces"),
    "nan.pt": (lambda: torch_bytes(V * torch.nan), "is not a saved identity"),
    "zeros.npy": (lambda: npy_bytes(np.zeros(512)), "is not a saved identity"),
    "tiny.npy": (lambda: npy_bytes(np.full(512, 1e-14)), "lengths from .* no recogniser's numbers"),
    "huge.npy": (lambda: npy_bytes(np.full(512, 3e37)), "lengths from .* no recogniser's numbers"),
    "whole.npy": (lambda: npy_bytes(np.arange(512)), "is not a saved identity"),
    "short.json": (lambda: json.dumps(LIST[:128]).encode(), "is not a saved identity"),
    "huge.json": (lambda: b"[" + b"1" + b"0" * 400 + b"," + json.dumps(LIST[1:]).encode()[1:], "not a saved identity"),
    "deep.json": (lambda: b"[" * 100_000 + b"]" * 100_000, "damaged JSON|without end"),
    "damaged.json": (lambda: b'{"embedding": [1, 2', "is damaged JSON"),
    "words.txt": (lambda: b"Anna and Ben", r"is a text or web page; one vector of 512 numbers in a \.safetensors"),
    "page.html": (lambda: b"<!DOCTYPE html><html></html>", "is a text or web page"),
    "objects.npy": (lambda: npy_bytes(np.array([None], dtype=object)), "cannot be read"),
    "photo.jpg": (lambda: b"\xff\xd8\xff\xe0" + bytes(600), "is a picture; one vector"),
    "empty.npy": (lambda: b"", "text or web page|is empty|one vector"),
    "adapter.bin": (lambda: torch_bytes(tiny_parts_of("faceid", SD15).nested()), "is not a saved identity"),
    "stride 0.pt": (lambda: torch_bytes({"embedding": torch.ones(1).half().expand(10**9)}), "is not a saved identity"),
    "stride 0 rows.pt": (lambda: torch_bytes(torch.ones(1).expand(10**6, 512)), "is not a saved identity"),
    "meta.pt": (lambda: torch_bytes(torch.ones(1, 512, device="meta")), "is not a saved identity"),
    "sparse.pt": (lambda: torch_bytes(torch.eye(512).to_sparse()), "is not a saved identity"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_person_is_refused_in_words(tmp_path: Path, name: str) -> None:
    make, told = REFUSED[name]
    (tmp_path / name).write_bytes(make())
    started = time.monotonic()
    with pytest.raises(FileError, match=told) as caught:
        Identity.load(tmp_path / name)
    assert time.monotonic() - started < 5
    assert name in str(caught.value)
    assert "ownload" not in str(caught.value)


def test_an_evil_pickle_is_no_person(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "it ran",))

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"embedding": V.numpy(), "more": Evil()}))
    with pytest.raises(FileError, match="Python objects besides weights"):
        Identity.load(tmp_path / "a.pkl")
    assert not (tmp_path / "it ran").exists()


def test_an_npz_that_unpacks_to_too_much(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz_bytes(np.savez_compressed, a=np.zeros(10_000_000)))
    with pytest.raises(FileError, match=r"more than 67,108,864 bytes"):
        Identity.load(tmp_path / "a.npz")


def test_a_length_that_is_nobody(tmp_path: Path) -> None:
    for factor in (1e-45, 1e-14, 1e19, 1e30):
        with pytest.raises(MismatchError, match=r"lengths from|all zeros|not numbers"):
            Identity(torch.full((1, 512), factor))
    assert Identity(torch.full((1, 512), 0.01)).normed_embeddings.norm() == pytest.approx(1)
    save_file({"a": V}, tmp_path / "a.safetensors")
    assert Identity.load(str(tmp_path / "a.safetensors"))


def test_photos_are_no_person_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(600))
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(600))
    assert not is_person_file(tmp_path / "a.png")
    assert not is_person_file(tmp_path / "a.jpg")
    assert is_person_file(tmp_path / "missing.npy")
    assert not is_person_file(tmp_path / "missing.jpg")


def test_the_command_line_keeps_them_and_names_the_recogniser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "v.npy", V.numpy())
    faces, file = str(tmp_path / "faces"), str(tmp_path / "v.npy")
    assert main(["face", "save", "Anna", file, "--faces", faces]) == 0
    assert "Which recogniser made this person's numbers is not known" in capsys.readouterr().out
    assert main(["face", "save", "Ben", file, "--faces", faces, "--recogniser", "w600k_r50"]) == 0
    assert capsys.readouterr().out.startswith("Saved as 'Ben'")
    assert main(["face", "compare", "Ben", file, "--faces", faces, "--recogniser", "w600k_r50"]) == 0
    assert capsys.readouterr().out.startswith("1.000 (alike)")
    assert main(["face", "compare", "Ben", file, "--faces", faces]) != 0
