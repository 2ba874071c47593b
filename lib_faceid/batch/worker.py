"""A worker process of the engine `local`: pictures in, finished files out, over one pipe, as JSON and bytes.

It ends when the pipe does: a program that drives a batch and is killed leaves nobody behind. Nothing is imported here
that is heavy before the process knows its device.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TextIO, cast

from lib_faceid.batch.picture import Picture
from lib_faceid.errors import FaceIDError

if TYPE_CHECKING:
    from lib_faceid.app.resources import Resources
    from lib_faceid.batch.engine import Drawn

__all__ = ["ENDED", "answer", "pack", "ready", "serve", "unpack"]

ENDED = (EOFError, BrokenPipeError, ConnectionResetError)


def serve(pipe: Connection, resources: Resources, settings: dict[str, Any]) -> None:
    """Draw what comes, until nobody sends any more. settings: device, threads, writes_journal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever drives it says when to stop
    if settings.get("device"):
        os.environ["CUDA_VISIBLE_DEVICES"] = settings["device"]
    try:
        drawer = ready(resources, settings)
        pipe.send_bytes(b"{}")
        while True:
            picture = Picture.from_dict(json.loads(pipe.recv_bytes()))
            pipe.send_bytes(answer(drawer, picture))
    except ENDED:
        return
    except FaceIDError as error:  # it could not even begin
        pipe.send_bytes(json.dumps({"error": str(error)}).encode())


def ready(resources: Resources, settings: dict[str, Any]) -> Any:
    """Return what draws in this process."""
    import torch

    from lib_faceid.batch.drawer import Drawer

    if settings.get("threads"):
        torch.set_num_threads(settings["threads"])
    sys.stderr = cast("TextIO", _NoTerminal(sys.stderr))
    return Drawer(resources, writes_journal=bool(settings.get("writes_journal")))


class _NoTerminal:
    """A stream that draws no bars: several processes share one terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Say that nobody watches."""
        return False


def pack(drawn: Drawn) -> bytes:
    """Return a finished picture as one message."""
    head = {"record": drawn.record, "likeness": drawn.likeness, "seconds": drawn.seconds, "run": drawn.run}
    return json.dumps(head).encode() + b"\n" + drawn.png


def unpack(message: bytes) -> Drawn:
    """Return what `pack` packed. Raises FaceIDError with the sentence of a picture that cannot be drawn."""
    from lib_faceid.batch.engine import Drawn

    head, _, png = message.partition(b"\n")
    values = json.loads(head)
    if "error" in values:
        raise FaceIDError(values["error"])
    return Drawn(png, values["record"], values["likeness"], values["seconds"], values["run"])


def answer(drawer: Any, picture: Picture) -> bytes:
    """Return what came of a picture as one message: the picture, or why it could not be drawn."""
    try:
        return pack(drawer.draw(picture))
    except FaceIDError as error:
        return json.dumps({"error": str(error)}).encode()
    except Exception as error:  # noqa: BLE001 - the pictures behind it are drawn all the same
        import traceback

        traceback.print_exc(file=sys.stderr)
        where = f"{type(error).__name__}: {error}"
        return json.dumps({"error": f"A mistake of ours: {where}. Please report it."}).encode()
