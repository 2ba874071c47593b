"""Saved people: kept, found, forgotten; no file outside the folder is touched, and no hostile file gets through."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import write
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lib_faceid.commands.cli import main
from lib_faceid.errors import FaceIDError, FileError, MismatchError, UnitError
from lib_faceid.faces.measures import Measures
from lib_faceid.faces.recognisers import is_as_trained, is_same_space, require_same_space, untrained_note
from lib_faceid.faces.report import PhotoReport
from lib_faceid.people.library import People
from lib_faceid.people.names import safe_name
from lib_faceid.references.files import PERSON as FORMAT
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import PhotoNote, Record, read_record

W600K = "w600k_r50-4c06341c"


def somebody(seed: int = 0, faces: int = 1, recogniser: str = W600K) -> Identity:
    vectors = torch.randn(faces, 512, generator=torch.Generator().manual_seed(seed))
    return Identity(vectors, recogniser=recogniser)


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "models" / "faceid" / "faces")


# ----------------------------------------------------------------------------------------- the library
def test_a_life(people: People) -> None:
    assert people.names() == ()
    assert not people.folder.exists()
    anna = somebody(1)
    record = Record((PhotoNote("ab" * 32, 0.5),), "blue hat")
    assert people.save("Anna", anna, record) == "Anna"
    people.save("Bert", somebody(2))
    assert people.names() == ("Anna", "Bert")
    loaded = people.load("Anna")
    assert torch.equal(people.identity("Anna").id_embeddings, anna.id_embeddings)
    assert (loaded.record.notes, loaded.record.photos) == ("blue hat", record.photos)

    assert people.rename("Anna", "Anna B.") == "Anna B"
    exported = people.export("Anna B")
    people.delete("Anna B")
    assert people.names() == ("Bert",)
    (people.folder / "Back.safetensors").write_bytes(exported)
    assert people.load("Back").record.notes == "blue hat"
    (people.folder / "Half.safetensors.0123.part").write_bytes(b"left behind")
    assert people.forget_all() == 2
    assert list(people.folder.iterdir()) == []


def test_nobody_is_overwritten_by_accident(people: People) -> None:
    people.save("Anna", somebody(1))
    for name in ("Anna", "anna", "ANNA."):
        with pytest.raises(FileError, match="There is a saved person 'Anna' already"):
            people.save(name, somebody(2))
    assert people.save("ANNA", somebody(2), overwrite=True) == "Anna"
    people.save("Bert", somebody(3))
    with pytest.raises(FileError, match="'Anna' already"):
        people.rename("Bert", "anna")
    assert people.rename("Anna", "anna") == "anna"


def test_who_is_not_there(people: People) -> None:
    with pytest.raises(FileError, match=r"There is no saved person 'Zoe'\. Saved: nobody\."):
        people.load("Zoe")
    people.save("Anna", somebody())
    with pytest.raises(FileError, match=r"'Zoe'\. Saved: Anna\."):
        people.delete("Zoe")


def test_found_by_name_by_photo_and_by_likeness(people: People) -> None:
    people.save("Anna", somebody(1), Record((PhotoNote("ab" * 32),)))
    people.save("Bert", somebody(2))
    people.save("Other", somebody(1, recogniser="auraface-00000000"))
    (people.folder / "broken.safetensors").write_bytes(b"nothing")
    found = people.find("abababab")
    assert found is not None
    assert found.name == "Anna"
    assert people.find("ab") is None
    assert people.find("cd" * 32) is None
    noisy = Identity(somebody(2).id_embeddings + 0.1, recogniser="w600k_r50")
    assert [name for name, _ in people.most_alike(noisy)] == ["Bert", "Anna"]
    assert people.most_alike(noisy)[0][1] > 0.9


def test_a_person_is_found_by_the_hashes_of_the_photos(people: People) -> None:
    """Who was made from no others comes first; a saved identity is found by its own fingerprint too."""
    one, two, three = ("1" * 64, "2" * 64, "3" * 64)
    made = {"Ann": (one, two, three), "Ben": (one, two), "Cid": (three,)}
    for name, photos in made.items():
        people.save(name, somebody(len(photos)), Record(tuple(PhotoNote(sha256) for sha256 in photos)))
    for hashes, name in (((one[:8], two[:8]), "Ben"), ((one[:8], three[:8]), "Ann"), ((three,), "Cid")):
        found = people.made_from(hashes)
        assert found is not None
        assert found.name == name
    assert people.made_from(["4" * 8]) is people.made_from([]) is people.made_from(["11"]) is None
    by_itself = people.made_from([people.identity("Ann").fingerprint[:8]])
    assert by_itself is not None
    assert by_itself.name == "Ann"


def test_only_the_owner_may_read_it(people: People) -> None:
    people.save("Anna", somebody())
    if os.name == "posix":
        assert (people.folder / "Anna.safetensors").stat().st_mode & 0o077 == 0


def test_no_pixels_and_no_file_names_unless_asked_for(people: People) -> None:
    people.save("Anna", somebody())
    assert people.load("Anna").record.thumbnail_rgb is None
    thumbnail = np.arange(96 * 96 * 3, dtype=np.uint8).reshape(96, 96, 3)
    people.save("Bert", somebody(), Record(thumbnail_rgb=thumbnail))
    assert np.array_equal(people.load("Bert").record.thumbnail_rgb, thumbnail)  # pyright: ignore[reportArgumentType]


# ----------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Anna", "Anna"),
        ("Zoë 2", "Zoë 2"),
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\Windows\\x", "C-Windows-x"),
        ("con", "con_"),
        ("aux.txt", "aux.txt_"),
        ("a\x00b\nc", "abc"),
        (" .hidden. ", "hidden"),
        ("x" * 99, "x" * 60),
    ],
)
def test_names_become_harmless(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["", "..", "///", " ", "\x00", "-.-"])
def test_names_of_which_nothing_is_left(name: str) -> None:
    with pytest.raises(UnitError, match="is no name for a person"):
        safe_name(name)


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=80))
def test_no_name_leaves_the_folder(name: str, tmp_path: Path) -> None:
    people = People(tmp_path / "faces")
    try:
        used = people.save(name, somebody(), overwrite=True)
    except UnitError:
        return
    assert used in people.names()
    assert {path.name for path in tmp_path.iterdir()} <= {"faces", ".faces.lock"}
    assert all(path.parent == people.folder for path in people.folder.rglob("*"))
    people.delete(used)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links_are_not_followed(people: People, tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    somebody().save(outside)
    before = outside.read_bytes()
    people.folder.mkdir(parents=True)
    (people.folder / "link.safetensors").symlink_to(outside)
    assert people.names() == ()
    for name in ("link", "../../../outside", str(outside.with_suffix(""))):
        with pytest.raises(FileError, match="no saved person"):
            people.load(name)
        with pytest.raises(FileError, match="no saved person"):
            people.delete(name)
    people.save("link", somebody(5))
    assert outside.read_bytes() == before


# ----------------------------------------------------------------------------------------- recognisers
def test_recognisers() -> None:
    assert is_as_trained(W600K)
    assert is_as_trained("w600k_r50")
    assert is_as_trained("renamed-4c06341c")
    assert is_as_trained("w600k_r50_fp16-12345678")
    for other in ("", "w600k_mbf-12345678", "glintr100-4ab1d643", "auraface"):
        assert not is_as_trained(other)
    assert is_same_space(W600K, "w600k_r50")
    assert not is_same_space(W600K, "glintr100-4ab1d643")
    assert not is_same_space("", W600K)
    require_same_space("x-1", "x-1")
    with pytest.raises(MismatchError, match=r"different recognisers \(x-1 and unknown\)"):
        require_same_space("x-1", "")
    assert untrained_note(W600K) == untrained_note("") == ""
    assert "expect w600k_r50" in untrained_note("auraface")
    assert untrained_note("w600k_mbf-12345678", "w600k_mbf") == untrained_note("w600k_mbf_f32-1", "w600k_mbf") == ""
    assert "was trained on w600k_mbf" in untrained_note(W600K, "w600k_mbf")
    both = Identity.joined([somebody(1), somebody(2, recogniser="w600k_r50")])
    assert both.num_faces == 2


# ----------------------------------------------------------------------------------------------- files
def reactor_model(path: Path) -> torch.Tensor:
    """A face model as ReActor writes it: insightface's Face, field by field."""
    embedding = torch.randn(512) * 20
    fields = {
        "bbox": torch.rand(4),
        "kps": torch.rand(5, 2),
        "det_score": torch.tensor(0.8),
        "landmark_3d_68": torch.rand(68, 3),
        "pose": torch.rand(3),
        "landmark_2d_106": torch.rand(106, 2),
        "embedding": embedding,
        "gender": torch.tensor(1),
        "age": torch.tensor(33),
    }
    save_file(fields, path)
    return embedding


def test_a_face_model_of_reactor(people: People) -> None:
    people.folder.mkdir(parents=True)
    embedding = reactor_model(people.folder / "Carla.safetensors")
    carla = people.identity("Carla")
    assert torch.equal(carla.id_embeddings[0], embedding)
    assert is_as_trained(carla.recogniser)
    assert carla.clip_hidden is None
    assert people.load("Carla").record.photos == ()


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    faces=st.integers(1, 20),
    weights=st.booleans(),
    tokens=st.sampled_from(["concatenate", "average"]),
    recogniser=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    notes=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    hashes=st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=3),
)
def test_saved_and_loaded_it_is_the_same(
    seed: int, faces: int, weights: bool, tokens: Any, recogniser: str, notes: str, hashes: list[str], tmp_path: Path
) -> None:
    given_weights = tuple(range(1, faces + 1)) if weights else ()
    person = Identity(somebody(seed, faces).id_embeddings, recogniser=recogniser, weights=given_weights, tokens=tokens)
    report = PhotoReport("good", 0.9, ("a reason",), Measures(300, 0.8, *[0.5] * 12))
    record = Record(tuple(PhotoNote(sha256, 0.5, report) for sha256 in hashes), notes)
    path = tmp_path / "x.safetensors"
    person.save(path, record)
    again = Identity.load(path)
    assert torch.equal(again.id_embeddings, person.id_embeddings)
    assert (again.recogniser, again.weights, again.tokens) == (recogniser, given_weights, tokens)
    assert (read_record(path).photos, read_record(path).notes) == (record.photos, notes)


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    path = write({"id_embeddings": torch.ones(1, 512)}, tmp_path / "a.safetensors", {"format": "faceid-identity-2"})
    with pytest.raises(FileError, match=r"says faceid-identity-2, and faceid-identity-1 was expected\)\. Update"):
        Identity.load(path)


HOSTILE: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "whole numbers": ({"id_embeddings": torch.ones(1, 512, dtype=torch.int64)}, {}),
    "bytes": ({"id_embeddings": torch.ones(1, 512, dtype=torch.uint8)}, {}),
    "not a number": ({"id_embeddings": torch.full((1, 512), torch.nan)}, {}),
    "infinite": ({"id_embeddings": torch.full((1, 512), torch.inf)}, {}),
    "another length": ({"id_embeddings": torch.ones(1, 511)}, {}),
    "one dimension": ({"id_embeddings": torch.ones(512)}, {}),
    "no face": ({"id_embeddings": torch.ones(0, 512)}, {}),
    "too many faces": ({"id_embeddings": torch.ones(21, 512)}, {}),
    "half of clip": ({"id_embeddings": torch.ones(1, 512), "clip_hidden": torch.ones(1, 257, 1280)}, {}),
    "path-like names": ({"../../id_embeddings": torch.ones(1, 512)}, {}),
    "negative weights": ({"id_embeddings": torch.ones(1, 512)}, {"weights": "[-1]"}),
    "too many weights": ({"id_embeddings": torch.ones(1, 512)}, {"weights": "[1, 2]"}),
    "weights as text": ({"id_embeddings": torch.ones(1, 512)}, {"weights": '"x"'}),
    "weights as one number": ({"id_embeddings": torch.ones(1, 512)}, {"weights": "3"}),
    "weights as nonsense": ({"id_embeddings": torch.ones(1, 512)}, {"weights": "[" * 100_000}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_identities(kind: str, tmp_path: Path) -> None:
    tensors, metadata = HOSTILE[kind]
    path = write(tensors, tmp_path / "a.safetensors", {"format": FORMAT, **metadata})
    with pytest.raises(FileError, match=r"a\.safetensors"):
        Identity.load(path)


@pytest.mark.parametrize(
    "record",
    [
        "[",
        "[]",
        "3",
        '{"photos": 3}',
        '{"photos": [3]}',
        '{"photos": [{}]}',
        '{"photos": [{"sha256": "../../x", "weight": 1}]}',
        json.dumps({"photos": [{"sha256": "ab" * 32, "weight": -1}]}),
        json.dumps({"photos": [{"sha256": "ab" * 32, "weight": 1, "report": {"score": 1}}]}),
        "[" * 100_000,
    ],
)
def test_hostile_records(record: str, tmp_path: Path) -> None:
    tensors = {"id_embeddings": torch.ones(1, 512)}
    path = write(tensors, tmp_path / "a.safetensors", {"format": FORMAT, "record": record})
    assert Identity.load(path).num_faces == 1  # drawing does not need the record
    with pytest.raises(FileError, match=r"a\.safetensors has a damaged record"):
        read_record(path)


@pytest.mark.parametrize("thumbnail", [torch.ones(3, 3, 3), torch.ones(9, 9, dtype=torch.uint8), torch.ones(0, 3, 3)])
def test_hostile_thumbnails(thumbnail: torch.Tensor, tmp_path: Path) -> None:
    path = write({"thumbnail_rgb": thumbnail}, tmp_path / "a.safetensors", {"format": FORMAT})
    with pytest.raises(FileError, match="damaged record"):
        read_record(path)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files(data: st.DataObject, tmp_path: Path) -> None:
    """Cut off anywhere, with any byte changed, with any header: an error of ours, or an identity."""
    path = tmp_path / "a.safetensors"
    somebody().save(path, Record((PhotoNote("ab" * 32),), "notes"))
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        content = whole[: data.draw(st.integers(0, len(whole)))]
    else:
        at = data.draw(st.integers(0, 400))
        content = whole[:at] + data.draw(st.binary(min_size=1, max_size=9)) + whole[at + 1 :]
    path.write_bytes(content)
    for read in (Identity.load, read_record):
        with contextlib.suppress(FaceIDError):
            read(path)


@pytest.mark.parametrize("length", [2**63, 10**9, 99_999_999])
def test_a_huge_header(length: int, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"a":' + b" " * 100)
    with pytest.raises(FileError):
        Identity.load(path)


def test_a_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(FileError, match="not a saved identity: it has 1,000,000,000 bytes"):
        Identity.load(path)


# ------------------------------------------------------------------------------------ the command line
@pytest.fixture
def face(face_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """face("list") is the exit code and the output of the command."""
    monkeypatch.setenv("FACEID_CLIP_VISION", str(tmp_path / "no_clip"))

    def run(command: str, *arguments: object) -> tuple[int, str]:
        places = ("--face-models", str(face_models), "--faces", str(tmp_path / "faces"))
        code = main(["face", command, *map(str, arguments), *places])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_the_command_line(face: Any, data_folder: Path, tmp_path: Path) -> None:
    photos = data_folder / "photos"
    code, text = face("report", photos / "Bryan.png", photos / "no_face.jpeg", "--sheet", tmp_path / "sheet.png")
    assert code == 0
    assert "the face is only 50 px" in text
    assert "no face found (best score 0." in text
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    code, text = face("report", photos / "Bryan.png", tmp_path / "gone.png", "--json")
    bryan, gone = json.loads(text)
    assert bryan["faces"][0]["verdict"] == "good"
    assert "does not exist" in gone["error"]

    code, text = face("save", "Paul", photos / "Paul.jpeg", photos / "no_face.jpeg", "--notes", "hat", "--thumbnail")
    assert code == 0
    assert "'no_face.jpeg' was skipped: No face found" in text
    assert "Saved as 'Paul'." in text
    assert face("save", "Paul", photos / "Paul.jpeg")[0] == 2
    assert face("list")[1].startswith("Paul: 1 face from 1 photo, w600k_mbf")
    assert json.loads(face("show", "Paul", "--json")[1])["notes"] == "hat"
    assert "weight" in face("show", "Paul")[1]
    (listed,) = json.loads(face("list", "--json")[1])
    assert (listed["name"], listed["purpose"], listed["pictures"], listed["photos"]) == ("Paul", "person", 1, 1)
    assert (listed["recogniser"][:9], listed["has_clip_features"], listed["notes"]) == ("w600k_mbf", False, "hat")

    assert "(alike)" in face("compare", "Paul", photos / "Paul2.jpeg")[1]
    assert "(different people)" in face("compare", "Paul", photos / "Chris.jpeg")[1]
    compared = json.loads(face("compare", "Paul", photos / "Chris.jpeg", "--json")[1])
    assert (compared["words"], compared["cosine"] < 0.2) == ("different people", True)
    found = json.loads(face("find", "Paul", photos / "Paul2.jpeg", "--json")[1])
    assert (found["name"], found["face"], found["faces"], len(found["box"])) == ("Paul", 1, 1, 4)
    code, text = face("find", "Paul", photos / "Paul2.jpeg", "--sheet", tmp_path / "found.png")
    assert (code, text.startswith("Paul is face 1 of 1 in Paul2.jpeg, at ")) == (0, True)
    code, text = face("find", "Paul", photos / "Chris.jpeg")
    assert (code, "The saved person is not in the photo" in text) == (2, True)

    assert face("crop", photos / "Bryan.png", "--out", tmp_path / "crops")[0] == 0
    assert len(list((tmp_path / "crops").iterdir())) == 4
    assert face("rename", "Paul", "P/a")[1] == "'Paul' is now 'P-a'.\n"
    assert face("export", "P-a", tmp_path / "out.safetensors")[0] == 0
    assert face("export", "P-a", tmp_path / "out.safetensors")[0] == 2
    assert Identity.load(tmp_path / "out.safetensors").num_faces == 1
    assert "Say --yes to do it" in face("forget-all")[1]
    assert face("forget-all", "--yes")[1] == "1 people are deleted.\n"
    assert face("list")[1].startswith("Nobody is saved in ")
    assert face("list", "--json")[1] == "[]\n"
    assert face("delete", "P-a")[0] == 2
