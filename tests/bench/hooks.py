"""Our hooks, timed from inside: what they cost shows where the noise of a whole call would hide it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from lib_faceid.effects import injection
from lib_faceid.effects.injection import Injection

__all__ = ["Hooks"]

STEPS = ("begin_call", "end_call", "record_map_size", "keep_query", "add_tokens")


class Hooks:
    """How long our hooks take. Host time: on a GPU what is asked for, not the work."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Altogether."""
        self.sums = 0.0
        """Of it, for the sums of the layers: what there is to compute."""

    @contextmanager
    def watched(self) -> Generator[None]:
        """Have every step of every injection timed meanwhile."""
        kept = {name: getattr(Injection, name) for name in STEPS}
        compute = injection.ip_attention
        for name, step in kept.items():
            setattr(Injection, name, self._timed(step, "seconds"))
        injection.ip_attention = self._timed(compute, "sums")
        try:
            yield
        finally:
            injection.ip_attention = compute
            for name, step in kept.items():
                setattr(Injection, name, step)

    def during(self, call: Callable[[], object]) -> tuple[float, float]:
        """Return how long the hooks take in one call while they are watched: altogether, and without the sums."""
        seconds, sums = self.seconds, self.sums
        call()
        return self.seconds - seconds, self.seconds - seconds - (self.sums - sums)

    def _timed(self, step: Callable[..., Any], clock: str) -> Callable[..., Any]:
        def timed(*args: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*args, **more)
            finally:
                setattr(self, clock, getattr(self, clock) + time.perf_counter() - began)

        return timed
