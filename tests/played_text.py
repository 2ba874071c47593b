"""The text side of a WebUI, played: two encoders that cut prompts into chunks, emphasis, ANDs and schedules.

Written from what its functions do, with letters for words: as much as `lib_faceid/hosts` asks of it. Forge's engines
are called in the same way, and lie elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["EMPHASIS", "End", "Prompts", "play_text"]

START, END, COMMA, TRIGGER, EMBEDDING = 90, 99, 50, 60, 70
CHUNK = 75


EMPHASIS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "No norm": lambda rows, weights: rows * weights,
    "Ignore": lambda rows, _weights: rows,
    "Original": lambda rows, weights: rows * weights * (rows.mean() / (rows * weights).mean()),
}


class End(NamedTuple):
    end_at_step: int
    cond: Any


class Prompts(list[str]):
    def __init__(self, texts: Sequence[str], width: int = 0, height: int = 0) -> None:
        super().__init__(texts)
        self.size = width, height


class Embedder(nn.Module):
    """One text encoder. A token's row is its number, its place in its chunk, and how many chunks there were before."""

    id_start, id_end, chunk_length = START, END, CHUNK

    def __init__(self, width: int, shift: int = 0) -> None:
        super().__init__()
        self.width, self.shift = width, shift
        self.emphasis = "No norm"
        self.number = 0

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [[self.token(word) for word in re.findall(r"\w+|,", text)] for text in texts]

    def token(self, word: str) -> int:
        known = {",": COMMA, "img": TRIGGER, "embedding": EMBEDDING}
        return known.get(word.lower(), 1 + sum(map(ord, word)) % 40)

    def tokenize_line(self, line: str) -> tuple[list[Any], int]:
        segments = [
            (text, float(weight or 1))
            for text, _, weight in re.findall(r"(BREAK|(?:(?!BREAK)[^():])+)(:([\d.]+))?", line)
        ]
        chunks, tokens, weights = [], list[int](), list[float]()

        def close() -> None:
            rest = CHUNK - len(tokens)
            chunks.append(
                SimpleNamespace(
                    tokens=[START, *tokens, *[END] * rest, END], multipliers=[1.0, *weights, *[1.0] * rest, 1.0]
                )
            )
            tokens.clear()
            weights.clear()

        for (text, weight), these in zip(segments, self.tokenize([text for text, _ in segments]), strict=True):
            if text == "BREAK":
                close()
                continue
            for token in these:
                if len(tokens) == CHUNK:
                    close()
                tokens.append(0 if token == EMBEDDING else token)
                weights.append(weight)
        close()
        return chunks, 0

    def forward(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([torch.cat(self.encoded(self.tokenize_line(text)[0])) for text in texts])

    def encoded(self, chunks: Sequence[Any]) -> list[Tensor]:
        found: list[Tensor] = []
        for self.number, chunk in enumerate(chunks):
            (rows,) = self.encode_with_transformers(torch.asarray([chunk.tokens]))
            found.append(EMPHASIS[self.emphasis](rows, torch.tensor(chunk.multipliers)[:, None]))
        return found

    def encode_with_transformers(self, tokens: Tensor) -> Tensor:
        rows = torch.zeros(*tokens.shape, self.width)
        rows[..., 0] = tokens
        rows[..., 1] = torch.arange(CHUNK + 2)
        rows[..., 2] = self.number + self.shift
        return rows


def play_text(package: Any, widths: tuple[int, int], *, is_forge: bool = False) -> SimpleNamespace:
    """Put the text side into the played package `modules`, and return the model that encodes, its `embedders` beside.

    is_forge: with the engines of Forge, which has them encode without gradients for ever.
    """
    embedders = [Embedder(width) for width in widths]

    def learned(texts: Prompts) -> dict[str, Tensor]:
        model.asked += [*texts]
        parts = [one(texts) for one in embedders]
        vector = torch.cat([parts[1][:, 0], torch.tensor([texts.size] * len(texts)).float()], dim=1)
        return {"crossattn": torch.cat(parts, dim=-1), "vector": vector}

    model = SimpleNamespace(get_learned_conditioning=learned, asked=list[str](), embedders=embedders)
    package.shared.opts = SimpleNamespace(use_old_emphasis_implementation=False, use_old_scheduling=False)
    if is_forge:
        model.text_processing_engine_l, model.text_processing_engine_g = embedders
        model.get_learned_conditioning = torch.inference_mode()(learned)
        model.skipped = list[int]()
        model.set_clip_skip = model.skipped.append
        package.shared.opts = SimpleNamespace(CLIP_stop_at_last_layers=2)
    else:
        model.conditioner = SimpleNamespace(embedders=embedders)
    package.shared.sd_model = model
    package.devices.autocast = nullcontext
    package.prompt_parser.SdConditioning = Prompts
    package.prompt_parser.get_multicond_prompt_list = _parts
    package.prompt_parser.get_learned_conditioning_prompt_schedules = _schedules
    package.sd_samplers.find_sampler_config = lambda _name: None
    return model


def _parts(prompts: Prompts) -> tuple[list[list[tuple[int, float]]], list[str], dict[str, int]]:
    texts: list[str] = []
    found: list[list[tuple[int, float]]] = []
    for prompt in prompts:
        found.append([])
        for part in re.split(r"\bAND\b", prompt):
            texts += [part] if part not in texts else []
            found[-1].append((texts.index(part), 1.0))
    return found, texts, {}


def _schedules(prompts: Sequence[str], steps: int, hires: int | None = None, *_old: bool) -> list[Any]:
    """[before:after:step] alone."""
    found = []
    for prompt in prompts:
        ends = sorted({int(at) for at in re.findall(r":(\d+)\]", prompt)} | {hires or steps})
        found.append([[end, re.sub(r"\[(.*?):(.*?):(\d+)\]", _choose(end), prompt)] for end in ends])
    return found


def _choose(end: int) -> Any:
    return lambda match: match[1] if end <= int(match[3]) else match[2]
