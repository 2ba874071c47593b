"""The trigger word: where a prompt names the person whom an adapter writes into it. Plain text, no tokens.

Triggers stand behind the word for the person ("a man img") and are no part of the text that is drawn. Where a prompt
has none, it is put behind the first word for a person.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

from lib_faceid.errors import UnitError

__all__ = ["Line", "follows_word", "keep", "lines_of", "places", "refuse_negative"]

PEOPLE = """
    woman man girl boy lady gentleman guy person child kid baby toddler teenager teen female male mother father
    grandmother grandfather wife husband bride groom queen king princess prince actress actor businesswoman businessman
    policewoman policeman fireman cowboy cowgirl witch wizard knight soldier warrior astronaut doctor nurse chef pirate
    samurai superhero
"""
_PERSON = re.compile(rf"(?<!\w)(?:{'|'.join(PEOPLE.split())})(?![\w'-])", re.IGNORECASE)
_WORD_BEFORE = re.compile(r"[^\W\d_]'?\s*$")


class Line(NamedTuple):
    """One text that is drawn for a while, a part between ANDs, with a trigger for each of its people."""

    text: str
    people: tuple[int, ...] = ()
    """Whose the triggers are, in their order; empty: nobody is written into this text."""

    def drawn(self, trigger: str, acting: Collection[int]) -> Line:
        """Return it with the triggers of these people only, as it is drawn while they act."""
        kept = [at for at, person in enumerate(self.people) if person in acting]
        return Line(keep(self.text, trigger, kept), tuple(self.people[at] for at in kept))


def places(text: str, trigger: str) -> list[int]:
    """Return where the trigger stands in a text as a word of its own, whatever its letters' case."""
    return [match.start("word") for match in _trigger(trigger).finditer(text)]


def keep(text: str, trigger: str, which: Collection[int]) -> str:
    """Return a text with the triggers of these numbers, counted from 0; the others go, with the space before them."""
    found = iter(range(len(text)))
    return _trigger(trigger).sub(lambda match: match.group() if next(found) in which else "", text)


def follows_word(before: str) -> bool:
    """Say whether a text ends in a word, which a trigger may follow."""
    return bool(_WORD_BEFORE.search(before))


def refuse_negative(texts: Sequence[str], trigger: str) -> None:
    """Raise UnitError where a negative prompt has the trigger."""
    if any(places(text, trigger) for text in texts):
        raise UnitError(
            f"The negative prompt has the trigger word '{trigger}', which would lead away from the person. Take it "
            "out: it belongs behind the word for the person in the prompt."
        )


def lines_of(parts: Sequence[Sequence[str]], trigger: str, people: int) -> tuple[list[list[Line]], str]:
    """Return what each text of a prompt draws, and what is to be known of it, as a sentence.

    parts: of the prompt between its ANDs, each with the texts that it is in turn while the picture is drawn; people:
    how many there are to write. A single person is written at each trigger, one in each part at most; several take the
    triggers one by one, in their order. Raises UnitError where it cannot be told who is written where.
    """
    found = [[len(places(text, trigger)) for text in texts] for texts in parts]
    note = ""
    if not any(any(counts) for counts in found):
        parts, found, note = _placed(parts, trigger, people)
    each = [max(counts) for counts in found]
    for counts, most in zip(found, each, strict=True):
        if set(counts) - {0, most}:
            raise UnitError(
                f"The prompt has the trigger word '{trigger}' {_times(min(set(counts) - {0}))} in some steps and "
                f"{_times(most)} in others. Write it as often in all of them, or in some steps not at all."
            )
    found_now = max(each) if people == 1 else sum(each)
    if found_now > 1 if people == 1 else found_now != people:
        example = f"a man {trigger}" if people == 1 else f"a man {trigger} and a woman {trigger}"
        raise UnitError(
            f"The prompt has the trigger word '{trigger}' {_times(found_now)}, and there "
            f"{'is one person' if people == 1 else f'are {people} people'} to write. Write it once behind the word for "
            f"each of them, as in '{example}'."
        )
    first = 0
    lines: list[list[Line]] = []
    for texts, counts, most in zip(parts, found, each, strict=True):
        whose = tuple(range(most)) if people == 1 else tuple(range(first, first + most))
        lines.append([Line(text, whose if count else ()) for text, count in zip(texts, counts, strict=True)])
        first += most
    return lines, note


def _placed(parts: Sequence[Sequence[str]], trigger: str, people: int) -> tuple[list[list[str]], list[list[int]], str]:
    """Return the parts with a trigger behind the first word for a person, in the first part that always has one."""
    if people > 1:
        raise UnitError(
            f"{people} people are to be written into the prompt, and it does not say where. Write '{trigger}' behind "
            f"each word for a person, in the order of the units: a man {trigger} and a woman {trigger}."
        )
    at = next((at for at, texts in enumerate(parts) if all(_PERSON.search(text) for text in texts)), None)
    if at is None:
        raise UnitError(
            f"The prompt has no word for a person that the trigger word '{trigger}' could follow (man, woman, girl, "
            f"boy, person, ...). Write such a word; or write '{trigger}' yourself behind the word for the person."
        )
    words = dict.fromkeys(f"'{found.group()}'" for text in parts[at] if (found := _PERSON.search(text)))
    changed = [list(texts) for texts in parts]
    changed[at] = [_PERSON.sub(lambda match: f"{match.group()} {trigger}", text, count=1) for text in parts[at]]
    counts = [[int(number == at)] * len(texts) for number, texts in enumerate(parts)]
    return changed, counts, f"The person is written at {' and '.join(words)} ({trigger} stands behind it)."


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


@lru_cache(maxsize=8)
def _trigger(trigger: str) -> re.Pattern[str]:
    return re.compile(rf"\s*(?<!\w)(?P<word>{re.escape(trigger)})(?!\w)", re.IGNORECASE)
