"""A job that is drawn while somebody watches, on a thread of its own: how far it is, and a way to end it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from PIL import Image

from lib_faceid.app.session import GeneratedImage, Look, Progress

__all__ = ["Live", "Moment"]

LOOK_SECONDS = 0.4  # between two looks at a picture in work
WAIT_SECONDS = 0.2


@dataclass(frozen=True, eq=False)
class Moment:
    """How far a job is."""

    what: str = "Looking at the references"
    step: int = 0
    steps: int = 1
    so_far: Image.Image | None = None
    """The picture in work."""
    generated: tuple[GeneratedImage, ...] = ()
    """The pictures that are finished."""
    is_stopped: bool = False
    """By somebody."""
    error: Exception | None = None
    is_over: bool = False


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Unwinds the job after somebody stopped it."""


class Live:
    """A job that has begun. draw: gives its pictures one by one and reports to the function it is called with."""

    def __init__(self, draw: Callable[[Progress], Iterator[GeneratedImage]]) -> None:
        self._draw = draw
        self._now = Moment()
        self._looked = 0.0
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the job after the step it is in."""
        self._is_stopped.set()

    def moments(self) -> Iterator[Moment]:
        """Give how far it is, again and again, until it is over. Who stops listening ends it."""
        shown = None
        try:
            while shown is None or not shown.is_over:
                if self._now is not shown:
                    shown = self._now
                    yield shown
                self._thread.join(WAIT_SECONDS)
        finally:
            self.stop()

    def _run(self) -> None:
        try:
            for one in self._draw(self._report):
                self._now = replace(self._now, generated=(*self._now.generated, one), so_far=None)
        except _Stopped:
            self._now = replace(self._now, is_stopped=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for it
            self._now = replace(self._now, error=error)
        self._now = replace(self._now, is_over=True)

    def _report(self, what: str, step: int, steps: int, look: Look | None) -> None:
        if self._is_stopped.is_set():
            raise _Stopped
        so_far = self._now.so_far if step > 1 else None
        if look and time.monotonic() - self._looked > LOOK_SECONDS:
            so_far, self._looked = look(), time.monotonic()
        self._now = replace(self._now, what=what, step=step, steps=steps, so_far=so_far)
