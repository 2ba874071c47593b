"""IP-Adapter FaceID: a person from a face recogniser's vector, in the Plus variants with CLIP features beside it."""

from __future__ import annotations

__all__: list[str] = []
