"""A picture's settings as the AUTOMATIC1111 WebUI writes and reads them ("PNG Info"), as text and by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

__all__ = ["NEGATIVE", "join_parameters", "parameters_from"]

NEGATIVE = "Negative prompt: "
# A name, a colon, and a value: JSON where it holds a comma, a colon or a line's end.
# Bounded: a text of 40 KB that nearly fits everywhere would take seconds.
SETTING = re.compile(r'(?:^|(?<=,))\s{0,8}(\w[\w \-/]{0,100}): ("(?:\\.|[^"\\]){0,10000}"|[^,]*)(?:,|$)')
MIN_SETTINGS = 3  # a line with fewer is a line of the prompt


def join_parameters(prompt: str, negative: str, settings: Mapping[str, object]) -> str:
    """Return the text for a picture's metadata."""
    lines = [prompt, *([f"{NEGATIVE}{negative}"] if negative else [])]
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in settings.items()))
    # A file's name may hold bytes that are no text, which no picture's metadata can hold.
    return "\n".join(lines).encode(errors="backslashreplace").decode()


def parameters_from(text: str) -> dict[str, str]:
    """Return the settings by name, "Prompt" and "Negative prompt" among them; empty for an empty text."""
    *lines, last = text.strip().split("\n")
    settings = {name.strip(): _unquoted(value) for name, value in SETTING.findall(last)}
    if len(settings) < MIN_SETTINGS:
        lines, settings = [*lines, last], {}
    at = next((number for number, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    prompt, negative = "\n".join(lines[:at]).strip(), "\n".join(lines[at:]).removeprefix(NEGATIVE).strip()
    return {"Prompt": prompt, "Negative prompt": negative, **settings} if text.strip() else {}


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text)) if text.startswith('"') else text.strip()
    except ValueError:
        return text


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(letter in text for letter in ',:\n"') else text
