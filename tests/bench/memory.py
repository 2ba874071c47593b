"""What is held while people are drawn, and what is left afterwards."""

from __future__ import annotations

import gc

import psutil
import torch
from contributions import bank_for, contribution
from unets import identity_of

from bench.counting import hooks_on
from bench.networks import Subject
from bench.results import Figure, figure_of
from bench.unet_call import people
from lib_faceid.effects.injection import inject
from lib_faceid.unet.layers import attention_layers

__all__ = ["memory_figures"]

MB = 1e6
GROWTH_MB = 60


def memory_figures(one: Subject, jobs: int) -> list[Figure]:
    """Return what a unit holds, and what many jobs with a new face each leave behind."""
    section = f"Memory, {one.size.label}"
    layers = attention_layers(one.unet)
    held = {tokens: _bank_bytes(one, tokens, layers) for tokens in (4, 16)}
    figures = [
        figure_of(section, f"keys and values of one person, {tokens} tokens", [size / MB], "MB", is_exact=True)
        for tokens, size in held.items()
    ]
    before = _device_bytes()
    grown = [_growth(one, jobs)]
    figures += [
        figure_of(section, f"more in the host after {jobs} jobs with {jobs} faces", grown, "MB", target=GROWTH_MB),
        figure_of(section, "more on the device after them", [(_device_bytes() - before) / MB], "MB", target=0),
        figure_of(section, "hooks left on the UNet", [hooks_on(one.unet)], "", target=0, is_exact=True),
    ]
    if one.device.type == "cuda":
        figures.append(figure_of(section, "peak on the device, 4 units more than none", [_peak_more(one) / MB], "MB"))
    return figures


def _growth(one: Subject, jobs: int) -> float:
    """Return by how many MB the process has grown between a tenth of the jobs and all of them."""
    began = 0.0
    for number in range(jobs):
        with inject(one.unet, [contribution(one.adapter, [identity_of(number)])]) as injection:
            injection.set_rows(one.slots)
        if number == jobs // 10:
            began = _process_bytes()
    return (_process_bytes() - began) / MB


def _bank_bytes(one: Subject, tokens: int, layers: tuple) -> int:
    bank = bank_for(one.adapter, [one.person(1, tokens)], 1.0, layers)
    return bank.nbytes


def _peak_more(one: Subject) -> float:
    peaks: list[int] = []
    for units in ([], people(one, 4)):
        with inject(one.unet, units) as injection:
            injection.set_rows(one.slots)
            torch.cuda.reset_peak_memory_stats()
            one.call()
            peaks.append(torch.cuda.max_memory_allocated())
    return peaks[1] - peaks[0]


def _process_bytes() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss


def _device_bytes() -> int:
    gc.collect()
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
