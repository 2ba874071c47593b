"""A text of AUTOMATIC1111's prompts with its words for people expanded, as the WebUI encodes it: chunks, emphasis, all.

The WebUI's own functions tokenise, cut into chunks of 75 and encode. For one call, the tokenizer of each text encoder
gives more tokens where a person is (`marked`), which keep the emphasis of their word to themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

from modules import devices, shared
from torch import Tensor

from lib_faceid.effects.text import Mark, Place, Writing, marked
from lib_faceid.errors import HostError, UnitError
from lib_faceid.hosts.webui.replaced import replaced
from lib_faceid.units.trigger import Line

__all__ = ["Encoded", "encode", "encode_plain"]

MOVES = 8  # of a person into the next chunk, after which another may have to be moved


class Encoded(NamedTuple):
    """A text as the WebUI's conditioning has it, without its row."""

    cond: Mapping[str, Tensor]
    """`crossattn` [77 * chunks, 2048] and `vector`."""
    changes: list[tuple[Place, Tensor]]


class _Found(NamedTuple):
    rows: list[int]
    emphasis: float


def encode_plain(texts: Callable[[Sequence[str]], Any], text: str) -> Mapping[str, Tensor]:
    """Return the conditioning of a text as it is. texts: makes the WebUI's own list of prompts."""
    with devices.autocast():
        found: Mapping[str, Tensor] = shared.sd_model.get_learned_conditioning(texts([text]))
    return {name: rows[0] for name, rows in found.items()}


def encode(texts: Callable[[Sequence[str]], Any], line: Line, writing: Writing, image: int) -> Encoded:
    """Return the conditioning of a text with its people's words expanded, and what is written there.

    Raises UnitError, or HostError, where it cannot be.
    """
    if shared.opts.use_old_emphasis_implementation:
        raise HostError(
            "A person cannot be written into the prompt with the old emphasis implementation. Switch it off in the "
            "settings (Compatibility)."
        )
    found: list[list[list[_Found]]] = []
    counts = writing.counts(line.people, image)
    with ExitStack() as patched:
        for embedder in _embedders():
            found.append([])
            patched.enter_context(_marking(embedder, writing.trigger, counts, found[-1].append))
        cond = encode_plain(texts, line.text)
    places = [of_texts[0] for of_texts in found]
    if any([one.rows for one in of_text] != [one.rows for one in places[0]] for of_text in places):
        raise HostError("The text encoders of this checkpoint read the prompt differently: nobody can be written.")
    whose = [Place(person, *one) for person, one in zip(line.people, places[0], strict=True)]
    return Encoded(cond, writing.changes(cond["crossattn"], whose, image))


def _embedders() -> list[Any]:
    """Return the text encoders of the checkpoint."""
    conditioner = getattr(shared.sd_model, "conditioner", None)
    found = [one for one in getattr(conditioner, "embedders", ()) if hasattr(one, "tokenize_line")]
    if len(found) != 2:
        raise HostError("A person can be written into the prompts of SDXL only, and this checkpoint is none.")
    return found


@contextmanager
def _marking(
    embedder: Any, trigger: str, counts: Sequence[int], found: Callable[[list[_Found]], None]
) -> Generator[None]:
    """Have an encoder's texts be read with marks; found: is told where the people of each are."""
    tokenize, tokenize_line = embedder.tokenize, embedder.tokenize_line
    (token,) = tokenize([trigger])[0]

    def line_with_marks(line: str) -> Any:
        pads = [0] * len(counts)

        def tokenize_with_marks(segments: Sequence[str]) -> list[list[int]]:
            found = marked(segments, tokenize(segments), trigger, token, iter(counts))
            return _padded(found, pads, embedder.id_end)

        undo = replaced(embedder, "tokenize", tokenize_with_marks)
        try:
            chunks, length = tokenize_line(line)
            for _ in range(MOVES):
                if cut := _cut(chunks, embedder.chunk_length):
                    pads[cut[0]] += cut[1]
                    chunks, length = tokenize_line(line)
        finally:
            undo()
        found(_places(chunks, counts, trigger, embedder.id_end))
        return chunks, length

    undo_line = replaced(embedder, "tokenize_line", line_with_marks)
    try:
        yield
    finally:
        undo_line()


def _padded(segments: Sequence[Sequence[int]], pads: Sequence[int], end: int) -> list[list[int]]:
    """Return tokens with so many ends in front of each person, so that she begins in the next chunk."""
    made: list[list[int]] = []
    seen: set[int] = set()
    for tokens in segments:
        made.append([])
        for one in tokens:
            if isinstance(one, Mark) and one.person not in seen:
                seen.add(one.person)
                made[-1] += [end] * pads[one.person]
            made[-1].append(one)
    return made


def _cut(chunks: Sequence[Any], length: int) -> tuple[int, int] | None:
    """Return the first person who lies in two chunks, and how far she is from the second; None for nobody."""
    of_chunks = [[(at, one.person) for at, one in enumerate(chunk.tokens) if isinstance(one, Mark)] for chunk in chunks]
    for here, there in pairwise(of_chunks):
        if here and there and here[-1][1] == there[0][1]:
            first = next(at for at, person in here if person == here[-1][1])
            return here[-1][1], length + 1 - first
    return None


def _places(chunks: Sequence[Any], counts: Sequence[int], trigger: str, end: int) -> list[_Found]:
    """Return where a text's people are, and take the emphasis from their words, which they get afterwards."""
    rows: list[list[int]] = [[] for _ in counts]
    emphasis = [1.0] * len(counts)
    for number, chunk in enumerate(chunks):
        for at, token in enumerate(chunk.tokens):
            if isinstance(token, Mark):
                rows[token.person].append(number * len(chunk.tokens) + at)
                emphasis[token.person] = chunk.multipliers[at]
                chunk.multipliers[at] = 1.0
    if [len(one) for one in rows] != list(counts):
        raise UnitError(
            f"The word before the trigger word '{trigger}' is an embedding (textual inversion), or the photos are more "
            "than a chunk of the prompt holds. Write a plain word for the person before it, or give fewer photos."
        )
    size = len(chunks[0].tokens)
    if any(one[0] // size != one[-1] // size or end in chunks[one[0] // size].tokens[: one[0] % size] for one in rows):
        raise UnitError(f"The person at '{trigger}' does not fit into one chunk of the prompt. Give fewer photos.")
    return [_Found(*one) for one in zip(rows, emphasis, strict=True)]
