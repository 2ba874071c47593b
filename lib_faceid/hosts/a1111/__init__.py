"""What AUTOMATIC1111's WebUI does in its own way, where Forge and its kin do it in another."""

from __future__ import annotations

__all__: list[str] = []
