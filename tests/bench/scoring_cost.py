"""What scoring costs a sampling step: one job with scores beside the same job without, in turns, on the miniature.

`python -m bench.scoring_cost FACE_MODELS` in `tests`; `--write ../docs/LIKENESS.md` puts the lines into
the docs. Time is that of the processor (all threads of this program): other programs do not count in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from gallery import BLUE, strangers

from bench.results import put_table
from lib_faceid.app.beginnings import TRAINED
from lib_faceid.app.resources import Resources
from lib_faceid.app.session import Session
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.miniature.trained import TRAINED_ADAPTER, write_trained_checkpoint
from lib_faceid.models.folders import Roots
from lib_faceid.units.job_options import UNSCORED, JobOptions
from lib_faceid.units.unit import Unit
from training.captions import caption

__all__ = ["main"]

PICTURES = 2
SECONDS = time.process_time


@dataclass(eq=False)
class Watched:
    """When the UNet was called in one job, and when somebody looked for faces."""

    calls: list[float] = field(default_factory=list[float])
    looks: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def steps(self, count: int) -> list[float]:
        """Return the seconds of each step but the last of each picture, from one UNet call to the next."""
        pictures = [self.calls[at : at + count] for at in range(0, len(self.calls), count)]
        return [after - before for one in pictures for before, after in pairwise(one)]

    def looks_within(self, count: int) -> int:
        """Return how many looks began between the first and the last UNet call of a picture."""
        pictures = [self.calls[at : at + count] for at in range(0, len(self.calls), count)]
        return sum(one[0] < began < one[-1] for one in pictures for began, _ in self.looks)


def watched(session: Session, unit: Unit, request: Request, options: JobOptions) -> Watched:
    """Draw one job, and return when its UNet was called and its faces looked for."""
    found, checkpoint, real = Watched(), session.resources.find_checkpoint(), FaceAnalyser.search
    requests = [replace(request, seed=request.seed + at) for at in range(PICTURES)]

    def search(analyser: FaceAnalyser, image: np.ndarray) -> object:
        began = SECONDS()
        try:
            return real(analyser, image)
        finally:
            found.looks.append((began, SECONDS() - began))

    handle = session._loaded(checkpoint).unet.register_forward_pre_hook(lambda *_: found.calls.append(SECONDS()))
    FaceAnalyser.search = search  # type: ignore[method-assign]
    try:
        list(session.draw(checkpoint, session.job([unit], request), requests, options=options))
    finally:
        FaceAnalyser.search = real  # type: ignore[method-assign]
        handle.remove()
    return found


def measured(face_models: Path, rounds: int, steps: int) -> str:
    """Return the lines for the docs: a step with and without scores, and what a look takes."""
    who = "never_seen_00"
    with tempfile.TemporaryDirectory() as folder:
        person = Path(folder) / f"{who}.identity.safetensors"
        strangers("never_seen", 1)[who].save(person)
        checkpoint = write_trained_checkpoint(Path(folder) / "miniature.safetensors")
        resources = Resources(
            Roots((person.parent,), face_models=face_models),
            checkpoint,
            adapters=(TRAINED_ADAPTER,),
            identities=(person,),
        )
        session, unit = Session(resources), Unit(enabled=True, person=str(person), adapter=str(TRAINED_ADAPTER))
        request = Request(caption(BLUE), size_px=(128, 128), steps=steps, cfg=TRAINED.cfg, seed=7)
        watched(session, unit, request, JobOptions())  # everything is loaded and warm
        on, off, ratios, looks, within = [], [], [], [], 0
        for number in range(rounds):
            order = (JobOptions(), UNSCORED) if number % 2 else (UNSCORED, JobOptions())
            pair = {one.score: watched(session, unit, request, one) for one in order}
            scored, plain = (float(np.mean(pair[score].steps(steps))) for score in (True, False))
            on.append(scored)
            off.append(plain)
            ratios.append(scored / plain)
            looks += [seconds for _, seconds in pair[True].looks]
            within += pair[True].looks_within(steps)
            sys.stderr.write(f"round {number + 1} of {rounds}: {scored * 1e3:.1f} ms, without {plain * 1e3:.1f} ms\n")
    share, error = np.median(ratios) - 1, np.std(ratios) / len(ratios) ** 0.5
    step_ms, plain_ms, look_ms = (1e3 * float(np.median(one)) for one in (on, off, looks))
    return (
        f"{rounds} jobs of {PICTURES} pictures, {steps} steps each, with scores and without, in turns, on a CPU: a "
        f"step\ntakes {step_ms:.1f} ms of processor time with scores and {plain_ms:.1f} ms without, {share:+.1%} "
        f"pair by pair (median; standard error {error:.1%}).\n"
        f"Of {len(looks)} looks {within} began within a picture's steps. A look takes "
        f"{look_ms:.0f} ms, as much as {look_ms / plain_ms:.1f} steps.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the lines."""
    parser = argparse.ArgumentParser(prog="python -m bench.scoring_cost", description=__doc__)
    parser.add_argument("face_models", type=Path, help="the folder of face model packs")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put them between the marks of a Markdown file")
    options = parser.parse_args(argv)
    table = measured(options.face_models, options.rounds, options.steps)
    sys.stdout.write(table)
    if options.write:
        put_table(options.write, "scoring", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
