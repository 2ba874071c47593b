"""What tells whether a file on the disk is still the one that was read."""

from __future__ import annotations

from pathlib import Path

__all__ = ["file_fingerprint"]


def file_fingerprint(path: Path) -> str:
    """Return what changes when a file is replaced: its path, size and time of change; empty where there is none."""
    if not path.is_file():
        return ""
    status = path.stat()
    return f"{path}:{status.st_size}:{status.st_mtime_ns}"
