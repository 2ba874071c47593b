"""What a manifest may name on a WebUI that runs: its people, checkpoints and adapters, as it says itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lib_faceid.batch.address import Address, AnswerError
from lib_faceid.batch.here import request_of
from lib_faceid.batch.known import Known
from lib_faceid.errors import HostError
from lib_faceid.units.unit import Purpose

__all__ = ["known_there"]

OK = 200
NO_CONTROLS = (
    "a WebUI has an extension of its own for ControlNets, which a batch does not speak to. Draw these rows with "
    "--engine local or ray, or leave the column out."
)


def known_there(addresses: Sequence[Address], checkpoint: str = "") -> Known:
    """Return what the first one that answers knows. Raises HostError where none does."""
    problems: list[str] = []
    for address in addresses:
        try:
            return _known(address, checkpoint)
        except (AnswerError, KeyError, TypeError) as error:  # noqa: PERF203 - the next one is asked
            problems.append(str(error))
    raise HostError(f"No WebUI answers. {' '.join(problems[:3])} Start one with --api, with this extension in it.")


def _known(address: Address, checkpoint: str) -> Known:
    models = _ask(address, "/sdapi/v1/sd-models")
    names = tuple(str(one["model_name"]) for one in models)
    loaded = str(_ask(address, "/sdapi/v1/options").get("sd_model_checkpoint") or "")
    current = next((one["model_name"] for one in models if loaded in (one["title"], one["model_name"])), "")
    saved = _ask(address, "/ip-adapter-faceid/faces")
    adapters: list[str] = []
    for one in _ask(address, "/ip-adapter-faceid/models")["adapters"]:
        adapters += [str(one["name"]), Path(str(one["name"])).stem]

    @cache
    def there(purpose: Purpose) -> Sequence[str]:
        return tuple(saved["images" if purpose == "image" else "faces"])

    first = Path(checkpoint).stem or current or next(iter(names), "")
    return Known(there, names, tuple(adapters), first, request_of, no_controls=NO_CONTROLS, reads_files=False)


def _ask(address: Address, route: str) -> Any:
    answer = address.ask(route)
    if answer.status != OK:
        raise AnswerError(f"{address.name} answered {route} with {answer.sentence}.", is_begun=False)
    return answer.body
