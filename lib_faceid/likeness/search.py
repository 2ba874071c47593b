"""The best of several seeds: which are drawn how far, which are dropped on the way, and which one is taken.

Nothing here draws. A host draws candidates to a step and says how alike they are there; what happened is a value.
Everything is decided by those numbers alone, seeds in their order, so that the same job takes the same seed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

__all__ = ["LOOKS", "Candidate", "Draw", "Look", "Plan", "Search", "search"]

LOOKS = (0.3, 0.7)
"""After which fractions of the steps candidates are looked at. Measured, as the next is: docs/LIKENESS.md."""
SPARE = 1
"""So many more are finished than are kept: what is seen on the way does not tell the last ones apart."""


@dataclass(frozen=True)
class Look:
    """What was seen of one candidate."""

    likeness: float | None
    """None where there is no face."""
    calls: int
    """UNet calls that were spent to get there from where it was."""


Draw = Callable[[Sequence[int], int], Sequence[Look]]
"""Draws the candidates of these numbers on to a step (all steps: until they are finished), and looks at them there.

Gives fewer than were asked for when it is interrupted: the search ends."""


@dataclass(frozen=True)
class Plan:
    """How a search goes about it."""

    count: int
    """Candidates at most."""
    steps: int
    keep: int = 1
    target: float | None = None
    look_ahead: bool = True

    def groups(self) -> Iterator[range]:
        """Give the candidates that are begun together, by numbers. Without a target all of them; with one 1, 2, 4, ...

        so that a target that is easy to reach costs one picture, and a hard one as little as halving does.
        """
        first, size = 0, self.keep
        if self.target is None:
            size = self.count
        elif not self.look_ahead:
            size = 1
        while first < self.count:
            yield range(first, min(first + size, self.count))
            first += size
            size = size * 2 if self.look_ahead else size

    def stages(self, begun: int, finish: int) -> list[tuple[int, int]]:
        """Return after which step how many of a group go on, each time about half, until so many are left to finish."""
        if not self.look_ahead or begun <= finish:
            return []
        found: list[tuple[int, int]] = []
        left, last = begun, 0
        for number, fraction in enumerate(LOOKS, 1):
            goal = round(finish * (begun / finish) ** (1 - number / len(LOOKS)))
            step = round(fraction * self.steps)
            if finish <= goal < left and last < step < self.steps:
                found.append((step, goal))
                left, last = goal, step
        return found


@dataclass(frozen=True)
class Candidate:
    """One seed that was tried."""

    number: int
    seen: tuple[tuple[int, float | None], ...] = ()
    """(step, likeness) for each look, the last one of the finished picture where it was finished."""
    calls: int = 0
    dropped_at: int | None = None
    """After which step it was given up."""
    is_finished: bool = False

    @property
    def likeness(self) -> float | None:
        """What was seen last."""
        return self.seen[-1][1] if self.seen else None


@dataclass(frozen=True)
class Search:
    """What a search did."""

    plan: Plan
    candidates: tuple[Candidate, ...] = ()
    chosen: tuple[int, ...] = ()
    """Numbers of the candidates that are kept, the most alike first."""
    is_interrupted: bool = False

    @property
    def calls(self) -> int:
        """UNet calls that were spent on all of them."""
        return sum(one.calls for one in self.candidates)

    @property
    def best(self) -> float | None:
        """The likeness of the picture that was taken first."""
        return self.candidates[self.chosen[0]].likeness if self.chosen else None

    @property
    def meets_target(self) -> bool:
        """Whether all that are kept reach the target; true without one."""
        target = self.plan.target
        return target is None or all(_value(self.candidates[one].likeness) >= target for one in self.chosen)

    def infotext(self, seeds: Sequence[int]) -> str:
        """Return it as metadata have it: "best of: 8, first seed: 100, target: 0.6, tried: 4, UNet calls: 58"."""
        target = {} if self.plan.target is None else {"target": f"{self.plan.target:g}"}
        known = {"first seed": seeds[0], **target, "tried": len(self.candidates), "UNet calls": self.calls}
        return ", ".join(f"{name}: {value}" for name, value in {"best of": self.plan.count, **known}.items())

    def sentence(self, seeds: Sequence[int]) -> str:
        """Return it in one line. seeds: of the candidates."""
        finished = sum(one.is_finished for one in self.candidates)
        tried = f"{len(self.candidates)} seed{'s' if len(self.candidates) != 1 else ''} tried"
        dropped = f", {len(self.candidates) - finished} dropped on the way" if finished < len(self.candidates) else ""
        kept = ", ".join(f"{seeds[one]} ({_shown(self.candidates[one].likeness)})" for one in self.chosen)
        target = ""
        if self.plan.target is not None:
            target = f"; the target {self.plan.target:g} was {'reached' if self.meets_target else 'NOT reached'}"
        stopped = "; interrupted" if self.is_interrupted else ""
        return f"{tried}{dropped}, {self.calls} UNet calls; kept: seed {kept or 'none'}{target}{stopped}."


def search(
    plan: Plan, draw: Draw, drop: Callable[[int], None] = lambda _: None, say: Callable[[str], None] = lambda _: None
) -> Search:
    """Return which candidates are taken, after having them drawn as far as needed.

    draw: see there; drop: is called with the number of each candidate that will not be asked for again; say: is
    called with a line on how far it is.
    """
    state = _State(plan, draw, drop, say)
    for group in plan.groups():
        if not state.run(group) or state.is_enough:
            break
    kept = state.ranked()[: plan.keep]
    for number in state.ranked()[plan.keep :]:
        drop(number)
    candidates = tuple(state.found[number] for number in sorted(state.found))
    return Search(plan, candidates, tuple(kept), state.is_interrupted)


@dataclass
class _State:
    plan: Plan
    draw: Draw
    drop: Callable[[int], None]
    say: Callable[[str], None]
    found: dict[int, Candidate] = field(default_factory=dict)
    is_interrupted: bool = False

    @property
    def is_enough(self) -> bool:
        """Whether as many reach the target as are kept."""
        return self._missing == 0

    @property
    def _missing(self) -> int:
        """How many pictures that reach the target are wanted yet; without a target, all that are kept."""
        if self.plan.target is None:
            return self.plan.keep
        met = sum(one.is_finished and _value(one.likeness) >= self.plan.target for one in self.found.values())
        return max(self.plan.keep - met, 0)

    def run(self, group: range) -> bool:
        """Draw a group, halved on the way, and finish what is left of it. Return whether nobody interrupted it."""
        alive = list(group)
        finish = min(self._missing + SPARE, len(alive)) if self.plan.look_ahead else len(alive)
        for step, left in self.plan.stages(len(alive), finish):
            if not self._to(alive, step):
                return False
            order = sorted(alive, key=lambda number: (-_value(self.found[number].likeness), number))
            for number in order[left:]:
                self.found[number] = replace(self.found[number], dropped_at=step)
                self.drop(number)
            alive = sorted(order[:left])
        return self._to(alive, self.plan.steps)

    def _to(self, numbers: Sequence[int], step: int) -> bool:
        begun = max([*self.found, *numbers]) + 1
        far = "to the end" if step == self.plan.steps else f"to step {step} of {self.plan.steps}"
        self.say(f"{len(numbers)} of {begun} seeds {far}")
        looks = self.draw(numbers, step)
        for number, look in zip(numbers, looks, strict=False):
            before = self.found.get(number, Candidate(number))
            self.found[number] = replace(
                before,
                seen=(*before.seen, (step, look.likeness)),
                calls=before.calls + look.calls,
                is_finished=step == self.plan.steps,
            )
        self.is_interrupted = len(looks) < len(numbers)
        return not self.is_interrupted

    def ranked(self) -> list[int]:
        """Return the candidates that were not dropped, the finished ones first, then by likeness, then in order."""
        left = [one for one in self.found.values() if one.dropped_at is None]
        left.sort(key=lambda one: (not one.is_finished, -_value(one.likeness), one.number))
        return [one.number for one in left]


def _value(likeness: float | None) -> float:
    """Return what a likeness counts; a picture without a face less than any with one."""
    return -2.0 if likeness is None else likeness


def _shown(likeness: float | None) -> str:
    return "no face" if likeness is None else f"{likeness:.2f}"
