"""How far a batch is, in one line: rate, time left, likeness so far, failures. A bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from lib_faceid.batch.planning import duration

__all__ = ["Progress"]

WINDOW_SECONDS = 300.0
BAR_SECONDS, LINE_SECONDS = 0.5, 30.0


class Progress:
    """Of one run. total: pictures of the manifest; done: those that were there before."""

    def __init__(
        self, total: int, done: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.done, self.before = total, done, done
        self.failed, self.skipped = 0, 0
        self._stream, self._clock = stream or sys.stderr, clock
        self._began = self._said = clock()
        self._times: deque[float] = deque()
        self._likeness_sum, self._likeness_count = 0.0, 0

    def add(self, likeness: float | None) -> None:
        """One more picture is on the disk."""
        self.done += 1
        self._times.append(self._clock())
        if likeness is not None:
            self._likeness_sum += likeness
            self._likeness_count += 1

    @property
    def rate(self) -> float:
        """Pictures a second, of the last minutes."""
        now = self._clock()
        while self._times and self._times[0] < now - WINDOW_SECONDS:
            self._times.popleft()
        seconds = min(now - self._began, WINDOW_SECONDS)
        return len(self._times) / seconds if seconds > 0 else 0.0

    def line(self) -> str:
        """Return how far it is."""
        left = max(self.total - self.done - self.failed - self.skipped, 0)
        parts = [f"{self.done:,}/{self.total:,}"]
        if rate := self.rate:
            parts.append(f"{rate:.2g} pictures/s" if rate < 10 else f"{rate:.0f} pictures/s")
            parts += [f"{duration(left / rate)} left"] if left else []
        if self._likeness_count:
            parts.append(f"likeness {self._likeness_sum / self._likeness_count:.2f}")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        return " · ".join(parts)

    def show(self) -> None:
        """Draw the bar, or now and then a line where nobody watches."""
        now, is_watched = self._clock(), self._stream.isatty()
        if now - self._said < (BAR_SECONDS if is_watched else LINE_SECONDS):
            return
        self._said = now
        if is_watched:
            filled = "#" * (20 * self.done // max(self.total, 1))
            self._stream.write(f"\r[{filled:<20}] {self.line()}\x1b[K")
        else:
            self._stream.write(f"{self.line()}\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        """Write a line of its own above the bar."""
        start = "\r\x1b[K" if self._stream.isatty() else ""
        self._stream.write(f"{start}{text}\n")
        self._stream.flush()
