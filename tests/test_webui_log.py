"""What the live tests read of the WebUI's log."""

from __future__ import annotations

from tests.webui.server import without_closed_pages

CLOSED = """ERROR:    Exception in ASGI application
Traceback (most recent call last):
  File "/venv/uvicorn/protocols/websockets/websockets_impl.py", line 247, in run_asgi
    result = await self.app(self.scope, self.asgi_receive, self.asgi_send)

  File "/venv/starlette/websockets.py", line 133, in receive
    raise WebSocketDisconnect(message["code"])
starlette.websockets.WebSocketDisconnect: 1001
"""
OURS = """*** Error running process: /extensions/sd-webui-faceid/scripts/ip_adapter_faceid.py
Traceback (most recent call last):
  File "/webui/modules/scripts.py", line 832, in process
    script.process(p, *script_args)
ValueError: WebSockets have nothing to do with it
"""


def test_a_closed_page_is_nobodys_error_and_everything_else_stays() -> None:
    assert without_closed_pages(f"before\n{CLOSED}{OURS}after") == (
        f"before\nERROR:    Exception in ASGI application\n{OURS}after"
    )
    assert "Traceback" not in without_closed_pages(CLOSED + CLOSED)
    send = "RuntimeError: Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."
    assert "Traceback" not in without_closed_pages(f"Traceback (most recent call last):\n  File x\n{send}")
