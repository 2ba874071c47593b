"""The endings of files that may hold a person's embeddings. Their content decides; a name only says what was meant."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PERSON_SUFFIXES", "is_person_file"]

PERSON_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".npy", ".npz", ".json", ".csv", ".pkl", ".txt")


def is_person_file(name: str) -> bool:
    """Return whether a unit's person is named by the path of a file, and not by a name of the library."""
    path = Path(name)
    return len(path.parts) > 1 or path.suffix.lower() in PERSON_SUFFIXES
