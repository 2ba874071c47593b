"""What the routes of the journal and of approvals answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lib_faceid.api.bodies import flag, only, text
from lib_faceid.api.services import ApiServices
from lib_faceid.errors import UnitError
from lib_faceid.journal.compare import compare
from lib_faceid.journal.export import seconds_of
from lib_faceid.journal.filters import MAX_PAGE, ORDERS, Filter

__all__ = ["FILTERS", "JournalAnswers"]

FILTERS: Mapping[str, Mapping[str, Any]] = {
    "person": {"type": "string", "description": "The whole name of one of the run's people."},
    "tag": {"type": "string"},
    "text": {"type": "string", "description": "Words of prompt, note, tags, what was tried, or names."},
    "lowest": {"type": "number", "minimum": -1, "maximum": 1, "description": "Of the likeness."},
    "highest": {"type": "number", "minimum": -1, "maximum": 1},
    "since": {"type": "string", "description": "A date, or date and time."},
    "until": {"type": "string"},
    "order": {"enum": list(ORDERS), "default": "newest"},
    "after": {
        "type": "array",
        "items": {"type": "number", "minimum": -1, "maximum": 2**53},
        "description": "As the page before gave it.",
    },
    "size": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 50},
}


class JournalAnswers:
    """The answers of these routes. All raise FaceIDError. Where no journal was ever kept, lists are empty."""

    _services: ApiServices

    def journal(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a page of the list of runs, and what to ask for the next one with."""
        only(body, tuple(FILTERS))
        page = self._services.journal().page(_filter(body), _after(body), _whole(body, "size", 50))
        return {"runs": [asdict(entry) for entry in page.entries], "after": list(page.after)}

    def journal_run(self, name: str) -> dict[str, Any]:
        """Return everything about one run."""
        run = self._services.journal().run(name)
        return {**run.as_dict(), "infotext": run.infotext()}

    def journal_compare(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what differs between two runs."""
        only(body, ("first", "second"))
        journal = self._services.journal()
        return asdict(compare(journal.run(text(body, "first")), journal.run(text(body, "second"))))

    def journal_tree(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tree of runs that one is in."""
        only(body, ("run",))
        return {"steps": [asdict(step) for step in self._services.journal().tree(text(body, "run"))]}

    def journal_curve(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a person's likeness over the runs."""
        only(body, ("person",))
        return {"points": [asdict(point) for point in self._services.journal().curve(text(body, "person"))]}

    def journal_edit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give a run another note, other tags, or both."""
        only(body, ("run", "note", "tags"))
        note, tags = body.get("note"), body.get("tags")
        if note is not None and not isinstance(note, str):
            raise UnitError(f"note is of the type {type(note).__name__}; a text was expected.")
        if tags is not None and (not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags)):
            raise UnitError("tags must be a list of texts.")
        return self._services.journal().edit(text(body, "run"), note=note, tags=tags).as_dict()

    def journal_forget(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take a person out of the journal for good."""
        only(body, ("person",))
        name = text(body, "person")
        return asdict(self._services.journal().forget(name, self._services.people().hashes_of(name)))

    def approve(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Write down that somebody agreed to a saved person, or take that back."""
        only(body, ("name", "by", "note", "withdraw"))
        name, library = text(body, "name"), self._services.people()
        if flag(body, "withdraw", default=False):
            return {"name": name, "approval": None, "was_approved": library.withdraw(name)}
        note = body.get("note", "")
        if not isinstance(note, str):
            raise UnitError(f"note is of the type {type(note).__name__}; a text was expected.")
        return {"name": name, "approval": library.approve(name, text(body, "by"), note).as_dict()}


def _filter(body: Mapping[str, Any]) -> Filter:
    texts = {name: body.get(name, "") for name in ("person", "tag", "text")}
    dates = {name: body.get(name) for name in ("since", "until")}
    for name, value in dates.items():
        if value is not None and not isinstance(value, str):
            raise UnitError(f"{name} is of the type {type(value).__name__}; a date in a text was expected.")
    since, until = seconds_of(dates["since"]), seconds_of(dates["until"], is_end=True)
    order = body.get("order", "newest")
    return Filter(
        **texts, lowest=body.get("lowest"), highest=body.get("highest"), since=since, until=until, order=order
    )


def _after(body: Mapping[str, Any]) -> list[float]:
    found = body.get("after") or []
    length = 2 if body.get("order") == "likeness" else 1
    if not isinstance(found, list) or len(found) not in (0, length) or not all(_is_number(one) for one in found):
        raise UnitError("after must be what the page before gave, with the same order.")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**62


def _whole(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_PAGE:
        raise UnitError(f"{name} must be a whole number from 1 to {MAX_PAGE}.")
    return value
