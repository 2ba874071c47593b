"""An extension for tests only: what the WebUI's process holds between two jobs."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import tempfile
import threading
from collections import Counter
from typing import Any

import psutil
from fastapi import FastAPI
from modules import script_callbacks

WATCHED = {"WebUIJob", "Job", "Injection", "Bank", "Reference", "Identity", "OwnNetwork"}
"""Classes of ours whose objects are counted: a job that is over leaves none of the first three."""


def resources() -> dict[str, Any]:
    """Count memory, handles, threads, temporary files and our own objects, after Python has collected."""
    gc.collect()
    give_back_free_memory()
    process = psutil.Process()
    counted = Counter(type(one).__name__ for one in gc.get_objects() if type(one).__name__ in WATCHED)
    temporary = sum(len(files) for _, _, files in os.walk(tempfile.gettempdir()))
    handles = process.num_handles() if hasattr(process, "num_handles") else process.num_fds()
    return {
        "memory_mib": round(process.memory_info().rss / 2**20, 1),
        "handles": handles,
        "threads": threading.active_count(),
        "temporary_files": temporary,
        "objects": {name: counted[name] for name in sorted(WATCHED)},
    }


def give_back_free_memory() -> None:
    """Have the allocator return what is free: else its heaps hold what some job once needed, and hide a leak."""
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def add_route(_demo: Any, app: FastAPI) -> None:
    app.add_api_route("/faceid-probe/resources", resources, methods=["GET"])


script_callbacks.on_app_started(add_route)
