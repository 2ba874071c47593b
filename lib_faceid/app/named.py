"""What units name by files and not by names: these are found where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lib_faceid.models.person_suffixes import is_person_file
from lib_faceid.units.unit import AUTO, Unit

__all__ = ["named_adapters", "named_identities"]


def named_adapters(units: Sequence[Unit]) -> tuple[Path, ...]:
    """Return the files among the units' adapters; the others are names of what lies in the usual places."""
    paths = [Path(unit.adapter) for unit in units if unit.adapter != AUTO]
    return tuple(path for path in paths if len(path.parts) > 1 or path.is_file())


def named_identities(units: Sequence[Unit]) -> tuple[Path, ...]:
    """Return the files among the units' people; the others are names of the library."""
    return tuple(Path(name) for unit in units for name in unit.names if is_person_file(name))
