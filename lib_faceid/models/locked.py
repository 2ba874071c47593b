"""One at a time: a lock on a file's name, for the threads of this program and for other programs on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["locked"]

_held: set[Path] = set()
_changed = threading.Condition()


@contextmanager
def locked(path: Path, busy: Callable[[], Exception], wait_s: float = 0.0) -> Generator[None, None, None]:
    """Hold the lock of a name; its folder has to be there. A hidden, empty file `.<name>.lock` beside it stays.

    Raises what `busy` makes when another one holds it for longer than `wait_s`, and OSError where there is no writing.
    The lock of a program that ended in any way is free.
    """
    path, until = path.absolute(), time.monotonic() + wait_s
    with _changed:
        if not _changed.wait_for(lambda: path not in _held, timeout=wait_s):
            raise busy()
        _held.add(path)
    try:
        with ExitStack() as stack:
            lock = FileLock(path.with_name(f".{path.name}.lock"))
            try:
                stack.enter_context(lock.acquire(timeout=max(until - time.monotonic(), 0), poll_interval=0.02))
            except Timeout:
                raise busy() from None
            except NotImplementedError:
                stack.pop_all()  # a disk without locks (some network shares): the threads of this program take turns
            yield
    finally:
        with _changed:
            _held.discard(path)
            _changed.notify_all()
