"""What is wrong in a manifest: by row and column, in sentences, as many as anybody reads."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from lib_faceid.errors import FaceIDError, UnitError

__all__ = ["CellError", "Mistake", "Mistakes"]

MOST_KEPT = 1000


class CellError(UnitError):
    """What one cell cannot be."""

    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(sentence)
        self.column = column


class Mistake(NamedTuple):
    """One wrong cell."""

    row: int
    """As an editor or a spreadsheet counts it."""
    column: str
    """Empty where the whole row is meant."""
    sentence: str

    def __str__(self) -> str:
        where = f", column {self.column}" if self.column else ""
        return f"row {self.row}{where}: {self.sentence}"


class Mistakes:
    """Those of one manifest."""

    def __init__(self) -> None:
        self.first: list[Mistake] = []
        self.count = 0

    def add(self, row: int, column: str, sentence: str) -> None:
        """Write one down; of very many only the first are kept."""
        self.count += 1
        if len(self.first) < MOST_KEPT:
            self.first.append(Mistake(row, column, sentence))

    @contextmanager
    def of(self, row: int, column: str = "") -> Generator[None]:
        """Write down what goes wrong inside, and go on behind it."""
        try:
            yield
        except CellError as error:
            self.add(row, error.column or column, str(error))
        except FaceIDError as error:
            self.add(row, column, str(error))
