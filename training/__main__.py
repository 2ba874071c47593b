"""`python -m training`: from a folder of photos to the parts of the miniature."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.console import use_any_console
from lib_faceid.faces.analyser import FaceAnalyser, largest, load_face_analyser
from lib_faceid.faces.geometry import Floats
from lib_faceid.faces.packs import require_face_pack
from lib_faceid.miniature.trained import TRAINED
from training.captions import COLOURS_RGB, caption_table
from training.curves import draw_curves
from training.exam import Exam
from training.export import export, export_plus, load_part
from training.joint_phase import Album, JointTraining
from training.loop import Plan, Stopped
from training.measure import Judge
from training.never_seen import NEVER_SEEN, find_never_seen
from training.people import find_portraits
from training.plus_phase import Photos, PlusTraining
from training.recogniser import Recogniser
from training.strangers import Parent, parent_of
from training.vae import VAE
from training.vae_phase import VAETraining, encoded, finished_vae
from training.world import PHOTO, PICTURES_EACH, World, write_sittings, write_world

__all__ = ["main"]

EXAMINED = 24  # strangers
LOOKING = 300  # steps in which Plus v2's networks look at photos only


def main(argv: list[str]) -> int:
    """Return the exit status of the training that `argv` asks for."""
    use_any_console()
    options = _parser().parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    try:
        _train(options)
    except Stopped as news:
        print(f"{news}. The same command goes on from there.")  # noqa: T201
    finally:
        for journal in options.out.glob("*.jsonl"):
            draw_curves(journal, journal.with_suffix(".png"))
    return 0


def _train(options: argparse.Namespace) -> None:
    recogniser = Recogniser(require_face_pack(options.face_models).recogniser)
    analyser = load_face_analyser(options.face_models)
    judge = Judge(analyser)
    world = _world(options, recogniser, analyser)
    vae, latents = _vae(options, VAETraining(world, recogniser, judge, _plan("vae", options), options.start))
    captions = caption_table()
    strangers = _never_seen(options, analyser)
    exam = Exam(vae, judge, captions[:, PHOTO, 0], strangers)
    tensors = (torch.from_numpy(each) for each in (world.person, world.colour, world.style, world.photo_embeddings))
    album = Album(latents, *tensors)
    training = JointTraining(album, captions, exam, _plan("joint", options), options.start)
    joint = training.run(options.out, is_shared=options.worker is not None)
    if options.worker:
        return
    if options.plus_steps:
        sittings, photos = _sittings(options, analyser, vae, album.photo_embeddings)
        look, plan = _plan("look", options), _plan("plus", options)
        networks = PlusTraining(joint, sittings, photos, captions, look, plan).run(options.out)
        export_plus(options.out / "parts", networks)
    thorough = replace(exam, seeds=4, weights=(0.0, 0.2, 0.4, 0.8))
    marks = thorough.take(joint.unet, joint.adapter, options.out / "exam.png")
    (options.out / "exam.json").write_text(json.dumps(marks, indent=2), encoding="utf-8")
    for path in export(options.out / "parts", vae, joint.unet, joint.adapter):
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")  # noqa: T201


def _plan(name: str, options: argparse.Namespace) -> Plan:
    is_vae = name == "vae"
    steps = {"vae": options.vae_steps, "joint": options.steps, "look": LOOKING, "plus": options.plus_steps}
    return Plan(
        name if is_vae or not options.worker else f"{name}{options.worker}",
        steps[name],
        learning_rate=1e-3 if is_vae or name == "plus" else 8e-4,
        ema=0.995 if is_vae else 0.98,
        evaluate_every=200 if is_vae else 500,
        seed=options.seed,
        is_polite=options.polite,
    )


def _vae(options: argparse.Namespace, training: VAETraining) -> tuple[VAE, Tensor]:
    """Return the finished VAE and the world's latents, which are kept, too: the UNet depends on these very ones.

    Without steps for it, the VAE stays as it is in the folder that training starts from.
    """
    path = options.out / "latents.pt"
    vae = VAE(TRAINED.vae).eval().requires_grad_(False)
    if not options.vae_steps:
        load_part(vae, options.start / "vae.safetensors")
        latents = torch.load(path, weights_only=True) if path.is_file() else encoded(vae, training.world.pictures_rgb)
        torch.save(latents, path)
        return vae, latents
    if not path.is_file():
        trained = training.run(options.out)
        torch.save({"latents": finished_vae(trained, training.world), "vae": trained.state_dict()}, path)
    state = torch.load(path, weights_only=True)
    vae.load_state_dict(state["vae"])
    return vae, state["latents"]


def _world(options: argparse.Namespace, recogniser: Recogniser, analyser: FaceAnalyser) -> World:
    parents, folder = _parents(options, analyser), options.out / "world"
    return write_world(folder, parents, recogniser, options.people, options.seed, partial(_located, analyser))


def _sittings(
    options: argparse.Namespace, analyser: FaceAnalyser, vae: VAE, photo_embeddings: Tensor
) -> tuple[Album, Photos]:
    """Return pictures in all kinds of light, and the photo of each, for Plus v2."""
    parents, folder = _parents(options, analyser), options.out / "sittings"
    pictures, faces = write_sittings(folder, parents, options.people, options.seed, partial(_located, analyser))
    path, number = options.out / "sittings.pt", torch.arange(len(pictures))
    latents = torch.load(path, weights_only=True) if path.is_file() else encoded(vae, pictures)
    torch.save(latents, path)
    person, colour = number // PICTURES_EACH, number % len(COLOURS_RGB)
    return Album(latents, person, colour, torch.full_like(number, PHOTO), photo_embeddings), Photos(faces)


def _parents(options: argparse.Namespace, analyser: FaceAnalyser) -> list[Parent]:
    return [parent_of(portrait) for portrait in find_portraits(options.photos, analyser)]


def _located(analyser: FaceAnalyser, photo_rgb: NDArray[np.uint8]) -> Floats | None:
    faces = analyser.detect(photo_rgb)
    return largest(faces).points if faces else None


def _never_seen(options: argparse.Namespace, analyser: FaceAnalyser) -> NDArray[np.float32]:
    portraits = find_portraits(options.photos, analyser)
    return np.stack([one.id_embedding for one in find_never_seen(NEVER_SEEN, portraits, EXAMINED, analyser)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="training", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder with the photos that people.py names")
    parser.add_argument("--face-models", type=Path, required=True, help="a folder with a detector and w600k_mbf")
    parser.add_argument("--out", type=Path, required=True, help="state, logs, curves and, in the end, the parts")
    parser.add_argument("--people", type=int, default=2400, help="in the world (%(default)s)")
    parser.add_argument("--start", type=Path, help="a folder of parts to go on from, such as the shipped ones")
    parser.add_argument("--worker", type=int, help="one of several processes with the same --out: 0, 1, ...")
    parser.add_argument("--vae-steps", type=int, default=2400, help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=6000, help="of UNet and adapter together (%(default)s)")
    parser.add_argument("--plus-steps", type=int, default=0, help="of Plus v2, after that (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--polite", action="store_true", help="one thread while other programs want the cores")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
