"""The CLIP vocabulary that SD 1.5 and SDXL share, written in the files that every CLIP tokenizer reads."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path

__all__ = ["END", "START", "merges", "vocabulary", "write_tokenizer"]

START, END = "<|startoftext|>", "<|endoftext|>"

_FILE = Path(__file__).parents[2] / "data" / "bpe_simple_vocab_16e6.txt.gz"
_MERGES_USED = 48_894  # 49,408 tokens - 256 bytes - 256 bytes ending a word - 2 special ones; CLIP ignores the rest


@lru_cache(maxsize=1)
def merges() -> tuple[str, ...]:
    """Return the byte pairs that CLIP joins, most frequent first, as "left right"."""
    lines = gzip.decompress(_FILE.read_bytes()).decode("utf-8").split("\n")
    return tuple(lines[1 : 1 + _MERGES_USED])  # the first line is a version note


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, int]:
    """Return the id of each of the 49,408 tokens: bytes, bytes that end a word, merged pairs, start, end."""
    letters = _printable_bytes()
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *("".join(pair.split()) for pair in merges()),
    ]
    return {token: index for index, token in enumerate([*tokens, START, END])}


def write_tokenizer(folder: Path) -> None:
    """Write `vocab.json`, `merges.txt` and `tokenizer_config.json`, which `CLIPTokenizer` loads offline."""
    folder.mkdir(parents=True, exist_ok=True)
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
    (folder / "vocab.json").write_text(json.dumps(vocabulary(), ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges(), ""]), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def _printable_bytes() -> list[str]:
    """Return a visible character for each byte value, in CLIP's order: 188 as they are, 68 shifted up."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = range(256, 256 + 256 - len(visible))
    return [chr(code) for code in (*visible, *hidden)]
