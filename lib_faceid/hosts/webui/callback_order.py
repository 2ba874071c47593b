"""Our callbacks among those that the WebUI holds for each event."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from modules import script_callbacks

__all__ = ["Callbacks"]

Callback = Callable[..., Any]


class Callbacks:
    """Registers callbacks in the name of a script's file.

    The WebUI finds out by itself who registers, but it reads through all loaded modules for that, with
    `inspect.stack()`: as long as all the rest of our start together. So it is told, where it can be.
    """

    def __init__(self, script: str) -> None:
        self._script = script

    def add(self, event: str, callback: Callback) -> None:
        """Have `callback` called at an event, behind those that are there."""
        add = script_callbacks.add_callback
        if "filename" in inspect.signature(add).parameters:
            add(_registered(event), callback, category=event, filename=self._script)
        else:  # WebUI 1.8 and older
            getattr(script_callbacks, f"on_{event}")(callback)

    def put_last(self, event: str, callback: Callback) -> None:
        """Have it called behind all others, also those registered in this very job.

        A metadata.ini could order them only in a folder of the one name, and fails aloud in any other.
        """
        registered = _registered(event)
        if registered and registered[-1].callback == callback:
            return
        script_callbacks.remove_callbacks_for_function(callback)
        self.add(event, callback)


def _registered(event: str) -> list[Any]:
    return script_callbacks.callback_map[f"callbacks_{event}"]
