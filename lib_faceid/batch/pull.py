"""A batch at work: one thread for each worker, which pulls pictures; what comes is written down here alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lib_faceid.batch.engine import Drawn, Engine, LostError, Worker
from lib_faceid.batch.index import Task
from lib_faceid.batch.store import Store
from lib_faceid.batch.work import Work
from lib_faceid.errors import FaceIDError, HostError

__all__ = ["Puller"]

LOOK_SECONDS, NEW_PLACES_SECONDS = 0.2, 30.0


@dataclass(eq=False)
class Puller:
    """Draws all there is with an engine. `saved` is called with each picture that is on the disk."""

    engine: Engine
    work: Work
    store: Store
    saved: Callable[[Task, Drawn, str], None] = lambda _task, _drawn, _worker: None
    say: Callable[[str], None] = lambda _: None
    look: Callable[[], None] = lambda: None
    """Is called several times a second by the thread that waits."""
    _threads: dict[str, threading.Thread] = field(default_factory=dict[str, threading.Thread], init=False)
    _workers: dict[str, Worker] = field(default_factory=dict[str, Worker], init=False)
    _problems: list[str] = field(default_factory=list[str], init=False)
    _crash: BaseException | None = field(default=None, init=False)

    def run(self) -> None:
        """Return when nothing is left, or no worker. Raises HostError where none could draw, OSError for the disk."""
        looked, is_over = 0.0, True
        try:
            while True:
                if time.monotonic() - looked > NEW_PLACES_SECONDS or not looked:
                    looked = time.monotonic()
                    self._open_new()
                alive = [one for one in self._threads.values() if one.is_alive()]
                if self._crash is not None:
                    raise self._crash
                if not alive:
                    is_over = self.work.is_over
                    break
                alive[0].join(LOOK_SECONDS)
                self.look()
        finally:
            self.work.stop()
            if self._crash is not None or any(one.is_alive() for one in self._threads.values()):
                for worker in list(self._workers.values()):
                    worker.close()  # what they draw is drawn again another time
        if not is_over:
            why = " ".join(dict.fromkeys(self._problems[-3:]))
            raise HostError(f"No worker of {self.engine.name} is left. {why} Start again to go on.")

    def _open_new(self) -> None:
        for place in self.engine.places():
            if place not in self._threads:
                thread = threading.Thread(target=self._serve, args=(place,), name=place, daemon=True)
                self._threads[place] = thread
                thread.start()

    def _serve(self, place: str) -> None:
        worker: Worker | None = None
        try:
            worker = self._workers[place] = self.engine.open(place)
            self._pull(worker)
        except FaceIDError as error:
            self._problems.append(str(error))
            self.say(f"{place}: {error}")
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._crash = error
        finally:
            if worker is not None:
                worker.close()

    def _pull(self, worker: Worker) -> None:
        job: int | None = None
        while (task := self.work.take(job)) is not None:
            job = task.job
            try:
                drawn = worker.draw(task)
            except LostError as error:
                self.work.back(task, str(error), counts=error.counts)
                if not self._revived(worker, error):
                    raise
            except FaceIDError as error:
                self.work.fail(task, str(error))
            except BaseException:
                self.work.back(task, "", counts=False)
                raise
            else:
                self._keep(task, drawn, worker)

    def _keep(self, task: Task, drawn: Drawn, worker: Worker) -> None:
        try:
            self.store.put(task.key, drawn.png, drawn.record)
        except BaseException:
            self.work.back(task, "", counts=False)
            raise
        self.saved(task, drawn, worker.name)
        self.work.done(task, drawn.likeness)

    def _revived(self, worker: Worker, why: LostError) -> bool:
        """Wait until a worker is back, and return whether it is; a picture is not held meanwhile."""
        is_said = False
        while not self.work.is_over:
            wait = worker.revive()
            if wait is None:
                return False
            if wait == 0:
                if is_said:
                    self.say(f"{worker.name} is back.")
                return True
            if not is_said and why.is_said:
                is_said = True
                self.say(f"{worker.name} is left out: {why}")
            end = time.monotonic() + wait
            while time.monotonic() < end and not self.work.is_over:
                time.sleep(min(0.2, max(end - time.monotonic(), 0)))
        return True
