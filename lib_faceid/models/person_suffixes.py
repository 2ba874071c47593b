"""The endings of files that may hold a person's embeddings. Their content decides; a name only says what was meant."""

from __future__ import annotations

__all__ = ["PERSON_SUFFIXES"]

PERSON_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".npy", ".npz", ".json", ".csv", ".pkl", ".txt")
