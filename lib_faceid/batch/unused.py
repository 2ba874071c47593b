"""Columns that nothing uses: most are misspelt, and would be left out without a word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from lib_faceid.batch.mistakes import Mistakes

__all__ = ["Unused"]


class Unused:
    """What the rows' own columns are called, and which of them a prompt uses."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known
        self._seen: dict[str, int] = {}
        self._used: set[str] = set()

    def row(self, number: int, columns: Iterable[str], used: Iterable[str]) -> None:
        """Write down a row."""
        for name in columns:
            if name not in self._used:
                self._seen.setdefault(name, number)
        self._used.update(used)

    def hint(self, name: str, there: Sequence[str]) -> str:
        """Return what was probably meant, in a sentence."""
        near = difflib.get_close_matches(name, there, n=1)
        return f" Did you mean {{{near[0]}}}?" if near else ""

    def say(self, mistakes: Mistakes) -> None:
        """Write down as mistakes the columns that no prompt of the manifest used."""
        for name, row in self._seen.items():
            if name not in self._used:
                near = difflib.get_close_matches(name, self._known, n=1)
                meant = f" Did you mean '{near[0]}'?" if near else ""
                mistakes.add(row, name[:60], f"this is no setting, and no prompt has {{{name[:60]}}}.{meant}")
