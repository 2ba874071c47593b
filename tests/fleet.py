"""WebUIs that are pretended: HTTP servers on this machine that answer, fail, hang, cut off, or are gone for a while."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["TROUBLES", "Pretended", "fleet", "png_of"]

TROUBLES = ("500", "503", "hang", "cut", "nonsense", "half", "slow", "reset")


def png_of(body: dict[str, Any]) -> bytes:
    """What is drawn: bytes of the request, between a PNG's first and last."""
    mark = hashlib.sha256(f"{body['prompt']} {body['seed']}".encode()).digest()
    return b"\x89PNG\r\n\x1a\n" + mark + b"\x00\x00\x00\x00IEND\xaeB`\x82"


@dataclass
class Pretended:
    """One of them. trouble: says before each answer what goes wrong with it; "" where nothing does."""

    seconds: float = 0.0
    trouble: Callable[[], str] = lambda: ""
    hang_seconds: float = 0.6
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    requests: int = 0
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""
    last: dict[str, Any] = field(default_factory=dict)
    hangs: int = 0

    def draw(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.answered[body["prompt"], body["seed"]] += 1
        likeness = random.Random(body["seed"]).random()
        score = {"image": 0, "seed": body["seed"], "likeness": likeness}
        info = {"seed": body["seed"], "extra_generation_params": {"FaceID likeness": {"pictures": [score]}}}
        return {"images": [base64.b64encode(png_of(body)).decode()], "info": json.dumps(info)}


ROUTES: dict[str, Any] = {
    "/ip-adapter-faceid/version": {"version": "0"},
    "/ip-adapter-faceid/faces": {"faces": ["Anna", "Ben"], "images": []},
    "/ip-adapter-faceid/models": {"adapters": [{"name": "plus.bin"}]},
    "/sdapi/v1/sd-models": [{"title": "one.safetensors [0]", "model_name": "one"}],
    "/sdapi/v1/options": {"sd_model_checkpoint": "one.safetensors [0]"},
}


class _Handler(BaseHTTPRequestHandler):
    played: Pretended

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        return

    def do_GET(self) -> None:
        found = ROUTES.get(self.path)
        self.say(200 if found is not None else 404, found)

    def do_POST(self) -> None:
        played = self.played
        with played.lock:
            played.requests += 1
            played.at_once += 1
            played.most_at_once = max(played.most_at_once, played.at_once)
            trouble = played.trouble()
        try:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            played.last = {"body": body, "path": self.path, "authorization": self.headers.get("Authorization")}
            self.answer(trouble, body)
        finally:
            with played.lock:
                played.at_once -= 1

    def answer(self, trouble: str, body: dict[str, Any]) -> None:
        played = self.played
        time.sleep(played.seconds * (5 if trouble == "slow" else 1))
        if trouble == "hang":
            time.sleep(played.hang_seconds)
            return
        if trouble == "reset":
            return
        if trouble in ("500", "503", "422"):
            self.say(int(trouble), {"detail": f"trouble {trouble}"}, {"Retry-After": "0"})
        elif trouble == "nonsense":
            self.say(200, None, text=b"<html>")
        elif trouble == "half":
            answer = played.draw(body)
            answer["images"] = [base64.b64encode(png_of(body)[:-3]).decode()]
            self.say(200, answer)
        else:
            self.say(200, played.draw(body), cut=trouble == "cut")

    def say(
        self, status: int, body: Any, headers: dict[str, str] | None = None, *, text: bytes = b"", cut: bool = False
    ) -> None:
        content = text or json.dumps(body).encode()
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
        except OSError:  # the client has gone
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        return


@contextmanager
def fleet(*played: Pretended) -> Generator[list[str]]:
    """The URLs of these, while they run."""
    servers: list[_Server] = []
    try:
        for one in played:
            server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"played": one}))
            one.url = f"http://127.0.0.1:{server.server_address[1]}"
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            servers.append(server)
        yield [one.url for one in played]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
