"""One job of the WebUI: when it is attached, what is said of it, how it fails aloud, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NoReturn

from fastapi import HTTPException
from modules import shared
from torch import nn

from lib_faceid.errors import FaceIDError
from lib_faceid.hosts.attached import AttachedJob
from lib_faceid.hosts.webui.engine import engine
from lib_faceid.hosts.webui.passes import Pixels, flat_pixels, init_pictures, on_first_pass, pass_of
from lib_faceid.hosts.webui.sampling import WebUISampling, say
from lib_faceid.hosts.webui.scores import WATCHES, is_scored, scores_of
from lib_faceid.hosts.webui.settings import setting
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.expected import Judge, judge_for
from lib_faceid.jobs.job import Job, Prepared
from lib_faceid.jobs.redrawn import Redrawn
from lib_faceid.jobs.scoring import Scoring
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.region import WHOLE, Box
from lib_faceid.units.tags import tag_key
from lib_faceid.units.unit import Unit

__all__ = ["FaceIDStopped", "WebUIJob", "failing"]


class FaceIDStopped(HTTPException):
    """Ends a job with a sentence: red under the picture in the page, HTTP 422 in the API."""

    def __str__(self) -> str:
        return str(self.detail)


class WebUIJob:
    """One job of the WebUI: the engine's job, and what is undone when it ends."""

    def __init__(self, p: Any, units: Sequence[Unit], models: Models, tagged: Sequence[Unit] = ()) -> None:
        self._p = p
        self.units = list(units)
        """The page's or the request's."""
        self.tagged = list(tagged)
        """Those that the prompt calls besides."""
        self.is_closed = False
        self.is_part = False
        """Whether it draws a face inside another job."""
        self.is_in_step = False
        """Whether the UNet is being called for one of its steps."""
        self._job = Job(units, models, tagged)
        self._sampling = WebUISampling(p, self._job)
        self._attached = AttachedJob(self._job, self._sampling)
        self._redrawn = Redrawn(self._job, self._job.face_analyser, self.say)
        self._infotexts: dict[str, str] = {}
        self._undo = ExitStack()
        self._refused: nn.Module | None = None
        self._looked_at: set[int] = set()
        self._scoring = Scoring(self._job, self._job.face_analyser, WATCHES) if is_scored(p) else None

    def prepare(self) -> Sequence[Prepared]:
        """Get every unit that acts ready, write down what will be drawn, and return it. Raises FaceIDError."""
        engine().check()
        everybody = self._job.prepare(engine().unet())
        for prepared in everybody:
            line = prepared.infotext(has_hashes=setting("faceid_write_hashes"))
            self._infotexts[infotext_key(prepared.number)] = line
            for note in prepared.notes:
                say(self._p, f"FaceID {prepared.number}: {note}")
        self._p.extra_generation_params.update(self._infotexts)
        if self._job.follows_faces:
            self._undo.callback(on_first_pass(self._p, self._see))
        return everybody

    def is_of(self, p: Any) -> bool:
        """Say whether it is the job of `p` itself, and not of what `p` is a copy of."""
        return p is self._p

    def say(self, message: str) -> None:
        """Show a message with the job's pictures."""
        say(self._p, message)

    @property
    def prepared(self) -> Sequence[Prepared]:
        """The units as they were prepared so far."""
        return self._job.prepared

    @property
    def numbers(self) -> list[int | str]:
        """What the units are called by, the page's first."""
        return [*range(len(self.units)), *map(tag_key, range(len(self.tagged)))]

    @property
    def image(self) -> int:
        """The number of the image at hand, counted from 0 through the job."""
        return pass_of(self._p).images.start + getattr(self._p, "batch_index", 0)

    def overlap(self, number: int | str, part: Box) -> float | None:
        """Return how much of a unit's region lies in a part of the image at hand; None for a unit without a region."""
        return self._job.overlap(number, part, self.image)

    def face_and_owner(
        self, part: Box, picture: Pixels, numbers: Collection[int | str]
    ) -> tuple[int, int | str | None]:
        """Return which face of the image at hand, shown in `picture`, a part of it is, and the unit most like it.

        Counted from 0 at the left; numbers: of the units to choose from; None where no likeness can be told.
        """
        return self._redrawn.face_and_owner(self.image, part, picture, numbers)

    def judge_of(self, image: int) -> Judge:
        """Return what says how alike a picture of that number in the job is to its people; the least alike counts.

        Raises UnitError where nobody is asked for, MismatchError for people of another recogniser.
        """
        self._job.prepare(engine().unet())
        expected = self._job.expected(image)
        if pass_of(self._p).view != WHOLE:  # a part is drawn, and regions are of the whole
            expected = [replace(one, region=None) for one in expected]
        return judge_for(expected, self._job.face_analyser())

    def apply_loras(self) -> None:
        """Put the adapters' LoRAs beside those of the prompt. May be called again, also for another UNet."""
        self._attached.put_loras()

    def withdraw_loras(self) -> None:
        """Take the adapters' LoRAs out again; the job's next step puts them back."""
        self._attached.withdraw_loras()

    def arm(self, params: Any) -> None:
        """Tag the rows that the coming UNet calls are made of, if anyone acts at this step."""
        self._attached.end_step()
        if engine().unet() is self._refused:
            return
        first = pass_of(self._p).images.start
        if self._job.follows_faces and first not in self._looked_at:
            self._looked_at.add(first)
            self._see(init_pictures(self._p))
        self._sampling.params = params
        self._attached.begin_step()
        self._sampling.steps.note(self._job.taking_part)

    def end_step(self) -> None:
        """Undo what is there for the UNet calls of one step only."""
        self.is_in_step = False
        self._attached.end_step()

    def _see(self, pictures: Sequence[Pixels]) -> None:
        """Look where the people are in the pictures that the coming pass begins with; there may be none."""
        try:
            for note in self._job.see(engine().unet(), pictures, pass_of(self._p).images.start):
                say(self._p, f"FaceID: {note}")
        except FaceIDError as error:
            say(self._p, f"FaceID: the faces could not be followed, and the units act in columns: {error}")

    def detach(self) -> None:
        """Take the hooks out of the UNet; the next step puts them into whichever UNet is loaded by then."""
        self._attached.detach()

    def disarm(self) -> None:
        """Leave UNet calls alone from here on: they are somebody else's."""
        self._attached.pause()

    def refuse(self, error: Exception) -> None:
        """Deal with a UNet that cannot be injected: a refiner is left alone, said aloud; anything else ends the job."""
        if shared.sd_model.sd_checkpoint_info is getattr(self._p, "refiner_checkpoint_info", None):
            self._attached.close()
            self._refused = engine().unet()
            say(self._p, f"FaceID stopped where the refiner took over: {error}")
        else:
            self._fail_at_next_call(engine().unet(), error)

    def report(self) -> None:
        """Say in one line per unit what was applied, after a batch; its pictures' metadata are written next."""
        is_applied = self._job.is_applied
        lines = self._infotexts if is_applied else dict.fromkeys(self._infotexts, "not applied")
        self._p.extra_generation_params.update(lines)
        batch = f" in batch {self._p.iteration + 1}" if self._p.n_iter > 1 else ""
        self._attached.report(self._sampling.steps.summary, batch)

    def score(self, picture: Any) -> None:
        """Look at the finished image at hand, and write down how alike its people are."""
        if self._scoring is None or self.is_part:
            return
        score, notes = self._scoring.look(flat_pixels(picture), self.image)
        for note in notes:
            say(self._p, note)
        if score is not None:
            seeds: Sequence[int] = getattr(self._p, "all_seeds", None) or []
            # Of a search several pictures of one image may be kept: this is the picture's number.
            at = getattr(self._p, "iteration", 0) * self._p.batch_size + getattr(self._p, "batch_index", 0)
            scores_of(self._p).add(at, seeds[at] if at < len(seeds) else None, score)

    def close(self) -> None:
        """Leave nothing behind. May be called any number of times."""
        self.is_closed = True
        self.is_in_step = False
        self._attached.close()
        self._undo.close()

    def _fail_at_next_call(self, unet: nn.Module, error: Exception) -> None:
        """Raise the error from inside the UNet, where no callback wrapper swallows it."""
        handle = unet.register_forward_pre_hook(failing(error))
        self._undo.callback(handle.remove)


def failing(error: Exception) -> Callable[..., NoReturn]:
    """Return a function that takes anything and ends the job with the error's sentence."""

    def fail(*_args: Any, **_kwargs: Any) -> NoReturn:
        stopped = FaceIDStopped(getattr(error, "status_code", 500), f"IP-Adapter FaceID: {error}")
        # A refusal is all said in its sentence; the host prints the traceback, and of anything else it is needed.
        raise stopped from None if isinstance(error, FaceIDError) else error

    return fail
