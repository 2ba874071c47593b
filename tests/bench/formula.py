"""Runs with a planted cause by formula: what the miniature cannot show, because it knows ten captions only.

Prompts are put together from words, likenesses are drawn around what real adapters give, and looks are measured in
photos of strangers that were made smooth, hard or gaudy. All from one seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from gallery import photo_of
from PIL import Image, ImageEnhance, ImageFilter

from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.look import Look, look_at
from lib_faceid.pictures.photo import read_photo

__all__ = ["formula_runs"]

SEED = 61
FACE = (0.25, 0.15, 0.75, 0.9)
Draw = np.random.Generator
SUBJECTS = ("portrait of a woman", "photo of a man", "a young woman", "an old man", "portrait of a doctor", "a student")
EXPRESSIONS = (
    "slight smile, looking at the camera",
    "serious expression, looking away",
    "calm, eye contact",
    "laughing",
)
CAMERAS = ("85mm lens, head and shoulders", "50mm, eye level, medium shot", "close-up, f/2.8", "upper body, 35mm")
LIGHTS = ("soft window light", "golden hour", "studio lighting, softbox", "overcast daylight", "candlelight")
BACKGROUNDS = ("in a garden", "plain grey background", "in a library", "city street", "brick wall", "on a beach")
STYLES = ("cinematic", "film noir", "watercolour", "fantasy", "cyberpunk", "baroque", "moody", "dramatic", "ethereal",
          "concept art", "oil painting", "vintage", "surreal", "anime", "gothic")  # fmt: skip
PARTS = {"subject": SUBJECTS, "expression": EXPRESSIONS, "camera": CAMERAS, "light": LIGHTS, "background": BACKGROUNDS}
QUIET = ("cinematic", "vintage", "moody", "editorial")
REALISM = ("photorealistic", "8k", "ultra detailed", "best quality", "masterpiece", "hyperrealistic", "sharp focus",
           "skin texture", "uhd", "raw photo", "highly detailed", "unreal engine")  # fmt: skip
UNSTEADY = (0.72, 0.3, 0.68, 0.28, 0.66, 0.3)
CLASHES = (
    ("smiling", "serious"), ("close-up", "full body"), ("night", "bright midday sun"), ("monochrome", "colourful"),
    ("looking at the camera", "from behind"), ("soft light", "harsh light"),
)  # fmt: skip


def formula_runs() -> list[tuple[str, str, Facts]]:
    """Return name, planted cause and facts of each run."""
    runs: list[tuple[str, str, Facts]] = []
    for planted, (count, make) in MAKERS.items():
        for number in range(count):
            draw = np.random.default_rng([SEED, len(runs)])
            runs.append((f"formula-{planted}-{number}", planted, make(draw, number)))
    return runs


def _one(draw: Draw, words: tuple[str, ...]) -> str:
    return words[int(draw.integers(len(words)))]


def _several(draw: Draw, words: tuple[str, ...], count: int) -> str:
    return ", ".join(words[at] for at in draw.permutation(len(words))[:count])


def _prompt(draw: Draw, without: str = "", more: str = "") -> str:
    """Return a prompt of all blocks but one, in their order."""
    parts = [_one(draw, words) for block, words in PARTS.items() if block != without]
    return ", ".join([*parts, *([more] if more else [])])


def _likeness(draw: Draw, middle: float, spread: float = 0.045, count: int = 0) -> tuple[float, ...]:
    pictures = count or int(draw.integers(1, 6))
    return tuple(round(float(value), 3) for value in np.clip(draw.normal(middle, spread, pictures), -0.1, 0.99))


@lru_cache(maxsize=64)
def _photo(number: int) -> Image.Image:
    return Image.fromarray(read_photo(photo_of(f"never_seen_{number:02}")))


def _look(number: int, change: Callable[[Image.Image], Image.Image] = lambda image: image) -> Look:
    return look_at(np.asarray(change(_photo(number % 48)).convert("RGB")), FACE)


def _facts(draw: Draw, number: int, prompt: str, likeness: tuple[float | None, ...], **more: Any) -> Facts:
    """Return the facts of a run with ordinary settings, but for what is given."""
    unit: dict[str, Any] = {
        "likeness": likeness,
        "weight": round(float(draw.uniform(0.7, 0.95)), 2),
        "start": 0.1 if draw.random() < 0.3 else 0.0,
        "end": 1.0,
        "recogniser": "w600k_r50-4c06341c",
        "trained_on": "w600k_r50",
        "reference": round(float(draw.uniform(0.86, 1.0)), 3),
        "face_px": round(float(draw.uniform(90, 300)), 1),
    } | more.pop("unit", {})
    job: dict[str, Any] = {
        "steps": int(draw.integers(20, 36)),
        "cfg": round(float(draw.uniform(5, 8)), 1),
        "side_px": 512,
        "look": _look(number),
        "plain_look": _look(number + 5) if draw.random() < 0.5 else None,
    } | more
    return Facts(prompt=prompt, units=(UnitFacts(**unit),), seed=number, **job)


def _good(draw: Draw, number: int) -> Facts:
    style = _one(draw, QUIET) if draw.random() < 0.5 else ""
    return _facts(draw, number, _prompt(draw, more=style), _likeness(draw, draw.uniform(0.5, 0.72)))


def _waxy(draw: Draw, number: int) -> Facts:
    prompt = _prompt(draw, more=_several(draw, REALISM, 4 + number % 4))
    look = _look(number, lambda image: image.filter(ImageFilter.GaussianBlur(4))) if number % 2 else _look(number)
    return _facts(draw, number, prompt, _likeness(draw, 0.58), look=look, plain_look=None)


def _ignored(draw: Draw, number: int) -> Facts:
    style = _several(draw, STYLES, 2)
    prompt = f"{_one(draw, SUBJECTS)}, smiling, {style}"
    match = round(float(draw.uniform(0.12, 0.17)), 3)
    plain = round(float(draw.uniform(0.24, 0.28)), 3) if number % 2 else None
    return _facts(draw, number, prompt, _likeness(draw, 0.6), text_match=match, plain_text_match=plain)


def _overloaded(draw: Draw, number: int) -> Facts:
    words = ", ".join(_prompt(draw) for _ in range(6))
    return _facts(draw, number, words, _likeness(draw, 0.6))


def _expression(draw: Draw, number: int) -> Facts:
    prompt = _prompt(draw, "expression", _several(draw, QUIET, 2 + number % 2))
    return _facts(draw, number, prompt, _likeness(draw, 0.6))


def _clash(draw: Draw, number: int) -> Facts:
    first, second = CLASHES[number % len(CLASHES)]
    prompt = f"{_one(draw, SUBJECTS)}, {first}, {_one(draw, BACKGROUNDS)}, {second}"
    return _facts(draw, number, prompt, _likeness(draw, 0.57))


def _weak(draw: Draw, number: int) -> Facts:
    unit = {"reference": round(float(draw.uniform(0.3, 0.62)), 3), "reference_reason": "the face is only 26 px"}
    return _facts(draw, number, _prompt(draw), _likeness(draw, 0.34, 0.13, 5), unit=unit)


def _unsteady(draw: Draw, number: int) -> Facts:
    likeness = tuple(round(float(value), 3) for value in np.array(UNSTEADY) + draw.normal(0, 0.02, 6))
    return _facts(draw, number, _prompt(draw), likeness)


def _cfg(draw: Draw, number: int) -> Facts:
    hard = _look(number, lambda image: ImageEnhance.Color(ImageEnhance.Contrast(image).enhance(2.2)).enhance(2.2))
    cfg = round(float(draw.uniform(13, 22)), 1)
    return _facts(draw, number, _prompt(draw), _likeness(draw, 0.42), cfg=cfg, look=hard, plain_look=_look(number))


def _driven(draw: Draw, number: int) -> Facts:
    hard = _look(number, lambda image: ImageEnhance.Contrast(image).enhance(2.0))
    unit = {"weight": round(float(draw.uniform(1.3, 1.9)), 2)}
    return _facts(draw, number, _prompt(draw), _likeness(draw, 0.66), look=hard, plain_look=_look(number), unit=unit)


def _dominated(draw: Draw, number: int) -> Facts:
    prompt = _prompt(draw, more=_several(draw, STYLES, 3 + number % 3))
    return _facts(draw, number, prompt, _likeness(draw, draw.uniform(0.22, 0.34), 0.03))


def _setting(likeness: float, **unit: Any) -> Callable[[Draw, int], Facts]:
    """Return what makes runs whose unit has one wrong setting."""

    def make(draw: Draw, number: int) -> Facts:
        fixed = {
            name: value[number % len(value)] if isinstance(value, tuple) else value for name, value in unit.items()
        }
        return _facts(draw, number, _prompt(draw), _likeness(draw, likeness, 0.03), unit=fixed)

    return make


def _small(draw: Draw, number: int) -> Facts:
    unit = {"face_px": round(float(draw.uniform(18, 38)), 1)}
    return _facts(draw, number, _prompt(draw, "camera"), _likeness(draw, 0.3), unit=unit)


def _faceless(draw: Draw, number: int) -> Facts:
    prompt = f"{_one(draw, SUBJECTS)}, from behind, {_one(draw, BACKGROUNDS)}"
    return _facts(draw, number, prompt, (None,) * (2 + number), unit={"face_px": None})


def _unfinished(draw: Draw, number: int) -> Facts:
    soft = _look(number, lambda image: image.filter(ImageFilter.GaussianBlur(4)))
    return _facts(draw, number, _prompt(draw), _likeness(draw, 0.35), steps=4 + number, look=soft, plain_look=None)


def _crowd(draw: Draw, number: int) -> Facts:
    return _facts(draw, number, _prompt(draw), _likeness(draw, 0.56), others=1.0 + number % 3)


MAKERS: dict[str, tuple[int, Callable[[Draw, int], Facts]]] = {
    "good": (24, _good),
    "waxy": (6, _waxy),
    "style_ignored": (4, _ignored),
    "expression": (4, _expression),
    "contradiction": (6, _clash),
    "weak_reference": (4, _weak),
    "unsteady": (4, _unsteady),
    "high_cfg": (4, _cfg),
    "overdriven": (4, _driven),
    "prompt_dominates": (6, _dominated),
    "low_weight": (4, _setting(0.24, weight=(0.1, 0.2, 0.25, 0.3))),
    "late_start": (2, _setting(0.26, start=(0.4, 0.6))),
    "few_layers": (4, _setting(0.28, weight_type=("style transfer", "composition"))),
    "hires_only": (2, _setting(0.26, hires="hires")),
    "not_acting": (2, _setting(0.05, adapter=("Auto", "ip-adapter-faceid_sd15.bin"))),
    "small_face": (4, _small),
    "no_face": (4, _faceless),
    "few_steps": (4, _unfinished),
    "extra_faces": (2, _crowd),
}


def overloaded_runs() -> Iterator[Facts]:
    """Give runs whose prompts are too long to be followed."""
    for number in range(4):
        yield _overloaded(np.random.default_rng([SEED, 1000 + number]), number)
