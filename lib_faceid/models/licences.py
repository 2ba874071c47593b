"""Which licences the user has accepted: once for each, remembered beside the models."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any, cast

from lib_faceid.errors import LicenceError
from lib_faceid.models.catalogue import Licence
from lib_faceid.models.folders import Roots
from lib_faceid.whole_files import write_json

__all__ = ["accept_licence", "is_licence_accepted", "require_licence"]


def is_licence_accepted(licence: Licence, roots: Roots) -> bool:
    """Return whether this licence, as it is worded today, was accepted on this machine."""
    return _accepted(roots).get(licence.id, {}).get("sentence") == licence.sentence


def accept_licence(licence: Licence, roots: Roots) -> None:
    """Remember that the user accepted the licence, in `models/faceid/accepted_licences.json`."""
    accepted = _accepted(roots)
    accepted[licence.id] = {"name": licence.name, "sentence": licence.sentence, "on": date.today().isoformat()}  # noqa: DTZ011 - the user's own day
    path = _file(roots)
    try:
        write_json(path, accepted)
    except OSError as error:
        raise LicenceError(
            f"That the licence is accepted cannot be remembered: {path.parent} cannot be written to "
            f"({error.strerror}). Check who may write there."
        ) from error


def require_licence(licence: Licence, roots: Roots) -> None:
    """Raise LicenceError, which quotes the licence, unless it was accepted."""
    if not is_licence_accepted(licence, roots):
        raise LicenceError(
            f"Nothing was downloaded: the licence is not accepted yet. {licence.name}: {licence.sentence} "
            f"Read it at {licence.url} and accept it first."
        )


def _file(roots: Roots) -> Path:
    return roots.own / "faceid" / "accepted_licences.json"


def _accepted(roots: Roots) -> dict[str, dict[str, Any]]:
    """Return what was accepted. A file that cannot be read accepts nothing: the user is asked again."""
    try:
        content = json.loads(_file(roots).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    entries = cast("dict[str, Any]", content)
    return {key: cast("dict[str, Any]", value) for key, value in entries.items() if isinstance(value, dict)}
