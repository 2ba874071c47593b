"""Our hooks, timed from inside: what they cost shows where the noise of a whole call would hide it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from lib_faceid.unet.injection import Injection

__all__ = ["Hooks"]


class Hooks:
    """How long our hooks take, seen from inside: the share of a call that no noise of the rest can hide."""

    STEPS = ("begin_call", "end_call", "see_map", "keep_query", "add_identity")

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def watched(self) -> Generator[None]:
        """Have every step of every injection timed meanwhile. Host time: on a GPU what is asked for, not the work."""
        kept = {name: getattr(Injection, name) for name in self.STEPS}
        for name, step in kept.items():
            setattr(Injection, name, self._timed(step))
        try:
            yield
        finally:
            for name, step in kept.items():
                setattr(Injection, name, step)

    def during(self, call: Callable[[], object]) -> float:
        """Return how long the hooks take in one call, while they are watched."""
        before = self.seconds
        call()
        return self.seconds - before

    def _timed(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*args, **more)
            finally:
                self.seconds += time.perf_counter() - began

        return timed
