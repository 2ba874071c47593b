"""What every training needs: steps that can be stopped at any time, resumed, and repeated exactly.

What a step draws depends on the seed and the step's number alone, so a run that was stopped ten times ends where an
uninterrupted one does (on the same machine: floating point sums depend on it).
"""

from __future__ import annotations

import json
import os
import signal
import time
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.together import Meeting

__all__ = ["Plan", "Stopped", "generator_of", "share_cores", "train"]

Network = TypeVar("Network", bound=nn.Module)

SAVE_EVERY_S = 180
LOG_EVERY = 25  # steps


class Stopped(Exception):  # noqa: N818 - it is news, not an error
    """The run was asked to stop, and its state is saved."""


@dataclass(frozen=True)
class Plan:
    """How a network is trained."""

    name: str
    steps: int
    learning_rate: float
    ema: float
    """How much of the running mean of the weights, which is what ships, each step keeps."""
    seed: int = 0
    warmup: int = 100
    cooldown: float = 0.4
    """The last part of the steps, over which the learning rate falls to a twentieth."""
    evaluate_every: int = 500
    is_polite: bool = False
    """Whether to give way to other programs; sums then depend on how many cores took part."""

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        left = (self.steps - step) / max(self.cooldown * self.steps, 1)
        return self.learning_rate * min(1, (step + 1) / self.warmup, max(left, 0.05))

    def kept(self, step: int) -> float:
        """Return how much of the mean a step keeps: less in the beginning, when there is nothing worth keeping."""
        return min(self.ema, (1 + step) / (10 + step))


def share_cores() -> None:
    """Use all cores while nobody else wants them, and one otherwise.

    oneDNN's threads wait for each other by spinning: where one of two has no core, both burn three times the time.
    """
    cores = os.cpu_count() or 1
    torch.set_num_threads(1 if os.getloadavg()[0] > cores + 1 else cores)


def generator_of(seed: int, name: str, step: int) -> torch.Generator:
    """Return the random numbers of one step."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed} {name} {step}".encode()))


def train(
    network: Network,
    plan: Plan,
    folder: Path,
    loss_of: Callable[[torch.Generator, int], dict[str, Tensor]],
    evaluate: Callable[[Network, int], dict[str, float]],
    meeting: Meeting | None = None,
) -> Network:
    """Train the network, and return the mean of its weights (a network alike).

    `loss_of` gives the parts of a step's loss, which are summed up; `evaluate` sees the mean of the weights. State and
    log are kept in `folder` as `<name>.pt` and `<name>.jsonl`; a state that is there is gone on from. `meeting`: where
    other processes train the same network. Raises Stopped on SIGTERM.
    """
    run = _Run(network, plan, folder)
    stop = _StopSignal()
    bar = tqdm(range(run.step, plan.steps), plan.name, initial=run.step, total=plan.steps, disable=None)
    for step in bar:
        if plan.is_polite:
            share_cores()
        run.take(loss_of(generator_of(plan.seed, plan.name, step), step))
        if meeting:
            meeting.after(run.step)
        if run.step % LOG_EVERY == 0:
            run.log_losses()
        if run.step % plan.evaluate_every == 0 or run.step == plan.steps:
            run.log(evaluate(run.mean.eval(), run.step))
        if stop.asked or run.step == plan.steps or time.monotonic() - run.saved_at > SAVE_EVERY_S:
            run.save()
        if stop.asked:
            raise Stopped(f"{plan.name} stopped after {run.step} of {plan.steps} steps")
    return run.mean.eval()


class _StopSignal:
    """Remembers SIGTERM and SIGINT until a step is done."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


class _Run(Generic[Network]):
    """The state of a training, on disk and in memory."""

    def __init__(self, network: Network, plan: Plan, folder: Path) -> None:
        self.network, self.plan, self.step = network, plan, 0
        self.mean = deepcopy(network).requires_grad_(False)
        self._path, self._journal = folder / f"{plan.name}.pt", folder / f"{plan.name}.jsonl"
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=1e-4)
        if self._path.is_file():
            self._restore(torch.load(self._path, weights_only=True))
        self.saved_at = self._logged_at = time.monotonic()
        self._losses: list[dict[str, float]] = []

    def take(self, losses: dict[str, Tensor]) -> None:
        """Take one step down the sum of the losses."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.rate(self.step)
        self._optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        kept = self.plan.kept(self.step)
        with torch.no_grad():
            for mean, now in zip(self.mean.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - kept)
        self.step += 1
        self._losses.append({name: loss.item() for name, loss in losses.items()})

    def log_losses(self) -> None:
        """Log the mean of each loss since the last time, and the pace."""
        now, count = time.monotonic(), len(self._losses)
        means = {name: sum(loss[name] for loss in self._losses) / count for name in self._losses[0]}
        pace = count / (now - self._logged_at)
        self.log({**means, "steps_per_s": pace, "hours_left": (self.plan.steps - self.step) / pace / 3600})
        self._losses, self._logged_at = [], now

    def log(self, values: dict[str, Any]) -> None:
        """Append one line to the journal, and print it."""
        rounded = {name: round(value, 4) for name, value in values.items()}
        line = json.dumps({"step": self.step, **rounded})
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(self.plan.name, line, flush=True)  # noqa: T201 - this is a command line's output

    def save(self) -> None:
        """Write the state, whole or not at all."""
        part = self._path.with_name(self._path.name + ".part")
        networks = {"network": self.network.state_dict(), "mean": self.mean.state_dict()}
        torch.save({"step": self.step, **networks, "optimizer": self._optimizer.state_dict()}, part)
        part.replace(self._path)
        self.saved_at = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self._optimizer.load_state_dict(state["optimizer"])
