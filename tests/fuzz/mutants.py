"""Make damaged inputs of good ones: bytes, texts and JSON values. The same ones for the same seed."""

from __future__ import annotations

import json
from random import Random
from typing import Any

__all__ = ["bytes_of", "text_of", "value_of"]

NUMBERS = (0, 1, -1, 127, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64, 10**400)
ODD: tuple[Any, ...] = (
    *(None, True, False, "", [], {}, [[]], float("nan"), float("inf"), -1e308, 1e-45, *NUMBERS),
    *("\0", "\ud800", "é" * 50, "largest", "../../etc/passwd", "a" * 5000, "<faceid:", "{", "NaN", "1e999"),
)
MOST_LETTERS = 400_000  # hosts and routes take no longer ones
SNIPPETS = (
    *(
        "<faceid:",
        ">",
        "<faceid:Anna:0.8>",
        ": ",
        ", ",
        "\n",
        '"',
        "\\",
        "\0",
        "\u0301\u0316",
        "\ud83d",
        "=",
        "+",
        "box ",
    ),
    *("1e999", "nan", "-0", "9" * 400, "0.5 " * 8, "Steps: 20, ", "refs: ", "<!--", "${x}", "%s", "\u202e"),
)


def bytes_of(seed: bytes, random: Random) -> bytes:
    """Return the bytes with some of them changed, cut out, doubled or put elsewhere, mostly near the ends."""
    data = bytearray(seed)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        at = random.choice((random.randrange(min(len(data), 4096)), random.randrange(len(data)), len(data) - 1))
        size = random.choice((1, 2, 4, 8, 64))
        action = random.randrange(6)
        if action == 0:
            data[at] ^= 1 << random.randrange(8)
        elif action == 1:
            data[at : at + size] = random.randbytes(size)
        elif action == 2:
            del data[at : at + random.choice((size, 1000))]
        elif action == 3:
            data[at:at] = data[at : at + size] * random.choice((1, 3))
        elif action == 4:
            number = random.choice(NUMBERS) % 2**64
            data[at : at + 8] = number.to_bytes(8, random.choice(("little", "big")))
        else:
            digits = [i for i in range(at, min(at + 400, len(data))) if 48 <= data[i] <= 57]
            for i in digits[: random.choice((1, 3))]:
                data[i] = random.choice(b"0123456789")
    return bytes(data[: random.randrange(len(data) + 1)] if random.random() < 0.1 else data)


def text_of(seed: str, random: Random) -> str:
    """Return the text with pieces changed, repeated or put in; sometimes very often, as quadratic searches dislike."""
    text = seed
    for _ in range(random.choice((1, 2, 4, 8))):
        at = random.randrange(len(text) + 1)
        piece = random.choice((*SNIPPETS, text[at : at + random.randrange(1, 12)], chr(random.randrange(0x110000))))
        times = random.choice((1, 1, 1, 2, 20, 5000))
        action = random.randrange(3)
        end = at + random.randrange(10) if action else at
        text = (text[:at] + ("" if action == 2 else piece * times) + text[end:])[:MOST_LETTERS]
    return text


def value_of(seed: Any, random: Random) -> Any:
    """Return the JSON value with a part of it exchanged for another kind, dropped, doubled or nested."""
    value = json.loads(json.dumps(seed))
    for _ in range(random.choice((1, 1, 2, 4))):
        value = _changed(value, random, 0)
    return value


def _changed(value: Any, random: Random, depth: int) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        action = random.randrange(5)
        if action == 0:
            del value[key]
        elif action == 1:
            value[text_of(str(key), random) if random.random() < 0.5 else str(key)] = random.choice(ODD)
        else:
            value[key] = _changed(value[key], random, depth + 1)
        return value
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        value[at] = _changed(value[at], random, depth + 1)
        return value * random.choice((1, 1, 1, 2, 30)) if random.random() < 0.2 else value
    if isinstance(value, str) and random.random() < 0.6:
        return text_of(value, random)
    nested: Any = random.choice(ODD)
    for _ in range(random.choice((0, 0, 0, 1, 200))):
        nested = [nested] if random.random() < 0.5 else {"a": nested}
    return nested
