"""Who draws what next: pictures are pulled, one by one, by whoever is free; a job's models and people stay loaded.

Each picture has one state, changed under one lock: it is handed out to one worker at a time, comes back when that one
is lost, and is done once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lib_faceid.batch.index import DONE, FAILED, GIVEN, PENDING, WAITING, Index, Task

__all__ = ["Rules", "Work"]


@dataclass(frozen=True)
class Rules:
    """When there is enough."""

    until: float | None = None
    """The likeness at which a row's combination needs no further seed."""
    max_per_row: int | None = None
    """Pictures of each of a row's combinations at most; so many seeds are tried where `until` is not reached."""
    max_seconds: float | None = None
    attempts: int = 3


@dataclass(eq=False)
class Work:
    """What is left. key_of: makes the key of a further picture."""

    index: Index
    rules: Rules
    key_of: Callable[[Task], str]
    failures: dict[str, str] = field(default_factory=dict[str, str])
    """What is wrong with pictures, by key."""
    _pending: dict[int, int] = field(default_factory=dict[int, int], init=False)
    _fresh: deque[int] = field(default_factory=deque[int], init=False)
    """Jobs that nobody has begun."""
    _tries: dict[str, int] = field(default_factory=dict[str, int], init=False)
    _given: int = field(default=0, init=False)
    _is_stopped: bool = field(default=False, init=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)

    def __post_init__(self) -> None:
        for job, count in self.index.jobs():
            self._pending[job] = count
            self._fresh.append(job)
        seconds = self.rules.max_seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def is_out_of_time(self) -> bool:
        """Whether nothing more is handed out."""
        return self._end is not None and time.monotonic() >= self._end

    @property
    def is_over(self) -> bool:
        """Whether nothing is left, or nothing more is handed out."""
        with self._changed:
            return self._is_stopped or self.is_out_of_time or not (self._given or self._pending)

    def take(self, job: int | None) -> Task | None:
        """Return the next picture for a worker that has drawn that job; wait while others may give one back.

        None: there is nothing left to do.
        """
        with self._changed:
            while not self._is_stopped and not self.is_out_of_time:
                if (task := self._next(job)) is not None:
                    return task
                if not self._given:
                    break
                self._changed.wait(0.5)
            return None

    def done(self, task: Task, likeness: float | None) -> None:
        """A picture is on the disk."""
        with self._changed:
            self._given -= 1
            self.index.set(task.key, DONE, likeness)
            self._after(task, likeness)
            self._changed.notify_all()

    def fail(self, task: Task, sentence: str) -> None:
        """A picture cannot be drawn."""
        with self._changed:
            self._given -= 1
            self._failed(task, sentence)
            self._changed.notify_all()

    def back(self, task: Task, sentence: str, *, counts: bool) -> None:
        """A picture lost its worker, and is drawn by another, unless that happened too often."""
        with self._changed:
            self._given -= 1
            tries = self._tries[task.key] = self._tries.get(task.key, 0) + (1 if counts else 0)
            if tries >= self.rules.attempts:
                self._failed(task, f"Given up after {tries} tries: {sentence}")
            else:
                self.index.set(task.key, PENDING)
                self._add(task.job)
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    @contextmanager
    def quiet(self) -> Generator[None]:
        """Hold everybody still while the index is read."""
        with self._changed:
            yield

    def _choose(self, job: int | None) -> int:
        if job in self._pending:
            return job
        while self._fresh:
            found = self._fresh.popleft()
            if found in self._pending:
                return found
        return max(self._pending, key=self._pending.__getitem__)

    def _next(self, job: int | None) -> Task | None:
        """Hand out a picture; None where none waits."""
        while self._pending:
            chosen = self._choose(job)
            task = self.index.next_of(chosen)
            left = self._pending.pop(chosen) - 1
            if task is None:
                continue
            if left:
                self._pending[chosen] = left
            self.index.set(task.key, GIVEN)
            self._given += 1
            return task
        return None

    def _failed(self, task: Task, sentence: str) -> None:
        self.index.set(task.key, FAILED)
        self.failures[task.key] = sentence
        self._after(task, None)

    def _after(self, task: Task, likeness: float | None) -> None:
        """Say which picture of its cell is next, where each waits for the one before."""
        until = self.rules.until
        if until is None:
            return
        picture = task.picture
        if likeness is not None and likeness >= until:
            self.index.skip(picture.row, picture.cell, task.place)
            return
        found = self.index.by_place(picture.row, picture.cell, task.place + 1)
        if found is None and task.place + 1 < (self.rules.max_per_row or 0):
            further = replace(task, place=task.place + 1, picture=replace(picture, seed=picture.seed + 1))
            further = replace(further, key=self.key_of(further))
            if self.index.add(further, PENDING):
                self._add(task.job)
        elif found is not None and found[1] == WAITING:
            self.index.set(found[0].key, PENDING)
            self._add(task.job)

    def _add(self, job: int) -> None:
        self._pending[job] = self._pending.get(job, 0) + 1
