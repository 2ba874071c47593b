"""The engine `webui`: WebUIs that already run, through their HTTP API, each with one picture at a time.

Nobody is sent more than it asks for. One that fails is tried again; at the third time in a row it is left out, asked
from time to time whether it is back, and taken in again. Its picture goes to another one at once.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, cast

from lib_faceid.batch.address import Address, Answer, AnswerError
from lib_faceid.batch.drawer import record_of
from lib_faceid.batch.engine import Drawn, LostError
from lib_faceid.batch.index import Task
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.unit_pictures import with_pictures
from lib_faceid.errors import FaceIDError, HostError
from lib_faceid.external import TITLE
from lib_faceid.likeness.meaning import LIKENESS_KEY

__all__ = ["DRAWN_BY", "WebUIEngine", "WebUIWorker", "body_of"]

DRAW, ALIVE = "/sdapi/v1/txt2img", "/ip-adapter-faceid/version"
PNG_BEGIN, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
OK, BUSY, NOT_LET_IN = 200, (408, 425, 429, 503), (401, 403, 404, 405)
DRAWN_BY = "WebUI"
IN_A_ROW = 3
"""Failures after which a WebUI is left out."""
LEAST_TIMEOUT, TIMES = 120.0, 20.0
"""How long is waited when it is known how long others took: so many times that."""


@dataclass
class WebUIEngine:
    """Those at these addresses. Times are in seconds."""

    addresses: Sequence[Address]
    timeout: float = 600.0
    """For one picture."""
    first_wait: float = 5.0
    """Until one that was left out is asked for the first time; then twice as long, up to `longest_wait`."""
    longest_wait: float = 300.0
    patience: float = 24 * 3600.0
    """After which one that is not back is given up."""
    name: str = "webui"
    attempts: int = 20
    _paces: deque[float] = field(default_factory=lambda: deque[float](maxlen=200), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def places(self) -> Sequence[str]:
        """Return the addresses."""
        return [one.name for one in self.addresses]

    def open(self, place: str) -> WebUIWorker:
        """Return one, whether it is there or not."""
        return WebUIWorker(next(one for one in self.addresses if one.name == place), self)

    def took(self, picture: Picture, seconds: float) -> None:
        """Write down how long a picture took."""
        with self._lock:
            self._paces.append(seconds / picture.work)

    def timeout_of(self, picture: Picture) -> float:
        """Return how long to wait for a picture."""
        with self._lock:
            known = median(self._paces) if self._paces else None
        if known is None:
            return self.timeout
        return min(self.timeout, max(LEAST_TIMEOUT, TIMES * known * picture.work))


@dataclass
class WebUIWorker:
    """One WebUI."""

    address: Address
    engine: WebUIEngine
    _failures: int = field(default=0, init=False)
    """In a row."""
    _asked: int = field(default=0, init=False)
    _since: float = field(default=0.0, init=False)
    _wait: float = field(default=0.0, init=False)
    """For which it asked itself."""

    @property
    def name(self) -> str:
        """Its address."""
        return self.address.name

    def draw(self, task: Task) -> Drawn:
        """Return the picture. Raises LostError where the WebUI is at fault, FaceIDError where the picture is."""
        picture = task.picture
        body = body_of(picture)
        began = time.monotonic()
        try:
            answer = self.address.ask(DRAW, body, self.engine.timeout_of(picture))
        except AnswerError as error:
            raise self._lost(str(error), counts=error.is_begun) from error
        self._check(answer)
        seconds = time.monotonic() - began
        try:
            drawn = _drawn(answer.body, picture, seconds)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise self._lost(f"{self.name} answered without a picture ({error}).") from error
        self._failures = self._asked = 0
        self._since = 0.0
        self.engine.took(picture, seconds)
        return drawn

    def revive(self) -> float | None:
        """Say when to try again; ask one that was left out whether it is back."""
        if self._wait:
            wait, self._wait = self._wait, 0.0
            return wait
        if self._failures < IN_A_ROW:
            return 0
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since > self.engine.patience:
            return None
        if self._asked:
            try:
                if self.address.ask(ALIVE, timeout=min(self.engine.timeout, 30.0)).status == OK:
                    self._failures -= 1  # one more chance
                    return 0
            except AnswerError:
                pass
        wait = min(self.engine.first_wait * 2**self._asked, self.engine.longest_wait)
        self._asked = min(self._asked + 1, 20)
        return wait * random.uniform(0.8, 1.0)  # noqa: S311 - so that fifty are not asked at once

    def close(self) -> None:
        """Nothing is held between two pictures."""

    def _check(self, answer: Answer) -> None:
        if answer.status == OK:
            return
        if answer.status in BUSY:
            self._wait = answer.retry_after or min(self.engine.first_wait, 1.0)
            raise LostError(f"{self.name} is busy (HTTP {answer.status}).", counts=False, is_said=False)
        if answer.status in NOT_LET_IN:
            self._failures = IN_A_ROW
            hint = "Start it with --api, and put name and password into the URL."
            raise LostError(f"{self.name} does not let us in (HTTP {answer.status}). {hint}", counts=False)
        if answer.status >= 500:
            raise self._lost(f"{self.name} failed: {answer.sentence}")
        raise HostError(answer.sentence)

    def _lost(self, sentence: str, *, counts: bool = True) -> LostError:
        self._failures += 1
        return LostError(sentence, counts=counts)


def body_of(picture: Picture) -> dict[str, Any]:
    """Return the request for a picture. Raises FaceIDError for a photo that is gone."""
    width_px, height_px = picture.size or (512, 512)
    args: list[Mapping[str, Any]] = [_unit(one) for one in picture.cast.units]
    args += [picture.options] if picture.options else []
    settings = {"sd_model_checkpoint": Path(picture.checkpoint).stem} if picture.checkpoint else {}
    return {
        "prompt": picture.prompt,
        "negative_prompt": picture.negative,
        "seed": picture.seed,
        "steps": picture.steps,
        "cfg_scale": picture.cfg,
        "width": width_px,
        "height": height_px,
        "sampler_name": "DDIM",
        "n_iter": 1,
        "batch_size": 1,
        "override_settings": settings,
        "override_settings_restore_afterwards": False,  # the next picture wants the same, mostly
        "send_images": True,
        "save_images": False,
        "alwayson_scripts": {TITLE: {"args": args}} if args else {},
    }


def _unit(settings: Mapping[str, Any]) -> dict[str, Any]:
    return with_pictures(settings, _base64, lambda image, weight: {"image": image, "weight": weight})


@lru_cache(maxsize=64)
def _base64(path: str) -> str:
    try:
        return base64.b64encode(Path(path).read_bytes()).decode()
    except OSError as error:
        raise FaceIDError(f"{path} cannot be read any more ({error.strerror}).") from error


def _drawn(body: Any, picture: Picture, seconds: float) -> Drawn:
    png = base64.b64decode(str(body["images"][0]).partition(",")[2] or body["images"][0], validate=True)
    if not png.startswith(PNG_BEGIN) or not png.endswith(PNG_END):
        raise ValueError("no whole PNG")
    info: dict[str, Any] = json.loads(body["info"]) if isinstance(body.get("info"), str) else {}
    seen: Any = (info.get("extra_generation_params") or {}).get(LIKENESS_KEY)
    scores = cast("list[dict[str, Any]]", seen.get("pictures") or []) if isinstance(seen, dict) else []
    score = scores[0] if scores else None
    likeness = score.get("likeness") if score else None
    record = {
        **record_of(picture),
        "drawn_by": DRAWN_BY,
        "drawn_seed": (score or {}).get("seed", info.get("seed", picture.seed)),
        "likeness": likeness,
        "score": score,
    }
    return Drawn(png, record, likeness if isinstance(likeness, (int, float)) else None, seconds)
