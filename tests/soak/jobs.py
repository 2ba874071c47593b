"""Random jobs of every kind that a WebUI is given: who is drawn, how, and what becomes of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["KINDS", "PEOPLE", "SoakJob", "random_jobs"]

PEOPLE = ("Anna", "Bert")
"""Saved before the first job."""
SIZES = ((128, 128), (128, 192), (192, 128), (64, 128), (200, 136), (256, 128))
SAMPLERS = ("Euler", "Euler a", "DPM++ 2M", "DPM++ SDE", "DDIM", "Heun")  # UniPC refuses as few steps as these
CHECKPOINTS = ("mini_sd15.safetensors", "mini_sd15_other.safetensors", "mini_sdxl.safetensors")
ADAPTERS = ("faceid", "plus", "plusv2", "portrait")


@dataclass(frozen=True)
class SoakJob:
    """One job, as the HTTP API takes it."""

    kind: str
    units: list[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    status: int = 200
    """What is expected."""
    is_img2img: bool = False
    ends_with: str = ""
    """`interrupt` or `skip`: what is sent while it runs, after `after_s`."""
    after_s: float = 0.0


Make = Callable[[random.Random, Sequence[str]], SoakJob]


def random_jobs(count: int, seed: int, photos: Sequence[str]) -> list[SoakJob]:
    """Return that many jobs, the same ones for the same seed. photos: pictures with one face, in base64."""
    dice = random.Random(seed)
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    return [KINDS[name][1](dice, photos) for name in dice.choices(names, weights, k=count)]


def _common(dice: random.Random) -> dict[str, Any]:
    width, height = dice.choice(SIZES)
    return {
        "width": width,
        "height": height,
        "steps": dice.randint(2, 5),
        "seed": dice.randrange(2**32),
        "sampler_name": dice.choice(SAMPLERS),
        "cfg_scale": dice.choice((1, 5, 7.5)),
    }


def _unit(dice: random.Random, photos: Sequence[str]) -> dict[str, Any]:
    """Return somebody from photos or the library, with any adapter, strength and part of the steps."""
    who = dice.choice(
        (
            {"image": dice.choice(photos)},
            {"images": dice.sample(list(photos), k=min(2, len(photos)))},
            {"person": dice.choice(PEOPLE), "adapter": "ip-adapter-faceid_sd15"},
        )
    )
    start = dice.choice((0.0, 0.0, 0.3))
    drawn = {"weight": dice.choice((0.4, 0.8, 1.2)), "start": start, "end": dice.choice((0.8, 1.0))}
    adapter = f"ip-adapter-faceid-{dice.choice(ADAPTERS)}_sd15".replace("-faceid-faceid", "-faceid")
    return {"adapter": adapter, **who, **drawn, "weight_type": dice.choice(("linear", "ease in"))}


def _plain(dice: random.Random, _photos: Sequence[str]) -> SoakJob:
    return SoakJob("plain", [], _common(dice))


def _off(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    return SoakJob("weight 0", [{**_unit(dice, photos), "weight": 0}], _common(dice))


def _person(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    return SoakJob("one person", [_unit(dice, photos)], _common(dice))


def _regions(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    regions = dice.choice((("left", "right"), ("auto", "auto"), ("top", "box 0.1 0.5 0.9 1")))
    return SoakJob("two in regions", [{**_unit(dice, photos), "region": one} for one in regions], _common(dice))


def _tag(dice: random.Random, _photos: Sequence[str]) -> SoakJob:
    tags = " ".join(f"<faceid:{name}:0.7:adapter=ip-adapter-faceid_sd15>" for name in dice.sample(PEOPLE, k=1))
    return SoakJob("called in the prompt", [], {**_common(dice), "prompt": f"a person {tags}"})


def _batch(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    settings = {**_common(dice), "batch_size": dice.choice((1, 2)), "n_iter": 2}
    return SoakJob("batches", [{**_unit(dice, photos), "batch": "one each"}], settings)


def _hires(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    hires = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6, "hr_upscaler": "Latent"}
    return SoakJob("hires fix", [_unit(dice, photos)], {**_common(dice), **hires, "width": 128, "height": 128})


def _img2img(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    settings = {**_common(dice), "init_images": [dice.choice(photos)], "denoising_strength": 0.7}
    return SoakJob("img2img", [_unit(dice, photos)], settings, is_img2img=True)


def _checkpoint(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    settings = {**_common(dice), "opts_sd_model_checkpoint": dice.choice(CHECKPOINTS)}
    return SoakJob("another checkpoint", [{**_unit(dice, photos), "adapter": "Auto"}], settings)


def _refused(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    wrong = dice.choice(({"adapter": "none"}, {"weight": 9}, {"person": "Nobody"}, {"region": "mask"}))
    return SoakJob("refused", [{**_unit(dice, photos), **wrong}], _common(dice), status=422)


def _failing(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    settings = {**_common(dice), "probe": {"fail_at_call": dice.randint(1, 2)}, "sampler_name": "Euler"}
    return SoakJob("an error in the UNet", [_unit(dice, photos)], settings, status=500)


def _ended(dice: random.Random, photos: Sequence[str]) -> SoakJob:
    ends_with, after_s = dice.choice(("interrupt", "skip")), dice.uniform(0.2, 2)
    settings = {**_common(dice), "steps": 30, "n_iter": 2, "sampler_name": "Euler"}
    return SoakJob(ends_with, [_unit(dice, photos)], settings, ends_with=ends_with, after_s=after_s)


KINDS: dict[str, tuple[int, Make]] = {  # kind: (how often beside the others, what makes one)
    "plain": (2, _plain),
    "weight 0": (1, _off),
    "one person": (5, _person),
    "two in regions": (3, _regions),
    "called in the prompt": (2, _tag),
    "batches": (2, _batch),
    "hires fix": (2, _hires),
    "img2img": (2, _img2img),
    "another checkpoint": (2, _checkpoint),
    "refused": (2, _refused),
    "an error in the UNet": (2, _failing),
    "ended": (1, _ended),
}
