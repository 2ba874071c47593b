"""`python dev.py bench`: what a person in the picture costs, in ratios that hold on a noisy machine."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from bench.arithmetic import arithmetic_figures
from bench.growth import growth_figures
from bench.jobs import job_figures, library_figures, photo_figures
from bench.memory import memory_figures
from bench.networks import FULL, SMALL, Size, subject
from bench.results import Figure, as_json, as_markdown, machine, put_table
from bench.search_trials import search_figures
from bench.startup import startup_figures
from bench.unet_call import call_figures, count_figures, host_figures, lora_figures

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Measure, and print one table of it all."""
    parser = argparse.ArgumentParser(prog="python dev.py bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small networks: less than 3 minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there, for other programs")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of a Markdown file")
    parser.add_argument("--rounds", type=int, default=4, help="of the comparisons of one UNet call (default: 4)")
    options = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # diffusers says on each load what is not there on purpose
    began = time.monotonic()
    about = machine()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory(prefix="faceid-bench-") as folder:
        measured = quick(Path(folder), device) if options.quick else full(Path(folder), device, options.rounds)
        figures: list[Figure] = []
        with suppress(KeyboardInterrupt):  # what was measured until then is shown
            for figure in measured:
                figures.append(figure)
                if options.json:
                    options.json.write_text(as_json(figures, about))
    about["minutes"] = round((time.monotonic() - began) / 60, 1)
    table = as_markdown(figures, about)
    sys.stdout.write(table)
    if options.write:
        put_table(options.write, "bench", table)
    return 0


def quick(folder: Path, device: str) -> Iterator[Figure]:
    """Give the figures of small networks: they say little about time, and everything about what is counted."""
    yield from count_figures(SMALL, folder, device)
    yield from count_figures(SMALL, folder, "meta")
    yield from host_figures(folder, device)
    sd15, sdxl = (subject(size, folder, device) for size in SMALL)
    yield from call_figures(sd15, 5, say, is_short=False)
    yield from call_figures(sdxl, 5, say, is_short=True)
    yield from growth_figures(sd15, (1, 4), (16, 32), say)
    yield from memory_figures(sdxl, 100)
    yield from job_figures(folder, sd15.unet, sd15.size.channels[0], 2)
    yield from photo_figures(3, is_full=False)
    yield from startup_figures(1)
    yield from library_figures((1, 100), 3)
    yield from search_figures()


def full(folder: Path, device: str, rounds: int) -> Iterator[Figure]:
    """Give the figures of the published sizes. SDXL comes last, with all the memory to itself."""
    yield from count_figures(SMALL, folder, device)
    yield from count_figures(SMALL, folder, "meta")
    yield from host_figures(folder, device)
    yield from arithmetic_figures(device, 9)
    sizes = [Size(size.family, size.channels, size.side, rows=2) if device == "cuda" else size for size in FULL]
    one = subject(sizes[0], folder, device)
    yield from call_figures(one, rounds, say, is_short=False)
    yield from growth_figures(one, (1, 4, 16), (32, 64, 128), say)
    yield from memory_figures(one, 500)
    yield from job_figures(folder, one.unet, one.size.channels[0], 5)
    yield from lora_figures(one, max(rounds // 2, 3), say, folder)
    del one
    gc.collect()
    yield from photo_figures(5, is_full=True)
    yield from startup_figures(5)
    yield from library_figures((1, 100, 1000, 10_000), 5)
    yield from search_figures()
    yield from call_figures(subject(sizes[1], folder, device), max(rounds // 2, 3), say, is_short=device == "cpu")


def say(line: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(f"{line}\n")
