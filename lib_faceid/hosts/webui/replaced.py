"""Attributes of the WebUI's objects that are replaced for a while, and put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["replaced"]


def replaced(owner: Any, name: str, value: Any) -> Callable[[], None]:
    """Set an attribute of one object, and return what puts back what it had.

    That does nothing where another extension has replaced the attribute since: its own would be lost.
    """
    had_own, before = name in vars(owner), vars(owner).get(name)
    setattr(owner, name, value)

    def undo() -> None:
        if vars(owner).get(name) is not value:
            return
        if had_own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)

    return undo
