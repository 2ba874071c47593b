"""The blocks of a prompt, found by a plain vocabulary: no model, no network, the same answer each time.

Blocks are who is seen with expression and gaze, camera, light, background and style. Beside them it counts what makes
portraits go wrong: style words that are stacked, realism keywords ("8k, photorealistic, best quality"), and words that
contradict each other. English only; a prompt in another script is said to be unreadable, and nothing follows from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from lib_faceid.arguments import require

__all__ = ["BLOCKS", "Contradiction", "PromptBlocks", "read_blocks", "with_words", "without_words"]

BLOCKS = ("subject", "expression", "camera", "light", "background", "style")
"""In the order in which a prompt has them."""
MAX_LETTERS = 20_000
"""What is longer is cut: 77 tokens are some 400 letters."""

VOCABULARY = Path(__file__).parent / "vocabulary.json"
WORD = re.compile(r"[^\W_]+(?:[-'/.&][^\W_]+)*")
TAG = re.compile(r"<[^<>]{0,300}>")  # <lora:name:0.8>, <faceid:Ann>
FACTOR = re.compile(r":\s{0,4}([0-9]{1,3}(?:\.[0-9]{1,6})?)\s{0,4}\)")
EMPTY = re.compile(r"[(\[]\s{0,20}(?::\s{0,4}[0-9.]{1,10}\s{0,4})?[)\]]")
SPACES, COMMAS = re.compile(r"[^\S\n]{1,100}"), re.compile(r"\s{0,20},(?:\s{0,20},){0,40}\s{0,20}")
BRACKET = 1.1  # the WebUI's factor of one pair of brackets
LONGEST_PHRASE = 4  # words
FILLERS = frozenset({"a", "an", "the", "of", "and", "with", "in", "on", "at", "very", "style"})


class Contradiction(NamedTuple):
    """Two phrases that cannot both be."""

    about: str
    first: str
    second: str


@dataclass(frozen=True)
class PromptBlocks:
    """What a prompt holds. All phrases are in small letters, in the order of the prompt, repeated as there."""

    prompt: str
    words: int
    found: Mapping[str, tuple[str, ...]]
    """Block -> its phrases; each of BLOCKS is there."""
    realism: tuple[str, ...] = ()
    """Keywords that ask for quality and realism and describe nothing."""
    contradictions: tuple[Contradiction, ...] = ()
    strongest: float = 1.0
    """The highest factor that is written, as in (style:1.4) or ((style))."""
    is_readable: bool = True
    """Whether the vocabulary's language is the prompt's."""

    @property
    def style(self) -> tuple[str, ...]:
        """The style words, but for those that ask for a plain photograph."""
        return tuple(word for word in self.found["style"] if word not in _vocabulary().plain)

    @property
    def media(self) -> tuple[str, ...]:
        """Those style words that name another medium than a photograph."""
        return tuple(word for word in self.style if word in _vocabulary().media)

    @property
    def missing(self) -> tuple[str, ...]:
        """The blocks that it has nothing of; none where it cannot be read."""
        return tuple(block for block in BLOCKS if self.is_readable and not self.found[block])

    @property
    def doubled(self) -> tuple[str, ...]:
        """The style words and realism keywords that stand there more than once."""
        every = (*self.style, *self.realism)
        return tuple(dict.fromkeys(phrase for phrase in every if every.count(phrase) > 1))

    def as_dict(self) -> dict[str, object]:
        """Return what was found as plain values, without the prompt itself."""
        return {
            "words": self.words,
            "found": {block: list(phrases) for block, phrases in self.found.items()},
            "missing": list(self.missing),
            "realism": list(self.realism),
            "doubled": list(self.doubled),
            "contradictions": [list(one) for one in self.contradictions],
            "strongest": round(self.strongest, 2),
            "is_readable": self.is_readable,
        }


class _Vocabulary(NamedTuple):
    kinds: dict[tuple[str, ...], tuple[str, ...]]  # the words of a phrase -> its blocks, or "realism"
    media: frozenset[str]
    plain: frozenset[str]
    contradictions: tuple[tuple[str, frozenset[str], frozenset[str]], ...]


class _Hit(NamedTuple):
    phrase: str
    kinds: tuple[str, ...]
    start: int
    end: int


@lru_cache(maxsize=1)
def _vocabulary() -> _Vocabulary:
    known = json.loads(VOCABULARY.read_text("utf-8"))
    kinds: dict[tuple[str, ...], tuple[str, ...]] = {}
    styles = (("style", known["style"]), ("style", known["plain style"]), ("realism", known["realism"]))
    for kind, phrases in (*known["blocks"].items(), *styles):
        for phrase in phrases:
            words = _words(phrase)
            kinds[words] = (*kinds.get(words, ()), kind)
    pairs = tuple((about, _joined(first), _joined(second)) for about, first, second in known["contradictions"])
    for _, first, second in pairs:
        for phrase in first | second:
            kinds.setdefault(_words(phrase), ())
    return _Vocabulary(kinds, _joined(known["medium"]), _joined(known["plain style"]), pairs)


def _words(phrase: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in WORD.findall(phrase))


def _joined(phrases: Iterable[str]) -> frozenset[str]:
    return frozenset(" ".join(_words(phrase)) for phrase in phrases)


def read_blocks(prompt: str) -> PromptBlocks:
    """Return the blocks of a prompt, with or without the WebUI's brackets, factors and tags. Raises UnitError."""
    require(prompt, "prompt", str, "a text")
    text = _plain(prompt[:MAX_LETTERS])
    hits = _hits(text)
    found = {block: tuple(hit.phrase for hit in hits if block in hit.kinds) for block in BLOCKS}
    words = [word for word in WORD.findall(text) if not word.replace(".", "").isdigit()]
    plain = sum(word.isascii() for word in words)
    return PromptBlocks(
        prompt=prompt,
        words=len(words),
        found=found,
        realism=tuple(hit.phrase for hit in hits if "realism" in hit.kinds),
        contradictions=_contradictions([hit.phrase for hit in hits]),
        strongest=_strongest(text),
        is_readable=bool(words) and plain * 2 >= len(words),
    )


def without_words(prompt: str, phrases: Iterable[str]) -> str:
    """Return the prompt without these phrases (as `read_blocks` names them), brackets and commas tidied."""
    unwanted, text = set(phrases), prompt
    for hit in reversed(_hits(_plain(prompt[:MAX_LETTERS]))):
        if hit.phrase in unwanted:
            text = text[: hit.start] + text[hit.end :]
    return prompt if text == prompt else _tidied(_without_fillers(text))


def with_words(prompt: str, words: str) -> str:
    """Return the prompt with a block of words added at its end, before the tags that stand there."""
    text = prompt.rstrip()
    tags = ""
    while text.endswith(">") and "<" in text:
        at = text.rindex("<")
        text, tags = text[:at].rstrip(), f" {text[at:]}{tags}"
    text = text.rstrip(" ,")
    return f"{text}, {words}{tags}" if text else f"{words}{tags}"


def _plain(prompt: str) -> str:
    """Return a text of the same length in which tags are blank: places stay what they are."""
    return TAG.sub(lambda tag: " " * len(tag[0]), prompt)


def _hits(text: str) -> list[_Hit]:
    """Return the known phrases, longest first at each place; none is part of another, none goes over a comma."""
    known = _vocabulary().kinds
    words = [(match[0].lower(), match.start(), match.end()) for match in WORD.finditer(text)]
    hits: list[_Hit] = []
    at = 0
    while at < len(words):
        for count in range(min(LONGEST_PHRASE, len(words) - at), 0, -1):
            part = words[at : at + count]
            name = tuple(word for word, _, _ in part)
            if name in known and _is_together(text, part):
                hits.append(_Hit(" ".join(name), known[name], part[0][1], part[-1][2]))
                at += count
                break
        else:
            at += 1
    return hits


def _is_together(text: str, part: Sequence[tuple[str, int, int]]) -> bool:
    gaps = (text[first[2] : second[1]] for first, second in pairwise(part))
    return all(gap.isspace() or gap in ("-", "&", " & ") for gap in gaps)


def _contradictions(phrases: Sequence[str]) -> tuple[Contradiction, ...]:
    found: list[Contradiction] = []
    for about, first, second in _vocabulary().contradictions:
        one = next((phrase for phrase in phrases if phrase in first), "")
        other = next((phrase for phrase in phrases if phrase in second), "")
        if one and other:
            earlier, later = sorted((one, other), key=phrases.index)
            found.append(Contradiction(about, earlier, later))
    return tuple(found)


def _strongest(text: str) -> float:
    factors = [float(match[1]) for match in FACTOR.finditer(text)]
    depth = deepest = 0
    for at, letter in enumerate(text):
        if letter == "(" and text[at - 1 : at] != "\\":
            depth += 1
            deepest = max(deepest, depth)
        elif letter == ")":
            depth = max(depth - 1, 0)
    nested = BRACKET ** min(deepest, 20) if not factors else 1.0
    return max([1.0, nested, *factors])


def _without_fillers(text: str) -> str:
    """Return the parts between commas that still say something."""
    parts = text.split(",")
    kept = [part for part in parts if not part.strip() or set(_words(part)) - FILLERS or TAG.search(part)]
    return ",".join(kept)


def _tidied(text: str) -> str:
    for _ in range(LONGEST_PHRASE):  # brackets in brackets
        text = EMPTY.sub("", text)
    return SPACES.sub(" ", COMMAS.sub(", ", text)).strip(" ,")
