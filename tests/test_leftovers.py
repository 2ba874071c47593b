"""What systems leave beside people's files is nobody, no model and no photo; what is left out is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lib_faceid.commands.cli import main
from lib_faceid.commands.inputs import photos_in
from lib_faceid.errors import PhotoError
from lib_faceid.faces.packs import find_face_pack
from lib_faceid.models.folders import Roots, find_adapters
from lib_faceid.models.leftovers import is_leftover
from lib_faceid.people.library import SUFFIX, People
from lib_faceid.people.names import MAX_NAME_BYTES, safe_name
from lib_faceid.pictures.photo import read_photo
from lib_faceid.references.identity import Identity
from lib_faceid.units.tags import tag_for

APPLE_DOUBLE = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(4000)
LEFT = (
    "._{}", ".{}", ".DS_Store", "Thumbs.db", "THUMBS.DB", "desktop.ini", "ehthumbs.db", "{}.part", "{}.crdownload",
    "{}~", "__MACOSX/._{}", "@eaDir/{}", ".thumbnails/{}", "$RECYCLE.BIN/{}",
)  # fmt: skip


def leave(folder: Path, name: str) -> None:
    for pattern in LEFT:
        path = folder / pattern.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(APPLE_DOUBLE)


def somebody(seed: int = 0) -> Identity:
    return Identity(torch.randn(1, 512, generator=torch.Generator().manual_seed(seed)))


def test_names() -> None:
    root = Path("photos")
    for pattern in LEFT:
        assert is_leftover(root / pattern.format("a.jpg"), root), pattern
    for name in ("a.jpg", "my.photo.png", "Thumbs.jpg", "part.jpg", "  pad.jpg "):
        assert not is_leftover(root / name, root), name
    assert not is_leftover(Path(".config/photos/a.jpg"), Path(".config/photos"))


def test_in_the_library(tmp_path: Path) -> None:
    people = People(tmp_path)
    people.save("Anna", somebody())
    leave(tmp_path, "Anna.safetensors")
    assert people.names() == ("Anna",)
    assert people.most_alike(somebody())[0][0] == "Anna"


def test_among_the_models(tmp_path: Path) -> None:
    folder = tmp_path / "faceid"
    leave(folder, "ip-adapter-faceid_sd15.bin")
    for name in ("a.bin", "b.safetensors ", " c.pth"):
        (folder / name).touch()
    assert [path.name for path in find_adapters(Roots(models=(tmp_path,)))] == [" c.pth", "a.bin", "b.safetensors "]
    pack = tmp_path / "insightface" / "models" / "buffalo_l"
    leave(pack, "det_10g.onnx")
    leave(pack, "w600k_r50.onnx")
    assert find_face_pack(Roots(models=(tmp_path,))) is None
    for name in ("det_10g.onnx", "w600k_r50.onnx"):
        (pack / name).touch()
    found = find_face_pack(Roots(models=(tmp_path,)))
    assert found is not None
    assert found.detector == pack / "det_10g.onnx"


# -------------------------------------------------------------------------------------------------- folders of photos
@pytest.fixture
def album(data_folder: Path, tmp_path: Path) -> Path:
    """One photo under the names that browsers, cameras and phones give it."""
    content = (data_folder / "photos" / "astronaut.png").read_bytes()
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a.jfif", "b.jpe", "c.JPG", "d.jpg_large", "e", "f.heif", "g.txt", " h.png "):
        (folder / name).write_bytes(content)
    return folder


def test_every_ending_or_none(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(album, "a.jpg")
    names = [path.name for path in photos_in([str(album)])]
    assert names == [" h.png ", "a.jfif", "b.jpe", "c.JPG", "d.jpg_large", "e", "f.heif", "g.txt"]
    assert capsys.readouterr().err == ""
    assert read_photo(album / "a.jfif").shape == (512, 512, 3)


def test_what_is_left_out_is_named(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (album / "letter.jpg").write_text("Dear Sir or Madam")
    (album / "inside").mkdir()
    assert len(photos_in([str(album)])) == 8
    assert capsys.readouterr().err == (
        "Left out in album, as no pictures that can be read here: inside/, letter.jpg.\n"
    )


@pytest.mark.parametrize("files", [(), ("letter.jpg", "notes.txt")])
def test_a_folder_without_photos_is_an_error(
    files: tuple[str, ...], tmp_path: Path, face_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("Dear Sir or Madam")
    leave(folder, "a.jpg")
    with pytest.raises(PhotoError, match=r"The folder empty holds .* photos were expected") as caught:
        photos_in([str(folder)])
    assert all(name in str(caught.value) for name in files)
    assert main(["face", "report", str(folder), "--face-models", str(face_models)]) != 0
    assert "photos were expected" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize("letter", ["a", "é", "字", "😀", "\U00020000"])
def test_a_name_fits_the_file_system(letter: str, tmp_path: Path) -> None:
    people = People(tmp_path)
    name = people.save(letter * 300, somebody())
    assert name == letter * min(60, MAX_NAME_BYTES // len(letter.encode()))
    assert len(f"{name}{SUFFIX}.01234567.part".encode()) <= 143
    assert people.load(name).name == name
    assert people.rename(name, 2 * f"b{name}").startswith(f"b{letter}")


def test_a_file_of_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("字" * 80 + SUFFIX)  # 252 of 255 bytes
    somebody().save(path)
    assert Identity.load(path).num_faces == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_of_accents_takes_no_time() -> None:
    assert len(safe_name("a" + "\u0301\u0316" * 60_000).encode()) <= MAX_NAME_BYTES


def test_files_put_there_by_hand_can_be_called(tmp_path: Path) -> None:
    """Whatever they are called: by a harmless name, which a tag can say."""
    people = People(tmp_path)
    people.save("Anna", somebody(1))
    for number, stem in enumerate(("  pad ", "a>b", "a-b", "Rene\u0301", "[x]", "...", " Anna"), 2):
        somebody(number).save(tmp_path / f"{stem}{SUFFIX}")
    (tmp_path / f"b{SUFFIX} ").write_bytes((tmp_path / f"a>b{SUFFIX}").read_bytes())
    names = ("a-b", "a-b 2", "Anna", "Anna 2", "b", "pad", "René", "x")
    assert people.names() == names
    for name in names:
        assert people.load(name).name == name
        assert name in tag_for(name)
    assert torch.equal(people.identity("Anna").id_embeddings, somebody(1).id_embeddings)
    assert torch.equal(people.identity("a-b").id_embeddings, somebody(4).id_embeddings)
    people.delete("a-b 2")
    assert not (tmp_path / f"a>b{SUFFIX}").exists()
    people.save("pad", somebody(9), overwrite=True)
    assert torch.equal(people.identity("pad").id_embeddings, somebody(9).id_embeddings)
    assert people.forget_all() == 7
    assert list(tmp_path.iterdir()) == [tmp_path / f"...{SUFFIX}"]
