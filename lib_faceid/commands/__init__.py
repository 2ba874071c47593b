"""The command line, and what it draws with when there is no WebUI."""

from __future__ import annotations

__all__: list[str] = []
