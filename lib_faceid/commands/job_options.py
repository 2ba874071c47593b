"""The options of a job as options of a command line, made from their one declaration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lib_faceid.errors import UnitError
from lib_faceid.units.job_options import OPTIONS, JobOptions
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import Range

__all__ = ["add_job_options", "job_options_of"]


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a job. They are put into `job`, for `job_options_of`."""
    group = parser.add_argument_group(
        "the best of several seeds", "Each picture is looked at, and its likeness to the person counts."
    )
    for name, field in OPTIONS.items():
        limits = field.kind
        metavar = f"{limits.lowest:g}..{limits.highest:g}" if isinstance(limits, Range) else "true|false"
        default = "" if field.default is None else f" ({str(field.default).lower()})"
        group.add_argument(
            f"--{name.replace('_', '-')}", dest="job", action="append", metavar=metavar, help=f"{field.help}{default}",
            type=lambda text, name=name: (name, text),
        )  # fmt: skip


def job_options_of(typed_options: Sequence[tuple[str, str]] | None) -> JobOptions:
    """Return the options that were typed. Raises UnitError."""
    found: dict[str, object] = {}
    for name, text in typed_options or ():
        if name in found:
            raise UnitError(f"--{name.replace('_', '-')} is given twice.")
        found[name] = typed(OPTIONS[name], text)
    return JobOptions.from_dict(found)
