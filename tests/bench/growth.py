"""How the cost grows: with more people, more images, larger pictures. As a share of the call, seen from inside."""

from __future__ import annotations

from collections.abc import Sequence

from bench.hooks import Hooks
from bench.interleaved import seconds_of
from bench.networks import Subject
from bench.results import Figure, figure_of
from bench.unet_call import Say, people
from lib_faceid.effects.injection import Contribution, inject

__all__ = ["growth_figures"]

UNITS = (1, 2, 4, 8)
CALLS = 2


def growth_figures(one: Subject, batches: Sequence[int], sides: Sequence[int], say: Say) -> list[Figure]:
    """Return the share of a UNet call that goes by in our hooks, for so many images at once and latents of these sides.

    People and images are counted up at the smallest side, where many calls can be afforded.
    """
    section = (
        f"How it grows, {one.size.family}, {one.size.channels[0]} channels: time inside our hooks, share of the call"
    )
    figures: list[Figure] = []

    def measure(name: str, subject: Subject, units: list[Contribution]) -> None:
        figures.append(figure_of(section, name, _shares(subject, units), "%"))
        say(f"{name}: {figures[-1].value:.2g} %")

    for number in UNITS:
        small = one.drawing(min(sides))
        name = f"{_pixels(min(sides))}, {_many(number, 'unit')}, each in a region"
        measure(name, small, people(small, number, in_regions=True))
    for batch in batches:
        many = one.drawing(min(sides), batch)
        measure(f"{_pixels(min(sides))}, 1 unit, {_many(batch, 'image')} at once", many, people(many, 1))
    for side in sides:
        measure(f"{_pixels(side)}, 1 unit", one.drawing(side), people(one, 1))
    return figures


def _shares(subject: Subject, units: list[Contribution]) -> list[float]:
    """Return what percentage of each call our hooks take, after one call that is not counted."""
    hooks, shares = Hooks(), list[float]()
    with inject(subject.unet, units) as injection, hooks.watched():
        injection.set_rows(subject.slots)
        for _ in range(CALLS + 1):
            before = hooks.seconds
            taken = seconds_of(subject.call)
            shares.append(100 * (hooks.seconds - before) / taken)
    return shares[1:]


def _pixels(side: int) -> str:
    return f"{8 * side}x{8 * side}"


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
