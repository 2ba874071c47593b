"""A job at work in a host: the one way by which hooks, LoRAs, rows and progress reach a UNet, in every host."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from torch import nn

from lib_faceid.effects.injection import Injection
from lib_faceid.hosts.host import Sampling
from lib_faceid.jobs.job import Job, Prepared

__all__ = ["AttachedJob"]


class AttachedJob:
    """A job, and the host that draws it. As a context manager it leaves nothing behind, also after an exception.

    A host that works by callbacks calls `begin_step` and `end_step` in theirs, and `close` wherever a job may end.
    """

    def __init__(self, job: Job, host: Sampling) -> None:
        self._job, self._host = job, host
        self._step = ExitStack()
        self._loras_of: tuple[nn.Module, bool] | None = None

    def __enter__(self) -> AttachedJob:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def attach(self) -> Injection:
        """Put hooks and LoRAs into the UNet of now, if they are not in it. Nothing is drawn with them before a step.

        Raises FaceIDError for a UNet that nobody can be drawn with.
        """
        unet, now = self._host.unet, self._host.current_pass
        injection = self._job.attach(unet, now)
        if self._loras_of != (unet, now.hires):  # a refiner, say, or another job had the UNet in between
            self.put_loras()
        return injection

    def begin_step(self) -> None:
        """Before the UNet calls of one step: attach to the UNet of now, and give it the step's progress and rows.

        May be called more than once for a step. Raises FaceIDError for a UNet that nobody can be drawn with.
        """
        self.end_step()
        injection = self.attach()
        progress = self._host.progress()
        injection.set_progress(*progress)
        injection.set_rows(None)
        if injection.writing:
            injection.writing.set_progress(*progress)
        if injection.acts or injection.writing:
            self._step.enter_context(self._host.rows(injection))

    def end_step(self) -> None:
        """After the UNet calls of one step: undo what is there for them only. Rows and hooks stay."""
        self._step.close()

    def put_loras(self) -> None:
        """Put the LoRAs of the pass into the UNet of now; again where the host may have forgotten them."""
        unet, hires = self._host.unet, self._host.current_pass.hires
        self._host.put_loras(self._job.loras(unet, hires=hires))
        self._loras_of = unet, hires

    def withdraw_loras(self) -> None:
        """Take the LoRAs out; the next step puts them back."""
        self._loras_of = None
        self._host.put_loras(())

    def pause(self) -> None:
        """Leave UNet calls alone until the next step: they are somebody else's."""
        self.end_step()
        if self._job.injection is not None:
            self._job.injection.set_rows(None)

    def detach(self) -> None:
        """Take the hooks out; the next step puts them into whichever UNet is there by then."""
        self._job.detach()

    def report(self, when: Callable[[Prepared], str], batch: str = "") -> None:
        """After a batch: say what was applied in it, and begin to count anew.

        when: gives in words in which steps a unit acted; batch: names the batch where there are several.
        """
        for line in self._job.report(when, batch, is_interrupted=self._host.is_interrupted):
            self._host.say(line)
        self._job.begin_batch()

    def close(self) -> None:
        """Leave nothing behind, whatever fails on the way. May be called any number of times."""
        with ExitStack() as last:
            last.callback(self.withdraw_loras)
            last.callback(self._job.close)
            last.callback(self.end_step)
