"""`python -m training`: from a folder of photos to the parts of the miniature."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from lib_faceid.face_packs import require_face_pack
from lib_faceid.faces import load_face_analyser
from training.loop import Plan, Stopped
from training.measure import Judge
from training.people import find_portraits
from training.recogniser import Recogniser
from training.vae_phase import VAETraining
from training.world import World, make_world, read_world

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Return the exit status of the training that `argv` asks for."""
    options = _parser().parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    try:
        _train(options)
    except Stopped as news:
        print(f"{news}. The same command goes on from there.")  # noqa: T201
    return 0


def _train(options: argparse.Namespace) -> None:
    recogniser = Recogniser(require_face_pack(options.face_models).recogniser)
    world = _world(options, recogniser)
    judge = Judge(load_face_analyser(options.face_models))
    plan = Plan("vae", options.vae_steps, learning_rate=1e-3, ema=0.995, seed=options.seed, evaluate_every=200)
    VAETraining(world, recogniser, judge, plan).run(options.out)


def _world(options: argparse.Namespace, recogniser: Recogniser) -> World:
    path = options.out / "world.npz"
    if path.is_file():
        return read_world(path)
    portraits = find_portraits(options.photos, load_face_analyser(options.face_models))
    return make_world(path, portraits, recogniser, options.pictures, options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="training", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder with the photos that people.py names")
    parser.add_argument("--face-models", type=Path, required=True, help="a folder with a detector and w600k_mbf")
    parser.add_argument("--out", type=Path, required=True, help="state, logs, curves and, in the end, the parts")
    parser.add_argument("--pictures", type=int, default=300, help="of each person (%(default)s)")
    parser.add_argument("--vae-steps", type=int, default=3000, help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=6000, help="of UNet and adapter together (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
