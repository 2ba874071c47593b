"""A batch from its manifest to its last picture: what is there is left, the rest is drawn by an engine, and told of."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_faceid.batch.building import Builder, Wanted
from lib_faceid.batch.engine import Drawn, Engine
from lib_faceid.batch.failures import write_failures
from lib_faceid.batch.index import DONE, FAILED, PENDING, SKIPPED, WAITING, Index, Task
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.progress import Progress
from lib_faceid.batch.pull import Puller
from lib_faceid.batch.reading import Manifest
from lib_faceid.batch.store import Store
from lib_faceid.batch.work import Rules, Work

__all__ = ["Outcome", "Run"]

FIRST_SECONDS, LIVE_SECONDS, LIVE_SHARE = 15.0, 60.0, 50
Told = Callable[[Index, str, bool], None]
"""Tells of a run: gets what is known of every picture, how far it is in a line, and whether it goes on."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    done: int
    drawn: int
    """In this run."""
    failed: int
    left: int
    """That were asked for, and wait for another start."""
    skipped: int
    """That nobody needs any more, or that were not among those wanted now."""
    damaged: int
    """That were there, and were drawn again."""
    seconds: float
    speed: float
    """Work a second of one worker, as `Picture.work` counts; 0 where nothing was drawn."""


@dataclass(eq=False)
class Run:
    """One start. tell: what is called now and then, and at the end; command: with which the same is started again."""

    manifest: Manifest
    store: Store
    engine: Engine
    key_of: Callable[[Picture], str]
    rules: Rules = field(default_factory=Rules)
    wanted: Wanted = field(default_factory=Wanted)
    command: Sequence[str] = ()
    tell: Told = lambda _index, _line, _goes_on: None
    journal: Callable[[Task, Drawn, Path], None] | None = None
    _work: float = field(default=0.0, init=False)
    _seconds: float = field(default=0.0, init=False)

    def run(self) -> Outcome:
        """Draw what is missing. Raises FaceIDError, OSError; what is finished stays, also then."""
        began = time.monotonic()
        index = Index(self.store.folder / ".work.sqlite")
        try:
            builder = Builder(self.store, index, self.key_of, self.rules, self.wanted)
            builder.build(self.manifest)
            counts = index.counts()
            progress = Progress(sum(counts.values()), counts.get(DONE, 0))
            progress.skipped = counts.get(SKIPPED, 0)
            work = Work(index, self.rules, lambda task: self.key_of(task.picture))
            try:
                self._draw(index, work, progress)
            finally:
                self._tell(index, work, progress)
            return self._outcome(index, progress, builder.damaged, time.monotonic() - began)
        finally:
            index.close()

    def _draw(self, index: Index, work: Work, progress: Progress) -> None:
        told, wait = time.monotonic(), FIRST_SECONDS

        def saved(task: Task, drawn: Drawn, worker: str) -> None:
            self._log(task, drawn, worker)
            if self.journal is not None:
                self.journal(task, drawn, self.store.path(task.key))
            self._work += task.picture.work
            self._seconds += drawn.seconds
            progress.add(drawn.likeness)

        def look() -> None:
            nonlocal told, wait
            progress.failed = len(work.failures)
            progress.show()
            if time.monotonic() - told > wait:
                began = time.monotonic()
                self._tell(index, work, progress, goes_on=True)
                told = time.monotonic()
                wait = max(LIVE_SECONDS, LIVE_SHARE * (told - began))

        Puller(self.engine, work, self.store, saved, progress.say, look).run()

    def _tell(self, index: Index, work: Work, progress: Progress, *, goes_on: bool = False) -> None:
        progress.failed = len(work.failures)
        with work.quiet():
            failed = ((task, work.failures.get(task.key, "")) for task in index.tasks(FAILED))
            write_failures(self.store.folder, failed, list(self.command))
            self.tell(index, progress.line(), goes_on)

    def _log(self, task: Task, drawn: Drawn, worker: str) -> None:
        """Write down who drew what when: for people, and read by nothing."""
        line = {
            "time": round(time.time(), 3), "key": task.key, "row": task.picture.row, "worker": worker,
            "seconds": round(drawn.seconds, 3), "likeness": drawn.likeness,
        }  # fmt: skip
        with (self.store.folder / "log.jsonl").open("ab") as file:
            os.write(file.fileno(), json.dumps(line).encode() + b"\n")

    def _outcome(self, index: Index, progress: Progress, damaged: int, seconds: float) -> Outcome:
        counts: dict[int, Any] = index.counts()
        left = sum(counts.get(state, 0) for state in (PENDING, WAITING))
        done, failed, skipped = (counts.get(state, 0) for state in (DONE, FAILED, SKIPPED))
        speed = self._work / self._seconds if self._seconds else 0.0
        drawn = progress.done - progress.before
        return Outcome(done, drawn, failed, left, skipped, damaged, seconds, speed)
