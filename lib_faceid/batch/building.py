"""A manifest and a folder put together: what is there and right is done, the rest is to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from lib_faceid.batch.index import DONE, PENDING, SKIPPED, WAITING, Index, Task
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.reading import Manifest
from lib_faceid.batch.store import Store
from lib_faceid.batch.work import Rules

__all__ = ["Builder", "Wanted"]

ROOM = 1 << 32  # jobs of one checkpoint have numbers that lie together: workers change checkpoints seldom


@dataclass(frozen=True)
class Wanted:
    """Which of the missing pictures are drawn now."""

    rows: Collection[int] | None = None
    keys: Collection[str] | None = None
    limit: int | None = None

    def has(self, picture: Picture, key: str) -> bool:
        """Whether it is among them; the limit aside."""
        return (self.rows is None or picture.row in self.rows) and (self.keys is None or key in self.keys)


@dataclass(eq=False)
class Builder:
    """Fills an index."""

    store: Store
    index: Index
    key_of: Callable[[Picture], str]
    rules: Rules
    wanted: Wanted = field(default_factory=Wanted)
    damaged: int = field(default=0, init=False)
    """Pictures that were there and are drawn again."""
    _there: set[str] = field(default_factory=set[str], init=False)
    _jobs: dict[int, int] = field(default_factory=dict[int, int], init=False)
    _checkpoints: dict[str, int] = field(default_factory=dict[str, int], init=False)
    _pending: int = field(default=0, init=False)

    def build(self, manifest: Manifest) -> None:
        """Add every picture of a manifest. Mistakes are left to whoever reads the manifest."""
        self._there = set(self.store.keys())
        most = self.rules.max_per_row
        cell, task, place, is_met = (0, 0), None, 0, False
        for asked in manifest.asked():
            for picture in asked.pictures():
                if (picture.row, picture.cell) != cell:
                    self._further(task, is_met=is_met)
                    cell, task, place, is_met = (picture.row, picture.cell), None, 0, False
                if most is not None and place >= most:
                    continue
                now = self._task(picture, place)
                is_new, is_met = self._add(now, is_first=task is None or self._last == DONE, is_met=is_met)
                if is_new:
                    task, place = now, place + 1
        self._further(task, is_met=is_met)
        self.index.built()

    _last: int = field(default=PENDING, init=False)

    def _task(self, picture: Picture, place: int) -> Task:
        return Task(0, self.key_of(picture), self._job(picture), place, picture)

    def _add(self, task: Task, *, is_first: bool, is_met: bool) -> tuple[bool, bool]:
        """Add a picture; return whether it is new, and whether its cell needs no further one."""
        until = self.rules.until
        record = self._record(task.key)
        likeness = record.get("likeness") if record else None
        if record is not None:
            state = DONE
        elif is_met or not self.wanted.has(task.picture, task.key):
            state = SKIPPED
        elif until is not None and not is_first:
            state = WAITING
        elif self.wanted.limit is not None and self._pending >= self.wanted.limit:
            state = SKIPPED
        else:
            state = PENDING
        is_new = self.index.add(task, state, likeness)
        if is_new:
            self._last = state
            self._pending += state == PENDING
        return is_new, is_met or (until is not None and isinstance(likeness, float) and likeness >= until)

    def _further(self, task: Task | None, *, is_met: bool) -> None:
        """Add the seeds behind a cell's own, where all of those are drawn and none is alike enough."""
        while task is not None and self.rules.until is not None and not is_met and self._last == DONE:
            if task.place + 1 >= (self.rules.max_per_row or 0):
                return
            task = self._task(replace(task.picture, seed=task.picture.seed + 1), task.place + 1)
            is_new, is_met = self._add(task, is_first=True, is_met=False)
            if not is_new:
                return

    def _record(self, key: str) -> dict[str, Any] | None:
        if key not in self._there:
            return None
        found = self.store.right(key)
        self.damaged += found is None
        return found

    def _job(self, picture: Picture) -> int:
        mark = hash(picture.job)
        found = self._jobs.get(mark)
        if found is None:
            checkpoint = self._checkpoints.setdefault(picture.checkpoint, len(self._checkpoints))
            found = self._jobs[mark] = checkpoint * ROOM + len(self._jobs)
        return found
