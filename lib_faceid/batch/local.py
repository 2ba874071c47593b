"""The engine `local`: worker processes on this machine, one for each device, with the standard library alone."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from lib_faceid.app.resources import Resources
from lib_faceid.batch.engine import Drawn, LostError
from lib_faceid.batch.index import Task
from lib_faceid.batch.worker import ENDED, serve, unpack
from lib_faceid.errors import HostError

__all__ = ["LocalEngine", "LocalWorker", "devices"]

MOST_STARTS = 3  # in a row, without one picture
WAIT_SECONDS = 1.0
END_SECONDS = 1.0


def devices() -> list[str]:
    """Return the numbers of the GPUs of this machine; none where the CPU draws."""
    import torch

    return [f"{number}" for number in range(torch.cuda.device_count())]


@dataclass
class LocalEngine:
    """Workers on this machine. devices: GPUs that they share, in turn; without any, the CPU."""

    resources: Resources
    count: int
    devices: Sequence[str] = ()
    threads: int | None = None
    """Of each worker on the CPU: another number rounds otherwise, and gives other bytes."""
    writes_journal: bool = False
    name: str = "local"
    attempts: int = 3

    def places(self) -> Sequence[str]:
        """Return the workers' names."""
        return [f"worker {number + 1}" for number in range(self.count)]

    def open(self, place: str) -> LocalWorker:
        """Return a worker whose process is started."""
        number = int(place.split()[1]) - 1
        device = self.devices[number % len(self.devices)] if self.devices else ""
        settings = {"device": device, "threads": self.threads, "writes_journal": self.writes_journal}
        worker = LocalWorker(place, self.resources, settings)
        worker.start()
        return worker


@dataclass
class LocalWorker:
    """One process. When it dies, another one takes its place."""

    name: str
    resources: Resources
    settings: dict[str, Any]
    _process: Any = field(default=None, init=False)
    _pipe: Connection | None = field(default=None, init=False)
    _starts: int = field(default=0, init=False)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return int(self._process.pid)

    def start(self) -> None:
        """Start a process, and wait until it is ready. Raises HostError where it says why it cannot be."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, self.resources, self.settings), daemon=True, name=f"faceid {self.name}"
        )
        self._process.start()
        theirs.close()
        self._pipe = ours
        self._starts += 1
        try:
            said = json.loads(ours.recv_bytes())
        except ENDED as error:
            raise HostError(f"{self.name} ended while it started{self._code}.") from error
        if "error" in said:
            raise HostError(said["error"])

    def draw(self, task: Task) -> Drawn:
        """Return the picture. Raises LostError where the process died."""
        pipe = self._pipe
        if pipe is None:
            raise LostError(f"{self.name} is closed.", counts=False)
        try:
            pipe.send_bytes(json.dumps(task.picture.as_dict()).encode(errors="surrogatepass"))
            message = pipe.recv_bytes()
        except (*ENDED, OSError) as error:
            raise LostError(f"{self.name} ended while it drew{self._code}.") from error
        self._starts = 0
        return unpack(message)

    def revive(self) -> float | None:
        """Start another process."""
        self.close()
        if self._starts >= MOST_STARTS:
            return None
        try:
            self.start()
        except HostError:
            return WAIT_SECONDS
        return 0

    def close(self) -> None:
        """End the process; what it is drawing is lost."""
        process, pipe = self._process, self._pipe
        self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.join(END_SECONDS)  # without a pipe it ends by itself, once its picture is finished
            if process.is_alive():
                process.kill()
                process.join()

    @property
    def _code(self) -> str:
        end = time.monotonic() + 1
        while self._process.exitcode is None and time.monotonic() < end:
            time.sleep(0.01)
        code = self._process.exitcode
        if code is None:
            return ""
        return f" (exit code {code}{', as where the system ran out of memory' if code == -9 else ''})"
