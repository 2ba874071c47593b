"""Which file of a net drew a picture: in the metadata and the journal, and no file is read twice for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lib_faceid.app.again import SAME, _other_net, draw_again
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import Session
from lib_faceid.commands.drawing import draw
from lib_faceid.errors import UnitError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.job import Job
from lib_faceid.journal.compare import compare, compare_metadata
from lib_faceid.journal.journal import open_journal
from lib_faceid.journal.run import Run
from lib_faceid.miniature import write_controlnet
from lib_faceid.models import hashes
from lib_faceid.models.folders import Roots
from lib_faceid.models.hashes import Hashes, file_sha256, own_hashes
from lib_faceid.models.own_settings import change_settings
from lib_faceid.units.control import ControlUnit, control_from_infotext


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed; what was read before is forgotten."""
    names: list[str] = []
    real = hashes.sha256_of
    monkeypatch.setattr(hashes, "sha256_of", lambda path: names.append(path.name) or real(path))
    hashes._read_once.cache_clear()
    return names


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, read: list[str]) -> None:
    path, kept = tmp_path / "a.safetensors", tmp_path / "kept" / "hashes.json"
    path.write_bytes(b"a")
    first = hashlib.sha256(b"a").hexdigest()
    assert {file_sha256(path), Hashes(kept).of(path), Hashes(kept).of(path)} == {first}
    assert read == ["a.safetensors"]
    hashes._read_once.cache_clear()  # another run of the program
    assert Hashes(kept).of(path) == first
    assert read == ["a.safetensors"]
    path.write_bytes(b"bb")
    assert Hashes(kept).of(path) == hashlib.sha256(b"bb").hexdigest() != first
    with pytest.raises(OSError, match="No such file"):
        file_sha256(tmp_path / "none.safetensors")


def test_parts_count_all_and_a_disk_that_refuses_costs_time_only(tmp_path: Path, read: list[str]) -> None:
    parts = [tmp_path / f"net-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for part in parts:
        part.write_bytes(part.name.encode())
    whole = file_sha256(parts[0])
    assert whole == "+".join(hashlib.sha256(part.name.encode()).hexdigest() for part in parts)
    (tmp_path / "file").touch()
    refusing = Hashes(tmp_path / "file" / "hashes.json")
    assert refusing.of(parts[0]) == whole
    parts[1].write_bytes(b"another")
    assert Hashes().of(parts[0]) != whole


@pytest.mark.usefixtures("loaded_once")
def test_a_run_tells_which_file_and_reads_it_once(
    tmp_path: Path, miniature_checkpoint: Callable[[str], Path], read: list[str]
) -> None:
    pytest.importorskip("diffusers", reason="pictures are drawn on diffusers")
    net = write_controlnet(tmp_path / "pose.safetensors", "sd15")
    image = Image.effect_noise((64, 64), 90).convert("RGB")
    image.save(tmp_path / "pose.png")
    resources = Resources(Roots((tmp_path / "models",)), checkpoint=miniature_checkpoint("sd15"))
    change_settings(resources.roots, journal=True)
    requests, control = [Request("a garden", size_px=(64, 64), steps=1, seed=5)], ControlUnit(net, image)

    def drawn() -> Run:
        said: list[str] = []
        draw(resources, [], requests, tmp_path / "out", said.append, controls=[control])
        written = next(line for line in said if line.startswith("Journal: "))
        return open_journal(resources.roots).run(written.removeprefix("Journal: "))

    first = drawn()
    digest = hashlib.sha256(net.read_bytes()).hexdigest()
    assert first.nets == {"FaceID control 0": digest}
    assert f"net: pose, file: {digest[:10]}, hint: picture, picture: " in first.infotext()
    assert control_from_infotext(first.settings, 0)["net"] == "pose"
    assert read.count("pose.safetensors") == 1
    assert own_hashes(resources.roots).of(net) == digest
    write_controlnet(net, "sd15", seed=9)
    second = drawn()
    assert read.count("pose.safetensors") == 2
    said = [one.words for one in compare(first, second).settings]
    assert [words.split(":")[0] for words in said] == ["FaceID control 0 net SHA-256", "FaceID control 0 file"]
    (only,) = compare_metadata(first.infotext(), second.infotext())
    assert only.name == "FaceID control 0 file"
    assert Run.from_dict(first.as_dict()).nets == first.nets
    older = {name: value for name, value in first.as_dict().items() if name != "nets"}
    assert Run.from_dict(older).nets == {}


def test_a_unit_whose_net_is_another_file_is_named() -> None:
    run, job = Run("x", "", {}), Job([], Resources(Roots()).models())
    assert _other_net(run, job) == "", "nothing was written down"
    assert _other_net(replace(run, nets={"FaceID 0": "a"}), job).startswith("FaceID 0: its ControlNet is another file")


@pytest.mark.usefixtures("loaded_once", "no_network")
def test_a_run_is_drawn_again_where_its_picture_is_at_hand(
    tmp_path: Path, miniature_checkpoint: Callable[[str], Path]
) -> None:
    """By the hash of its pixels, whatever its file is called; another net of that name is told."""
    pytest.importorskip("diffusers", reason="pictures are drawn on diffusers")
    net = write_controlnet(tmp_path / "models" / "ControlNet" / "deep" / "pose.safetensors", "sd15")
    image, other = (Image.effect_noise((64, 64), 90).convert("RGB") for _ in range(2))
    image.save(tmp_path / "followed.png")
    other.save(tmp_path / "other.png")
    resources = Resources(Roots((tmp_path / "models",)), checkpoint=miniature_checkpoint("sd15"))
    change_settings(resources.roots, journal=True)
    requests = [Request("a garden", "", (64, 64), 1, 4.0, 5)]
    controls = [ControlUnit(net, image, strength=0), ControlUnit(net, image, "edges", strength=0.8)]
    said: list[str] = []
    draw(resources, [], requests, tmp_path / "out", said.append, controls=controls)
    journal = open_journal(resources.roots)
    run = journal.run("1")

    def again(*pictures: str) -> str:
        ((_, words),) = draw_again(Session(resources), run, journal, [tmp_path / one for one in pictures])
        return words

    assert again("other.png", "followed.png") == SAME
    with pytest.raises(UnitError, match=r"F-000001 followed a picture \([0-9a-f]{8}\), which is not kept, and none of"):
        again("other.png")
    write_controlnet(net, "sd15", seed=9)
    assert (
        again("followed.png") == "FaceID control 1: its ControlNet is another file now (another SHA-256), or not here."
    )
    net.rename(tmp_path / "gone.safetensors")
    with pytest.raises(UnitError, match="followed the net pose, which is not in models/ControlNet"):
        again("followed.png")
