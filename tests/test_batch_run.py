"""A batch: every picture once, whoever draws, dies or stumbles; what is there stays, what is damaged comes again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from itertools import groupby
from pathlib import Path

import pytest
from batches import LostError, PlayedEngine, UnitError, files_of, likeness_of, run

from lib_faceid.app.resources import Resources
from lib_faceid.batch.building import Wanted
from lib_faceid.batch.casts import Cast
from lib_faceid.batch.drawer import Drawer
from lib_faceid.batch.failures import failed_keys
from lib_faceid.batch.keys import Keys
from lib_faceid.batch.local import LocalEngine
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.progress import Progress
from lib_faceid.batch.store import Store
from lib_faceid.batch.work import Rules
from lib_faceid.commands.cli import main
from lib_faceid.errors import FileError, HostError
from lib_faceid.journal.journal import open_journal
from lib_faceid.miniature.folder import write_trained_models
from lib_faceid.models.folders import Roots
from lib_faceid.models.hashes import Hashes
from lib_faceid.models.own_settings import change_settings

PROJECT = Path(__file__).resolve().parent.parent
MANIFEST = """people,prompt,seeds,checkpoint
Anna || Ben,{people} in town,1-6,one||two
Cleo,a wood,1-8,two
Cleo,a wood,5-9,two
"""
COUNT = 2 * 2 * 6 + 9


def test_each_picture_once_for_any_number_of_workers(tmp_path: Path) -> None:
    found: list[dict[str, bytes]] = []
    for count in (1, 2, 7):
        engine = PlayedEngine(count)
        outcome = run(tmp_path / f"{count}", MANIFEST, engine)
        assert (outcome.done, outcome.drawn, outcome.failed, outcome.left) == (COUNT, COUNT, 0, 0)
        assert set(engine.drawn.values()) == {1}
        found.append(files_of(tmp_path / f"{count}"))
    assert len(found[0]) == 2 * COUNT
    assert found[0] == found[1] == found[2]


def test_one_worker_loads_each_model_and_person_once(tmp_path: Path) -> None:
    engine = PlayedEngine(1)
    run(tmp_path, MANIFEST, engine)
    assert [key for key, _ in groupby(one[1] for one in engine.order)] == ["one", "two"]
    assert len([key for key, _ in groupby(engine.order)]) == 5, "two people with one, three with two"


def test_a_second_start_draws_what_is_missing_or_damaged(tmp_path: Path) -> None:
    engine = PlayedEngine()
    run(tmp_path, MANIFEST, engine)
    before = files_of(tmp_path)
    pictures = sorted((tmp_path / "out" / "pictures").glob("*/*.png"))
    pictures[0].write_bytes(pictures[0].read_bytes()[:-1])
    pictures[1].unlink()
    pictures[2].with_suffix(".json").write_text('{"version": 1, "ke')
    pictures[3].with_suffix(".json").unlink()
    pictures[4].with_name(f"{pictures[4].name}.0123abcd.part").write_bytes(b"half")
    engine = PlayedEngine()
    outcome = run(tmp_path, MANIFEST, engine)
    assert (outcome.done, outcome.drawn, outcome.damaged) == (COUNT, 4, 3)
    assert {f"{key}.png" for key in engine.drawn} == {one.name for one in pictures[:4]}
    assert files_of(tmp_path) == before


def test_lost_workers_cost_nothing_but_time(tmp_path: Path) -> None:
    run(tmp_path / "calm", MANIFEST, PlayedEngine())
    dice = random.Random(3)

    def trouble(worker: str, picture: Picture) -> None:
        if dice.random() < 0.3:
            raise LostError(f"{worker} is gone.", counts=dice.random() < 0.2)

    engine = PlayedEngine(4, trouble, attempts=20)
    assert run(tmp_path / "wild", MANIFEST, engine).done == COUNT
    assert files_of(tmp_path / "wild") == files_of(tmp_path / "calm")
    assert set(engine.drawn.values()) == {1}


def test_a_picture_that_kills_its_workers_ends(tmp_path: Path) -> None:
    def trouble(worker: str, picture: Picture) -> None:
        if picture.seed == 3:
            raise LostError(f"{worker} ended.")
        if picture.seed == 4:
            raise UnitError("No face was found.")

    outcome = run(tmp_path, "people,prompt,seeds\nAnna,x,1-5\n", PlayedEngine(2, trouble))
    assert (outcome.done, outcome.failed) == (3, 2)
    lines = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert [(one["row"], one["seed"]) for one in lines] == [(2, 3), (2, 4)]
    assert lines[0]["sentence"].startswith("Given up after 3 tries: worker")
    assert lines[1]["sentence"] == "No face was found."
    assert lines[1]["command"] == "faceid --rows 2"
    engine = PlayedEngine(2)
    outcome = run(
        tmp_path, "people,prompt,seeds\nAnna,x,1-9\n", engine, wanted=Wanted(keys=failed_keys(tmp_path / "out"))
    )
    assert (outcome.drawn, outcome.skipped, outcome.failed) == (2, 4, 0)
    assert not (tmp_path / "out" / "failures.jsonl").exists()


def test_no_worker_left_is_a_sentence_and_keeps_what_is_drawn(tmp_path: Path) -> None:
    class Mortal(PlayedEngine):
        def open(self, place: str):  # noqa: ANN202
            worker = super().open(place)
            worker.revive = lambda: None  # type: ignore[method-assign]
            return worker

    def trouble(worker: str, picture: Picture) -> None:
        if picture.seed > 3:
            raise LostError("The power is out.", counts=False)

    with pytest.raises(HostError, match=r"No worker of played is left\. The power is out"):
        run(tmp_path, "people,prompt,seeds\nAnna,x,1-9\n", Mortal(2, trouble))
    assert run(tmp_path, "people,prompt,seeds\nAnna,x,1-9\n", PlayedEngine()).drawn == 6


def test_a_full_disk_ends_it_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", full)
        with pytest.raises(OSError, match="No space"):
            run(tmp_path, MANIFEST, PlayedEngine())
    assert run(tmp_path, MANIFEST, PlayedEngine()).drawn == COUNT


@pytest.mark.parametrize("workers", [1, 5])
def test_enough_is_enough(tmp_path: Path, workers: int) -> None:
    """The same pictures for any number of workers: seeds of a combination are drawn one after the other."""
    rules, text = Rules(until=0.7, max_per_row=6), "people,prompt,seeds\nAnna || Ben || Cleo,{people},1-3\n"
    engine = PlayedEngine(workers)
    run(tmp_path, text, engine, rules)
    drawn: dict[str, list[int]] = {}
    for path in sorted((tmp_path / "out" / "pictures").glob("*/*.json")):
        one = json.loads(path.read_text())
        drawn.setdefault(one["people"], []).append(one["seed"])
    for who, seeds in drawn.items():
        likenesses = [likeness_of_seed(tmp_path, who, seed) for seed in range(1, 7)]
        wanted = next((at + 1 for at, one in enumerate(likenesses) if one >= 0.7), 6)
        assert sorted(seeds) == list(range(1, wanted + 1)), who
    assert {len(seeds) for seeds in drawn.values()} - {1}, "some needed more than one"
    again = PlayedEngine(workers)
    assert run(tmp_path, text, again, rules).drawn == 0


def likeness_of_seed(folder: Path, who: str, seed: int) -> float:
    return likeness_of(Picture(2, 0, who, seed, Cast(who, ())))


def test_until_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rules, text = Rules(until=0.95, max_per_row=8), "people,prompt,seeds\nAnna || Ben,{people},1-3\n"
    run(tmp_path / "whole", text, PlayedEngine(), rules)
    for _ in range(9):
        run(tmp_path / "parts", text, PlayedEngine(1), rules, Wanted(limit=1))
        kept = sorted((tmp_path / "parts" / "out" / "pictures").glob("*/*.json"))
        if kept:
            kept[0].unlink()  # and one is lost each time
    run(tmp_path / "parts", text, PlayedEngine(), rules)
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_rows_limits_and_hours(tmp_path: Path) -> None:
    assert run(tmp_path, MANIFEST, PlayedEngine(), wanted=Wanted(rows={3})).drawn == 8
    assert run(tmp_path, MANIFEST, PlayedEngine(), wanted=Wanted(limit=5)).drawn == 5
    outcome = run(tmp_path, MANIFEST, PlayedEngine(), Rules(max_seconds=0))
    assert (outcome.drawn, outcome.left) == (0, COUNT - 13)
    assert run(tmp_path / "few", MANIFEST, PlayedEngine(), Rules(max_per_row=2)).done == 4 * 2 + 2 + 2


def test_one_run_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    with store.held():
        code = (
            "import sys; from pathlib import Path; from lib_faceid.batch.store import Store\n"
            "try:\n with Store(Path(sys.argv[1])).held(): pass\nexcept Exception as error: print(error)"
        )
        found = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "out")], cwd=PROJECT, capture_output=True, text=True, check=True
        )
    assert "is being drawn into by another run" in found.stdout
    with pytest.raises(FileError), store.held(), Store(tmp_path / "out").held():
        pass


def test_the_line_says_rate_time_likeness_and_failures() -> None:
    now = [0.0]
    progress = Progress(100, 10, clock=lambda: now[0])
    for likeness in (0.4, 0.6, None):
        now[0] += 2
        progress.add(likeness)
    progress.failed = 2
    assert progress.line() == "13/100 · 0.5 pictures/s · 3 min left · likeness 0.50 · 2 failed"


# ------------------------------------------------------------------ real workers, on the miniature

TINY = """people,prompt,seeds,steps,size
robin,a photo,1-3,1,64x64
robin:0.4,a photo <faceid:robin:0.2>,1-3,1,64x64
,alone,1-2,1,64x64
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Resources:
    folder = tmp_path_factory.mktemp("machine") / "models"
    for _ in write_trained_models(folder):
        pass
    return Resources(Roots(models=(folder,)))


@pytest.mark.slow("two processes import torch and diffusers, and one of them twice")
def test_two_real_workers_one_killed(
    machine: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bytes are those that one process draws in another order."""
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEID_MODELS", str(machine.roots.models[0]))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FACEID_FACE_MODELS", raising=False)
    Path("m.csv").write_text(TINY)
    change_settings(machine.roots, journal=True)
    killed: list[int] = []
    draw = LocalEngine.open

    def open_and_kill(engine: LocalEngine, place: str):  # noqa: ANN202
        worker = draw(engine, place)
        if place.endswith("1"):
            threading.Timer(0.2, lambda: killed.append(worker.pid) or os.kill(worker.pid, signal.SIGKILL)).start()
        return worker

    monkeypatch.setattr(LocalEngine, "open", open_and_kill)
    assert main(["batch", "run", "m.csv", "--workers", "2", "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert killed
    assert "8 pictures are there; 8 drawn now" in said
    entries = open_journal(machine.roots).page().entries
    assert len(entries) == 8
    assert {one.tags for one in entries} == {("batch m",)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert bytes_of_one_process(machine, tmp_path) == {
            path.stem: path.read_bytes() for path in Path("out/pictures").glob("*/*.png")
        }
    finally:
        torch.set_num_threads(threads)
    assert main(["batch", "run", "m.csv", "--workers", "2", "--out", "out"]) == 0
    assert "8 pictures are there; 0 drawn now" in capsys.readouterr().out


def bytes_of_one_process(machine: Resources, folder: Path) -> dict[str, bytes]:
    from lib_faceid.batch.here import known_here
    from lib_faceid.batch.reading import Manifest

    keys, drawer = Keys(machine, Hashes()), Drawer(machine)
    pictures = [one for asked in Manifest(folder / "m.csv", known_here(machine)).asked() for one in asked.pictures()]
    found = {keys.key(one): drawer.draw(one).png for one in reversed(pictures)}
    drawer.close()
    return found


def test_options_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.csv").write_text("prompt\nx\n")
    for typed, sentence in {
        ("--until", "beauty", "1"): "nothing that is measured",
        ("--until", "likeness", "7"): "not a number from 0 to 1",
        ("--rows", "a"): "are no rows",
        ("--until", "likeness", "0.5", "--face-models", "none"): "face models",
    }.items():
        assert main(["batch", "run", "m.csv", *typed]) == 2
        assert sentence in capsys.readouterr().err
    assert not list(Path("out").glob("**/*.png"))
