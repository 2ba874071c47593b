"""PhotoMaker: photos of a person, written into the prompt at the word that names her."""

from __future__ import annotations

__all__: list[str] = []
