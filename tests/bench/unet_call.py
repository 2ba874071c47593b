"""What one UNet call costs with people in it, beside the UNet alone and beside others who do the same."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.contenders import Hooks, Peer, bare, ours, plain
from bench.counting import Counts, count
from bench.interleaved import Call, Contender, compare
from bench.networks import SMALL, Size, Subject, subject
from bench.results import Figure, figure_of
from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.effects.lora import merge_lora
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import column

__all__ = ["Say", "call_figures", "count_figures", "host_figures", "lora_figures", "people", "work_of"]

Say = Callable[[str], None]
# Targets, as ratios to the UNet alone.
ONE, FOUR = 1.02, 1.06
SIXTEEN_TOKENS, FULL_FACE = 1.03, 1.10
HOST_MS = {"SD 1.5": 0.5, "SDXL": 2.0}
LORA_RANK, LORA = 128, 0.7


def people(subject: Subject, number: int, *, in_regions: bool = False) -> list[Contribution]:
    """Return so many units, each with somebody else, side by side where they have regions."""
    regions = [(Region(column(at, number)),) if in_regions else () for at in range(number)]
    return [subject.contribution(at, regions=regions[at]) for at in range(number)]


def call_figures(one: Subject, rounds: int, say: Say, *, is_short: bool) -> list[Figure]:
    """Return the ratios of everybody who can be compared; is_short: only those with a target, and diffusers."""
    targets = (ONE, FOUR, SIXTEEN_TOKENS, FULL_FACE) if one.size.is_published else (None,) * 4
    one_target, four_target, sixteen_target, full_target = targets
    contenders = [
        ours("1 unit, 4 tokens (FaceID, Plus, Plus v2, IP-Adapter)", one, people(one, 1), one_target),
        ours("4 units, each in a region", one, people(one, 4, in_regions=True), four_target),
        Peer(one, one.parts).contender("diffusers' IP-Adapter, 1 person"),
    ]
    if not is_short:
        inside = people(one, 1)[0]
        outside = [replace(inside, schedule=replace(inside.schedule, start=0.5))]
        contenders += [
            ours("1 unit in a region", one, [subject_in_half(one)]),
            ours("1 unit, 16 tokens (Portrait, IP-Adapter Plus)", one, [one.image(1, 16)], sixteen_target),
            ours("1 unit, 80 tokens (Portrait, five photos)", one, [one.contribution(1, tokens=80)]),
            ours("1 unit, 257 tokens (IP-Adapter Full Face)", one, [one.image(1, 257)], full_target),
            ours("1 unit outside its steps", one, outside),
            plain(one),
        ]
    timed = compare(bare(one), contenders, rounds, say)
    section = f"One UNet call, {one.size.label}: ratio to the UNet alone"
    alone = timed[bare(one).name]
    figures = [figure_of(section, "the UNet alone, seconds", alone.seconds, "s")]
    figures += [
        figure_of(section, contender.name, timed[contender.name].ratios, "x", target=contender.target)
        for contender in contenders
    ]
    typical = median(alone.seconds)
    within = f"Time inside our hooks, {one.size.label}: share of the UNet alone"
    figures += [
        figure_of(within, name, [100 * seconds / typical for seconds in found.inside], "%")
        for name, found in timed.items()
        if any(found.inside)
    ]
    return figures


def subject_in_half(one: Subject) -> Contribution:
    """Return a unit in the left half."""
    return one.contribution(1, regions=(Region(column(0, 2)),))


def lora_figures(one: Subject, rounds: int, say: Say, folder: Path) -> list[Figure]:
    """Return the ratios with the LoRA of the adapter file: merged as ours is, and computed as diffusers loads it."""
    parts = one.parts_with_lora(LORA_RANK)
    merging = replace(one.adapter, lora=one.loaded(parts, folder / "with-lora.safetensors").lora)
    drawn = ours("ours, the LoRA merged", one, people(one, 1), ONE)

    @contextmanager
    def merged() -> Generator[Call]:
        with merge_lora(one.unet, merging, LORA), drawn.ready() as call:
            yield call

    peer = Peer(one, parts).contender("diffusers' IP-Adapter, the LoRA computed in each layer")
    timed = compare(bare(one), [Contender(drawn.name, merged, ONE, drawn.hooks), peer], rounds, say)
    section = f"With the LoRA of rank {LORA_RANK}, {one.size.label}: ratio to the UNet alone"
    return [
        figure_of(section, drawn.name, timed[drawn.name].ratios, "x", target=ONE),
        figure_of(section, peer.name, timed[peer.name].ratios, "x"),
    ]


def host_figures(folder: Path, device: str, calls: int = 30) -> list[Figure]:
    """Return how long the hooks keep the program itself busy in one UNet call: nothing is left there to compute."""
    figures: list[Figure] = []
    for size in SMALL:
        one = subject(replace(size, side=8), folder, device)
        for name, units in (("1 unit", people(one, 1)), ("4 units in regions", people(one, 4, in_regions=True))):
            hooks = Hooks()
            with inject(one.unet, units) as injection, hooks.watched():
                injection.set_rows(one.slots)
                one.call()
                seconds = [hooks.during(one.call) for _ in range(calls)]
            section = "Hooks with next to nothing to compute (latents 8x8): milliseconds for each UNet call"
            together, without = ([1000 * both[at] for both in seconds] for at in range(2))
            target = HOST_MS[size.family] if name == "1 unit" else None
            label = f"{size.family}, {name}"
            figures += [
                figure_of(section, f"{label}, the sums of the layers left out", without, "ms", target=target),
                figure_of(section, f"{label}, with the sums", together, "ms"),
            ]
    return figures


def work_of(one: Subject, units: Sequence[Contribution]) -> Counts:
    """Return what units add to the work of one UNet call, when it is called for the second time."""
    one.call()
    alone = count(one.call)
    with inject(one.unet, units) as injection:
        injection.set_rows(one.slots)
        one.call()
        return count(one.call) - alone


def count_figures(sizes: Sequence[Size], folder: Path, device: str) -> list[Figure]:
    """Return what units add to a UNet call on this device, counted: the same for all sizes of pictures."""
    figures: list[Figure] = []
    for size in sizes:
        one = subject(size, folder, device)
        cases = {
            "1 unit": people(one, 1),
            "4 units": people(one, 4),
            "4 units, each in a region": people(one, 4, in_regions=True),
        }
        for name, units in cases.items():
            found = work_of(one, units)
            where = "on every other device" if device == "meta" else f"on {device}"
            section = f"Added to one UNet call, {size.family}, {one.size.rows} rows, {where}: counted"
            counted = {kind: value for kind, value in vars(found).items() if kind != "allocated_bytes"}
            figures += [
                figure_of(section, f"{name}: {kind}", [value], "", is_exact=True) for kind, value in counted.items()
            ]
    return figures
