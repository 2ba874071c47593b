"""Offer a download to a person at a terminal: what it is, from where, under which licence, and then how far it is."""

from __future__ import annotations

import sys
from collections.abc import Callable

from lib_faceid.models.catalogue import Entry
from lib_faceid.models.download import Downloaded, download
from lib_faceid.models.folders import Roots, place_of
from lib_faceid.models.licences import accept_licence

__all__ = ["offer"]


def offer(
    one: Entry, roots: Roots, *, yes: bool = False, reason: str = "", say: Callable[[str], None] = print
) -> Downloaded | None:
    """Return what was downloaded, or None where nobody said yes. `yes` is that answer, given beforehand.

    Saying yes accepts the licence, which is shown first. Raises what `download` raises.
    """
    say("\n".join([*([reason] if reason else []), one.description, f"It goes to {place_of(one, roots)}"]))
    if not yes:
        if not sys.stdin.isatty():
            say("Nothing was downloaded: nobody is here to be asked. --yes accepts the licence and says yes.")
            return None
        if input("Accept the licence and download it now? [y/N] ").strip().lower() not in ("y", "yes"):
            say("Nothing was downloaded.")
            return None
    accept_licence(one.licence, roots)
    from tqdm import tqdm

    with tqdm(total=one.size_bytes, unit="B", unit_scale=True, desc=one.id) as bar:

        def report(done: int, total: int | None) -> None:
            bar.total = total
            if not bar.n:
                bar.initial = done  # what an earlier try brought says nothing about today's speed
            bar.update(done - bar.n)

        return download(one, roots, report)
