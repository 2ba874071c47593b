"""Several who write into one library, disks that refuse, and files that are none: nobody is lost, nobody is hidden."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
import torch
from builders import write
from unets import identity_of

from lib_faceid.errors import FileError
from lib_faceid.people.card import card_of
from lib_faceid.people.library import People
from lib_faceid.references.files import PERSON as FORMAT


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "faces")


def test_of_two_who_save_one_name_at_once_one_is_told(people: People) -> None:
    for i in range(10):
        names = [f"Anna {i}", f"ANNA {i}", f"Anna {i}"]
        start, told = threading.Barrier(len(names)), []

        def save(name: str, start: threading.Barrier = start, told: list[str] = told) -> None:
            start.wait()
            try:
                people.save(name, identity_of(1))
            except FileError as error:
                told.append(str(error))

        threads = [threading.Thread(target=save, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(told) == 2
        assert all("There is a saved person" in text for text in told)
        assert [name.casefold() for name in people.names()].count(f"anna {i}") == 1


def test_who_is_deleted_meanwhile_is_said_to_be_gone(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    people.save("Anna", identity_of(1))
    path = people.path("Anna")
    for act in (people.delete, people.export, lambda name: people.rename(name, "Ben")):
        path.unlink(missing_ok=True)
        monkeypatch.setattr(people, "path", lambda _: path)
        with pytest.raises(FileError, match=r"is gone|cannot be read"):
            act("Anna")


def test_accents_in_one_piece_or_two_are_one_person(people: People) -> None:
    people.save("René", identity_of(1))
    people.path("René").rename(people.folder / "Rene\u0301.safetensors")  # as macOS writes it
    with pytest.raises(FileError, match="There is a saved person"):
        people.save("René", identity_of(1))


def test_what_a_killed_program_left_goes_with_the_person(people: People) -> None:
    people.save("Anna", identity_of(1))
    people.save("Ben", identity_of(1))
    left = [people.folder / f"{name}.safetensors.0123abcd.part" for name in ("Anna", "Ben", "Annabel")]
    for path in left:
        path.write_bytes(b"embeddings")
    people.delete("Anna")
    assert [path.exists() for path in left] == [False, True, True]
    people.forget_all()
    assert not any(path.exists() for path in left)


def test_a_disk_that_refuses_is_a_sentence(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    people.save("Anna", identity_of(1))
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(FileError, match=r"cannot be written: No space left on device\. Check its folder\."):
        people.save("Ben", identity_of(1))
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(FileError, match="cannot be read: No space left"):
        people.names()


@pytest.mark.parametrize("bad", ["null metadata", "expanding", "record of 10^400", "nested", "text"])
def test_one_bad_file_hides_nobody(people: People, bad: str) -> None:
    people.save("Anna", identity_of(1))
    path = people.folder / "Bad.safetensors"
    if bad == "null metadata":
        header = b'{"__metadata__":null,"id_embeddings":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    elif bad == "expanding":
        torch.save({"embedding": torch.ones(1).half().expand(10**9)}, path)
    elif bad == "nested":
        value: object = torch.ones(1)
        for _ in range(40):
            value = {"a": value, "b": value}
        torch.save(value, path)
    elif bad == "text":
        path.write_text("[" * 100_000)
    else:
        photo = {"sha256": "0" * 64, "weight": 0, "report": None}
        record = json.dumps({"photos": [photo]}).replace('"weight": 0', f'"weight": {10**400}')
        write({"id_embeddings": torch.ones(1, 512)}, path, {"format": FORMAT, "record": record})
    assert people.names() == ("Anna", "Bad")
    assert [name for name, _ in people.most_alike(identity_of(1))] == ["Anna"]
    assert card_of(path).words
    with pytest.raises(FileError, match="Bad"):
        people.load("Bad")
