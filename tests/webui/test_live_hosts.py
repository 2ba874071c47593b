"""The same job in AUTOMATIC1111's WebUI and in another one, and with each way of computing attention that it has."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.webui.server import Answer, Server
from tests.webui.test_live_jobs import clean, difference, unit_for

pytestmark = pytest.mark.not_in("webui", why="it is what the others are compared with")
PEERS = {"opts_randn_source": "CPU", "opts_emphasis": "Original"}
"""What makes noise and prompts of two WebUIs the same."""
JOBS: dict[str, dict[str, Any]] = {
    "plain": PEERS,
    "batch": {**PEERS, "batch_size": 2},
    "AND": {**PEERS, "prompt": "a person AND a hat :0.5"},
}  # no SDXL: of a miniature's text encoders the WebUIs make plain pictures that have nothing in common
ATTENTION = ("--attention-pytorch", "--attention-split", "--attention-quad")
STORAGE = ("float8-e4m3fn", "float8-e5m2 (fp16 LoRA)", "Automatic (fp16 LoRA)")
"""How Forge keeps the UNet; where it says fp16 LoRA, a LoRA is added in each call of a layer and not to its weights."""


@contextmanager
def running(checkout: Path, data: Path, *arguments: str, **config: Any) -> Generator[Server]:
    server = Server(checkout, data, config=config)
    server.start("--ckpt", str(data / "models/Stable-diffusion/mini_sd15.safetensors"), *arguments)
    try:
        yield server
    finally:
        server.stop()


def drawn(server: Server, person: dict[str, Any], settings: dict[str, Any]) -> tuple[Answer, Answer]:
    """Without the person, and with her."""
    return clean(server.txt2img(**settings)), clean(server.txt2img(unit_for(person, settings), **settings))


@pytest.fixture(scope="module")
def upstream(data_dir: Path, person: dict[str, Any]) -> dict[str, tuple[Answer, Answer]]:
    """What AUTOMATIC1111's WebUI draws, from the same data folder."""
    if (named := os.environ.get("FACEID_WEBUI_DIR")) is None:
        pytest.skip("FACEID_WEBUI_DIR names no WebUI v1.10.1: there is nothing to compare with")
    with running(Path(named), data_dir) as server:
        return {name: drawn(server, person, settings) for name, settings in JOBS.items()}


@pytest.fixture(scope="module")
def each_attention(webui_dir: Path, data_dir: Path, person: dict[str, Any]) -> dict[str, tuple[Answer, Answer]]:
    found: dict[str, tuple[Answer, Answer]] = {}
    for argument in ATTENTION:
        with running(webui_dir, data_dir, argument) as server:
            found[argument] = drawn(server, person, {})
    return found


@pytest.mark.parametrize("name", JOBS)
def test_a_person_makes_no_more_difference_between_two_webuis_than_there_is_without_her(
    upstream: dict[str, tuple[Answer, Answer]], server: Server, person: dict[str, Any], name: str
) -> None:
    plain, with_person = drawn(server, person, JOBS[name])
    by_itself, with_her = difference(upstream[name][0], plain), difference(upstream[name][1], with_person)
    print(f"{name}: the WebUIs differ by {by_itself} of 255, and by {with_her} with a person")
    assert difference(plain, with_person) > 10
    assert with_her <= max(1, by_itself), (with_her, by_itself)


def test_a_person_is_the_same_whatever_computes_attention(each_attention: dict[str, tuple[Answer, Answer]]) -> None:
    (first, first_person), *others = each_attention.values()
    for plain, with_person in others:
        assert difference(plain, with_person) > 10
        assert difference(first_person, with_person) <= max(1, difference(first, plain))


@pytest.mark.not_in("forge_classic", "reforge", "forge_neo", why="its setting has another name and other values")
@pytest.mark.parametrize("storage", STORAGE)
def test_a_person_in_a_unet_that_is_kept_otherwise(
    webui_dir: Path, data_dir: Path, person: dict[str, Any], storage: str
) -> None:
    """She acts, so does her LoRA, and off is off; what the numbers are kept in changes her no more than the picture."""
    with running(webui_dir, data_dir) as server:
        usual, usual_person = drawn(server, person, {})
    with running(webui_dir, data_dir, forge_unet_storage_dtype=storage) as server:
        plain, with_person = drawn(server, person, {})
        without_lora = clean(server.txt2img({**person, "lora": 0.0}))
        with_lora = clean(server.txt2img({**person, "lora": 1.0}))
        kept = server.get("/faceid-probe/storage")
        again = clean(server.txt2img())
    assert ("float8" in kept) is ("float8" in storage), kept
    assert difference(plain, with_person) > 10
    assert difference(without_lora, with_lora) > 5
    by_itself, with_her = difference(usual, plain), difference(usual_person, with_person)
    print(f"{storage}: {kept}; {by_itself} of 255 apart, and {with_her} with a person")
    assert with_her <= max(1, 2 * by_itself)
    assert again.png == plain.png
