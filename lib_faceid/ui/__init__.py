"""The unit in a web page, alike in gradio 3.41 and 4.40."""

from __future__ import annotations

__all__: list[str] = []
