"""Batches that are played: an engine that draws nothing, loses workers and stumbles as it is told."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib_faceid.batch.building import Wanted
from lib_faceid.batch.engine import Drawn, LostError
from lib_faceid.batch.index import Task
from lib_faceid.batch.known import Known
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.reading import Manifest
from lib_faceid.batch.running import Outcome, Run
from lib_faceid.batch.store import Store
from lib_faceid.batch.work import Rules
from lib_faceid.errors import FaceIDError, UnitError

KNOWN = Known(lambda purpose: ("Anna", "Ben", "Cleo"), ("one", "two"), ("plus",), "one")


def key_of(picture: Picture) -> str:
    values = {name: one for name, one in picture.as_dict().items() if name not in ("row", "cell")}
    return hashlib.sha256(repr(values).encode()).hexdigest()[:40]


def likeness_of(picture: Picture) -> float:
    """Of the seed and the person, always the same."""
    return random.Random(f"{picture.cast.label} {picture.prompt} {picture.seed}").random()


@dataclass
class PlayedEngine:
    """Workers that give a few bytes for a picture. trouble: is called before each picture, and may raise."""

    count: int = 3
    trouble: Callable[[str, Picture], None] = lambda _worker, _picture: None
    name: str = "played"
    attempts: int = 3
    drawn: Counter[str] = field(default_factory=Counter)
    order: list[tuple[str, str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def places(self) -> Sequence[str]:
        return [f"worker {number}" for number in range(self.count)]

    def open(self, place: str) -> PlayedWorker:
        return PlayedWorker(place, self)


@dataclass
class PlayedWorker:
    name: str
    engine: PlayedEngine

    def draw(self, task: Task) -> Drawn:
        self.engine.trouble(self.name, task.picture)
        with self.engine.lock:
            self.engine.drawn[task.key] += 1
            self.engine.order.append((self.name, task.picture.checkpoint, task.picture.cast.label))
        likeness = likeness_of(task.picture)
        record = {"people": task.picture.cast.label, "seed": task.picture.seed, "likeness": likeness}
        return Drawn(f"PNG {task.key}".encode(), record, likeness, 0.001)

    def revive(self) -> float | None:
        return 0

    def close(self) -> None:
        return


def run(
    folder: Path, manifest: str, engine: PlayedEngine, rules: Rules | None = None, wanted: Wanted | None = None
) -> Outcome:
    """Run a batch of a CSV in a folder."""
    folder.mkdir(exist_ok=True)
    file = folder / "m.csv"
    file.write_text(manifest)
    store = Store(folder / "out")
    rules = rules or Rules(attempts=engine.attempts)
    with store.held():
        return Run(Manifest(file, KNOWN), store, engine, key_of, rules, wanted or Wanted(), ["faceid"]).run()


def files_of(folder: Path) -> dict[str, bytes]:
    """All pictures and their JSON, by name."""
    return {path.name: path.read_bytes() for path in (folder / "out" / "pictures").glob("*/*")}


__all__ = ["KNOWN", "FaceIDError", "LostError", "PlayedEngine", "UnitError", "files_of", "key_of", "likeness_of", "run"]
