"""People written into the text conditioning: the rows of the word that names each of them are changed.

A host expands the word to as many tokens as the person has (`marked`), encodes the text as ever, and has those rows
changed (`Writing.written`). In steps in which a person does not act, her trigger word is not in the text at all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from lib_faceid.effects.schedule import Schedule
from lib_faceid.errors import UnitError
from lib_faceid.units.trigger import follows_word, places

__all__ = ["Mark", "Person", "Place", "Text", "TextSource", "TextWeights", "Writing", "marked"]


class TextSource(Protocol):
    """The rows of one reference, encoded when they are needed."""

    @property
    def key(self) -> Hashable:
        """What tells it from every other source of the same weights."""
        ...

    def encode(self) -> Tensor:
        """Return the rows [n, width], float32 on the CPU. Raises FaceIDError where something is missing."""
        ...


class TextWeights(Protocol):
    """The part of an adapter that writes rows into a text."""

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        ...

    def fused(self, rows: Tensor, ids: Tensor) -> Tensor:
        """Return a text's rows with the reference's in them, both [n, width], float32 on the CPU."""
        ...


@dataclass(frozen=True, eq=False)
class Text:
    """Rows of the text conditioning that are changed, where the trigger word stands."""

    weights: TextWeights
    sources: Sequence[TextSource]
    """Of each image of a batch; a single one serves all."""
    trigger: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True)
class Person:
    """What one unit writes, and when."""

    effect: Text
    schedule: Schedule | None
    """None where it does not act in this pass: then only its trigger word goes."""

    def weight_at(self, progress: float, step: float) -> float:
        """Return how much of the change is made in that step: 1 is all of it, 0 none."""
        return 0.0 if self.schedule is None else self.schedule.weight_at(progress, step)


class Mark(int):
    """A token that stands where a person is written; which of a text's people is its `person`."""

    person: int

    def __new__(cls, token: int, person: int) -> Mark:
        """Return the token with the number of the person's trigger in the text, from 0."""
        made = super().__new__(cls, token)
        made.person = person
        return made


class Place(NamedTuple):
    """Where a person is written in an encoded text."""

    person: int
    """Of the job, from 0."""
    rows: Sequence[int]
    emphasis: float | Tensor = 1.0
    """What the rows, as they are in the text, have been multiplied by, where the prompt emphasises the word; [width]
    where it is not the same for all numbers of a row. 0 for no word at all."""


class Writing:
    """All people whom a job writes into texts, in the order of their units; and how often a UNet was called so."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.people = people
        self.trigger = people[0].effect.trigger
        self.calls = 0
        """UNet calls, or steps, that were given a text with somebody in it."""
        self.kept: dict[Hashable, Any] = {}
        """For the host: what it has encoded for this pass."""
        self._progress = (0.0, 0.0)
        self._rows: dict[tuple[int, int], Tensor] = {}

    def set_progress(self, progress: float, step: float = 0.0) -> None:
        """Say how far the pass is where the coming step begins, as to an injection."""
        self._progress = progress, step

    @property
    def weights(self) -> Mapping[int, float]:
        """How strongly the people who act in the coming step are written, by their numbers."""
        found = {number: one.weight_at(*self._progress) for number, one in enumerate(self.people)}
        return {number: weight for number, weight in found.items() if weight}

    @property
    def differs_by_image(self) -> bool:
        """Whether somebody else is written in one image of a batch than in another."""
        return any(len(one.effect.sources) > 1 for one in self.people)

    def ids(self, person: int, image: int) -> Tensor:
        """Return the rows of a person in an image of the batch, [n, width]; encoded once."""
        sources = self.people[person].effect.sources
        at = image % len(sources)
        if (person, at) not in self._rows:
            self._rows[person, at] = sources[at].encode()
        return self._rows[person, at]

    def counts(self, people: Sequence[int], image: int) -> list[int]:
        """Return how many tokens each of these people is, in an image of the batch."""
        return [len(self.ids(person, image)) for person in people]

    @torch.no_grad()
    def changes(self, context: Tensor, places: Sequence[Place], image: int) -> list[tuple[Place, Tensor]]:
        """Return what is added to the rows [length, width] of an encoded text at each place, at full weight."""
        found: list[tuple[Place, Tensor]] = []
        with torch.autocast("cpu", enabled=False):
            for place in places:
                emphasis = torch.as_tensor(place.emphasis, dtype=torch.float32)
                rows = context[list(place.rows)].float().cpu() / torch.where(emphasis == 0, 1.0, emphasis)
                weights = self.people[place.person].effect.weights
                fused = weights.fused(rows, self.ids(place.person, image))
                found.append((place, ((fused - rows) * emphasis).to(context.device)))
        return found

    def written(self, context: Tensor, changes: Sequence[tuple[Place, Tensor]]) -> Tensor:
        """Return an encoded text [length, width] with its people in it, as strongly as they act in this step."""
        context = context.clone()
        for place, change in changes:
            rows = list(place.rows)
            context[rows] = (context[rows].float() + self.weights.get(place.person, 0.0) * change).to(context.dtype)
        return context


def marked(
    segments: Sequence[str], tokens: Sequence[Sequence[int]], trigger: str, token: int, counts: Iterator[int]
) -> list[list[int]]:
    """Return the tokens of a text with each word that a trigger follows as many times as its person has rows.

    Such a word's last token becomes `Mark`s, and the trigger goes. segments: of the text, as a host tokenises them,
    with the tokens of each; token: the trigger's; counts: of each trigger, in order. Raises UnitError for a trigger
    that follows no word.
    """
    found: list[list[int]] = []
    before, person = "", 0
    for segment, these in zip(segments, tokens, strict=True):
        triggers = places(segment, trigger)
        if len(triggers) != sum(one == token for one in these):
            raise UnitError(f"The trigger word '{trigger}' is a part of another word in {segment.strip()[:60]!r}.")
        for at in triggers:
            if not follows_word(segment[:at] if segment[:at].strip() else before):
                raise UnitError(
                    f"The trigger word '{trigger}' follows no word: it belongs directly behind the word for the "
                    f"person, as in 'a man {trigger}'. Found: {(before + segment[:at])[-30:] + trigger!r}."
                )
        found.append([])
        for one in these:
            if one != token:
                found[-1].append(one)
                continue
            home = next((tokens for tokens in reversed(found) if tokens), [0])
            home[-1:] = [Mark(int(home[-1]), person)] * next(counts)
            person += 1
        before = "" if segment == "BREAK" else before + segment
    return found
