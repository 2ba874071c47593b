"""A text of a WebUI's prompts with its words for people expanded, as the WebUI encodes it: chunks, emphasis, all.

The WebUI's own functions tokenise, cut into chunks of 75 and encode, in AUTOMATIC1111 and in all that came of it. For
one call, the tokenizer of each text encoder gives more tokens where a person is (`marked`); and what comes out of the
encoder is kept beside what the emphasis made of it, so that it can be done to the person too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from modules import devices, shared
from torch import Tensor

from lib_faceid.effects.text import Mark, Place, Writing, marked
from lib_faceid.errors import HostError, UnitError
from lib_faceid.hosts.webui.replaced import replaced
from lib_faceid.units.trigger import Line

__all__ = ["Encoded", "Encoding", "conditioner_encoders", "encode", "encode_plain", "two_encoders", "unnoted"]

Encoding = Callable[[], AbstractContextManager[Sequence[Any]]]
"""A host's: gives the two text encoders of the checkpoint while texts are encoded, and puts right what that moves."""

MOVES = 8  # of a person into the next chunk, after which another may have to be moved


class Encoded(NamedTuple):
    """A text as the WebUI's conditioning has it, without its row."""

    cond: Mapping[str, Tensor]
    """`crossattn` [77 * chunks, 2048] and `vector`."""
    changes: list[tuple[Place, Tensor]]


class _Seen:
    """What one encoder did with a text."""

    def __init__(self) -> None:
        self.rows: list[list[int]] | None = None
        """Of each person; None where the text was not read in chunks."""
        self.raw: list[Tensor] = []
        """What came out of the encoder for each chunk [1, 77, width], before the emphasis."""

    def rows_out(self) -> Tensor:
        """Return what came out for the whole text, [length, width]."""
        return torch.cat([one.flatten(0, 1) for one in self.raw]) if self.raw else torch.empty(0, 0)


def conditioner_encoders() -> Sequence[Any]:
    """Return the text encoders of a checkpoint as AUTOMATIC1111 has it. Raises HostError where they are not SDXL's."""
    if getattr(shared.opts, "use_old_emphasis_implementation", False):
        raise HostError(
            "A person cannot be written into the prompt with the old emphasis implementation. Switch it off in the "
            "settings (Compatibility)."
        )
    conditioner = getattr(shared.sd_model, "conditioner", None)
    return two_encoders([one for one in getattr(conditioner, "embedders", ()) if hasattr(one, "tokenize_line")])


def two_encoders(found: Sequence[Any]) -> Sequence[Any]:
    """Return what was found if it is the two text encoders of SDXL. Raises HostError."""
    if len(found) != 2:
        raise HostError("A person can be written into the prompts of SDXL only, and this checkpoint is none.")
    return found


@contextmanager
def unnoted(*notes: dict[str, Any] | None) -> Generator[None]:
    """Have what the WebUI notes for the metadata while texts are encoded be as it was: it has noted it once already."""
    before = [(one, dict(one)) for one in notes if one is not None]
    try:
        yield
    finally:
        for one, was in before:
            one.clear()
            one.update(was)


def encode_plain(texts: Callable[[Sequence[str]], Any], text: str) -> Mapping[str, Tensor]:
    """Return the conditioning of a text as it is. texts: makes the WebUI's own list of prompts."""
    with devices.autocast():
        found: Mapping[str, Tensor] = shared.sd_model.get_learned_conditioning(texts([text]))
    return {name: rows[0] for name, rows in found.items()}


def encode(
    encoders: Sequence[Any], texts: Callable[[Sequence[str]], Any], line: Line, writing: Writing, image: int
) -> Encoded:
    """Return the conditioning of a text with its people's words expanded, and what is written there.

    encoders: of the checkpoint, in the order in which their numbers stand in a row. Raises UnitError, or HostError,
    where it cannot be.
    """
    counts = writing.counts(line.people, image)
    seen = [_Seen() for _ in encoders]
    with ExitStack() as patched:
        for one, its in zip(encoders, seen, strict=True):
            patched.enter_context(_marking(one, writing.trigger, counts, its))
        cond = encode_plain(texts, line.text)
    context = cond["crossattn"]
    first = seen[0].rows
    if first is None or any(one.rows != first for one in seen):
        raise HostError("The text encoders of this checkpoint read the prompt differently: nobody can be written.")
    raw = [one.rows_out() for one in seen]
    if any(len(one) != len(context) for one in raw) or sum(one.shape[1] for one in raw) != context.shape[1]:
        raise HostError(
            "It cannot be told which rows of the encoded prompt are whose, so nobody can be written into it: another "
            "extension has changed them. Switch extensions that change prompts off one by one."
        )
    whose = [
        Place(person, rows, _emphasis(raw, context, rows)) for person, rows in zip(line.people, first, strict=True)
    ]
    return Encoded(cond, writing.changes(context, whose, image))


def _emphasis(raw: Sequence[Tensor], context: Tensor, rows: Sequence[int]) -> Tensor:
    """Return what the rows [length, width] of a person were multiplied by, [width]: one number for each encoder.

    Each of a WebUI's ways to emphasise multiplies a row, and all rows of a chunk to keep their mean; or does nothing.
    """
    found: list[Tensor] = []
    first = 0
    for one in raw:
        its = one[list(rows)].float()
        made = context[list(rows), first : first + one.shape[1]].float().to(its.device)
        found.append(((made * its).sum() / (its * its).sum()).cpu().expand(one.shape[1]))
        first += one.shape[1]
    return torch.cat(found)


@contextmanager
def _marking(encoder: Any, trigger: str, counts: Sequence[int], seen: _Seen) -> Generator[None]:
    """Have an encoder's texts be read with marks; seen: is told where the people are, and what comes out."""
    tokenize, tokenize_line, transform = encoder.tokenize, encoder.tokenize_line, encoder.encode_with_transformers
    (token,) = tokenize([trigger])[0]

    def line_with_marks(line: str) -> Any:
        pads = [0] * len(counts)

        def tokenize_with_marks(segments: Sequence[str]) -> list[list[int]]:
            found = marked(segments, tokenize(segments), trigger, token, iter(counts))
            return _padded(found, pads, encoder.id_end)

        undo = replaced(encoder, "tokenize", tokenize_with_marks)
        try:
            chunks, length = tokenize_line(line)
            for _ in range(MOVES):
                if cut := _cut(chunks, encoder.chunk_length):
                    pads[cut[0]] += cut[1]
                    chunks, length = tokenize_line(line)
        finally:
            undo()
        seen.rows = _rows(chunks, counts, trigger, encoder.id_end)
        return chunks, length

    def kept(tokens: Any) -> Any:
        rows = transform(tokens)
        seen.raw.append(rows)
        return rows

    with ExitStack() as undone:
        undone.callback(replaced(encoder, "tokenize_line", line_with_marks))
        undone.callback(replaced(encoder, "encode_with_transformers", kept))
        yield


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


def _rows(chunks: Sequence[Any], counts: Sequence[int], trigger: str, end: int) -> list[list[int]]:
    """Return in which rows of a text each of its people is."""
    rows: list[list[int]] = [[] for _ in counts]
    for number, chunk in enumerate(chunks):
        for at, token in enumerate(chunk.tokens):
            if isinstance(token, Mark):
                rows[token.person].append(number * len(chunk.tokens) + at)
    if [len(one) for one in rows] != list(counts):
        raise UnitError(
            f"The word before the trigger word '{trigger}' is an embedding (textual inversion), or the photos are more "
            "than a chunk of the prompt holds. Write a plain word for the person before it, or give fewer photos."
        )
    size = len(chunks[0].tokens)
    if any(one[0] // size != one[-1] // size or end in chunks[one[0] // size].tokens[: one[0] % size] for one in rows):
        raise UnitError(f"The person at '{trigger}' does not fit into one chunk of the prompt. Give fewer photos.")
    return rows
