"""People who are written into the prompt on diffusers: the texts of both encoders, and the hook that puts them in.

The pipeline itself is given the prompt without trigger words. In the steps in which somebody acts, a hook in front of
the UNet puts the text with her in the place of the rows that are hers, and its pooled form beside them.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib_faceid.effects.text import Mark, Place, Writing, marked
from lib_faceid.errors import HostError, UnitError
from lib_faceid.units.trigger import Line

__all__ = ["written_rows"]


class _Encoded(NamedTuple):
    """A text with its words for people expanded, as both encoders read it."""

    context: Tensor
    """[77, width]"""
    pooled: Tensor
    """[1, width of the second encoder]"""
    changes: list[tuple[Place, Tensor]]


@contextmanager
def written_rows(pipeline: Any, writing: Writing, line: Line, *, has_negative: bool) -> Generator[None]:
    """Have the UNet calls of one step read the text with its people in it, in the rows that are not negative."""
    acting = writing.weights
    if not acting:
        yield
        return
    drawn = line.drawn(writing.trigger, acting)
    if drawn not in writing.kept:
        writing.kept[drawn] = _encoded(pipeline, writing, drawn)
    found: _Encoded = writing.kept[drawn]
    context = writing.written(found.context, found.changes)

    def put(_unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        beside = kwargs["added_cond_kwargs"]
        rows = slice(1, None) if has_negative else slice(None)
        changed = {**beside, "text_embeds": _replaced(beside["text_embeds"], rows, found.pooled[0])}
        writing.calls += 1
        given = _replaced(kwargs["encoder_hidden_states"], rows, context)
        return args, {**kwargs, "encoder_hidden_states": given, "added_cond_kwargs": changed}

    handle = pipeline.unet.register_forward_pre_hook(put, prepend=True, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _replaced(rows: Tensor, which: slice, by: Tensor) -> Tensor:
    rows = rows.clone()
    rows[which] = by.to(rows)
    return rows


@torch.no_grad()
def _encoded(pipeline: Any, writing: Writing, line: Line) -> _Encoded:
    """Return a text as the pipeline would encode it, its words for people expanded. Raises UnitError."""
    contexts: list[Tensor] = []
    places: list[list[list[int]]] = []
    pooled = torch.empty(0)
    for tokenizer, encoder in (
        (pipeline.tokenizer, pipeline.text_encoder),
        (pipeline.tokenizer_2, pipeline.text_encoder_2),
    ):
        tokens = _tokens(tokenizer, writing, line)
        places.append(_places(tokens, len(line.people)))
        ids = torch.tensor([[int(token) for token in tokens]], device=encoder.device)
        given = encoder(ids, output_hidden_states=True)
        contexts.append(given.hidden_states[-2][0])
        pooled = given[0]  # the second encoder's has the last word
    if places[0] != places[1]:
        raise HostError("The two text encoders of this checkpoint read the prompt differently: nobody can be written.")
    context = torch.cat([one.to(contexts[0]) for one in contexts], dim=-1)
    whose = [Place(person, rows) for person, rows in zip(line.people, places[0], strict=True)]
    return _Encoded(context, pooled, writing.changes(context, whose, 0))


def _tokens(tokenizer: Any, writing: Writing, line: Line) -> list[int]:
    """Return the tokens of a text, with marks where its people are, as long as the encoder takes it."""

    def plain(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids

    (trigger,) = plain(writing.trigger)
    counts = iter(writing.counts(line.people, 0))
    (tokens,) = marked([line.text], [plain(line.text)], writing.trigger, trigger, counts)
    length = tokenizer.model_max_length
    inside = tokens[: length - 2]
    if sum(isinstance(one, Mark) for one in inside) < sum(isinstance(one, Mark) for one in tokens):
        raise UnitError(
            f"The prompt is too long: the word for the person comes after its {length - 2} tokens, or her photos do "
            "not fit before their end. Put the word further to the front, or give fewer photos."
        )
    whole = [tokenizer.bos_token_id, *inside, tokenizer.eos_token_id]
    return whole + [tokenizer.pad_token_id] * (length - len(whole))


def _places(tokens: list[int], people: int) -> list[list[int]]:
    """Return in which rows each of a text's people is."""
    rows: list[list[int]] = [[] for _ in range(people)]
    for row, token in enumerate(tokens):
        if isinstance(token, Mark):
            rows[token.person].append(row)
    return rows
