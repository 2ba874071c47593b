"""What was measured: figures with their spread, as Markdown to read and JSON to compare."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
import torch

__all__ = ["Figure", "as_json", "as_markdown", "figure_of", "machine", "put_table"]

PACKAGES = ("torch", "diffusers", "peft", "transformers", "numpy", "onnxruntime")


@dataclass(frozen=True)
class Figure:
    """One row of a table: the median, and between which values the middle half of the runs lies."""

    section: str
    name: str
    value: float
    unit: str
    low: float
    high: float
    runs: int
    target: float | None = None
    """At most this; None where nothing was promised."""
    is_exact: bool = False
    """Whether it is counted, and so the same in every run on every machine."""

    @property
    def is_met(self) -> bool:
        """Whether the target holds."""
        return self.target is None or self.value <= self.target


def figure_of(
    section: str,
    name: str,
    values: Sequence[float],
    unit: str,
    *,
    target: float | None = None,
    is_exact: bool = False,
) -> Figure:
    """Return the figure of some runs."""
    low, _, high = quantiles(values, n=4) if len(values) > 2 else (min(values), 0, max(values))
    return Figure(section, name, median(values), unit, low, high, len(values), target, is_exact)


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "gpu": gpu,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def as_json(figures: Iterable[Figure], about: dict[str, Any]) -> str:
    """Return everything, for another program."""
    return json.dumps({"machine": about, "figures": [asdict(one) for one in figures]}, indent=1) + "\n"


def as_markdown(figures: Sequence[Figure], about: dict[str, Any]) -> str:
    """Return a table for each section, and what they were measured on."""
    lines = [", ".join(f"{key.replace('_', ' ')} {value}" for key, value in about.items()) + "."]
    for section in dict.fromkeys(one.section for one in figures):
        lines += ["", f"**{section}**", "", "| | median | middle half | runs | target |", "|---|---|---|---|---|"]
        lines += [_row(one) for one in figures if one.section == section]
    return "\n".join(lines) + "\n"


def put_table(page: Path, name: str, table: str) -> None:
    """Put a table between the two marks of that name in a Markdown file."""
    begin, end = (f"<!-- {name}: {edge} -->\n" for edge in ("begin", "end"))
    before, _, rest = page.read_text("utf-8").partition(begin)
    page.write_text(f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}", "utf-8")


def _row(one: Figure) -> str:
    spread = "exact" if one.is_exact else f"{_text(one.low)} to {_text(one.high)}"
    target = "" if one.target is None else f"{_text(one.target)}{'' if one.is_met else ', **missed**'}"
    return f"| {one.name} | {_text(one.value)} {one.unit} | {spread} | {one.runs} | {target} |"


def _text(value: float) -> str:
    """Return four digits at most, and three behind the point for what is near one."""
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def _cpu_name() -> str:
    """Return the processor's name; Python knows it on some systems only."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
