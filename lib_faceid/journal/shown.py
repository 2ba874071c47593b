"""Values of a run as text, for a page and for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

__all__ = ["diagnosis_lines", "score_text", "when_text"]


def score_text(likeness: float | None) -> str:
    """Return a likeness as it is shown."""
    return "-" if likeness is None else f"{likeness:.3f}"


def when_text(seconds: float) -> str:
    """Return a time as it is shown, in this machine's zone."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def diagnosis_lines(diagnosis: Any) -> list[str]:
    """Return a kept diagnosis in lines: each cause with its figures, what was said not to be it, what is tried."""
    if not isinstance(diagnosis, Mapping):
        return [str(diagnosis)] if diagnosis else []
    kept = cast("Mapping[str, Any]", diagnosis)
    rows = [cast("Mapping[str, Any]", row) for row in kept.get("rows") or () if isinstance(row, Mapping)]
    lines = [f"{row.get('seen')}: {row.get('cause')} ({row.get('evidence')})" for row in rows]
    lines = lines or [str(kept.get("words"))] * ("words" in kept)
    if kept.get("not_it"):
        lines.append(f"Not it: {', '.join(map(str, kept['not_it']))}")
    trial = kept.get("trial")
    if isinstance(trial, Mapping):
        lines.append(f"Tried: {cast('Mapping[str, Any]', trial).get('words')}")
    return lines or ([str(dict(kept))] if kept else [])
