"""People in Forge's prompts, beside what every WebUI does: its engines, its memory, what it reads otherwise."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import photomaker_oracle as oracle
import pytest
import torch
from played_webui import forget_hosts
from played_writing import WebUI, person, play_forge, written

from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.text import Person, Text, Writing
from lib_faceid.errors import HostError
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature import write_photomaker
from lib_faceid.models.checkpoint import read_whole


@pytest.fixture
def forge(monkeypatch: pytest.MonkeyPatch) -> Generator[WebUI]:
    yield play_forge(monkeypatch)
    forget_hosts()


def test_the_unet_is_brought_back_after_texts_were_encoded(forge: WebUI) -> None:
    late = Writing([person(7, schedule=Schedule(weight=1.0, start=0.5))])
    forge.step(["a man in a hat"] * 2, late)
    assert forge.patcher.loaded == [], "its own conditioning, and nothing is moved"
    forge.step(["a man in a hat"] * 2, late, at=2)
    assert forge.patcher.loaded == [(2, 4)], "UNet and ControlNet, once each; for cond and uncond of two images"
    assert set(forge.model.skipped) == {2}, "the CLIP skip that is set"
    forge.step(["a man in a hat"] * 2, late, at=3)
    assert forge.patcher.loaded == []


def test_early_forges_have_the_text_encoders_of_automatic1111(monkeypatch: pytest.MonkeyPatch) -> None:
    early = play_forge(monkeypatch, has_engines=False)
    _, after = early.step(["a man img"], Writing([person(7)]))
    assert written(after) == [(2, 7), (3, 7)]
    early.model.conditioner = None
    with pytest.raises(HostError, match="the prompts of SDXL only"):
        early.step(["a man img"], Writing([person(7)]))
    forget_hosts()


def test_what_is_noted_for_the_metadata_is_noted_once(forge: WebUI, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, args = (ModuleType(f"backend.{name}") for name in ("text_processing.classic_engine", "args"))
    forge_notes, neo_notes, hijack_notes = {"TI": "a"}, dict[str, str](), {"TI hashes": "a: 1"}
    vars(engine)["last_extra_generation_params"] = forge_notes
    vars(args)["dynamic_args"] = SimpleNamespace(last_extra_generation_params=neo_notes)
    for one in (engine, args):
        monkeypatch.setitem(sys.modules, one.__name__, one)
    monkeypatch.setattr(
        forge.model.embedders[0], "hijack", SimpleNamespace(extra_generation_params=hijack_notes), False
    )
    encoded = forge.model.get_learned_conditioning

    def noting(texts: Any) -> Any:
        for notes in (forge_notes, neo_notes, hijack_notes):
            notes["TI"] = "a, a"
        return encoded(texts)

    forge.model.get_learned_conditioning = noting
    written_at_once(forge)
    notes: list[dict[str, str]] = [forge_notes, neo_notes, hijack_notes]
    assert notes == [{"TI": "a, a"}] * 2 + [{"TI hashes": "a: 1", "TI": "a, a"}], (
        "as the WebUI's own encoding left them"
    )


def written_at_once(forge: WebUI) -> None:
    _, after = forge.step(["a man img"], Writing([person(7)]))
    assert written(after) == [(2, 7), (3, 7)]


def test_other_texts_than_those_that_are_written_are_refused(forge: WebUI) -> None:
    forge.patcher.model_options = {"transformer_options": {"patches": {"attn2_patch": [print]}}}
    with pytest.raises(HostError, match="Forge Couple"):
        forge.step(["a man img"], Writing([person(7)]))
    forge.patcher.model_options = {}
    with pytest.raises(HostError, match="not equally often"):
        forge.step(["a man img AND a tree", "a man img"], Writing([person(7)]))
    written_at_once(forge)
    forge.package.shared.opts.dynamic_clip_skip_enabled = True
    with pytest.raises(HostError, match="dynamic CLIP skip"):
        forge.step(["a man img"], Writing([person(7)]))


def test_what_is_written_is_what_the_authors_fuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forge = play_forge(monkeypatch, widths=(768, 1280))
    path = write_photomaker(tmp_path / "photomaker-v1.bin", 1, seed=5)
    encoder = {key.removeprefix("id_encoder."): one for key, one in read_whole(path).tensors.items()}
    generator = torch.Generator().manual_seed(1)
    ids = torch.randn(3, 2048, generator=generator)
    for one in forge.model.embedders:
        table = torch.randn(100, one.width, generator=generator)
        monkeypatch.setattr(one, "encode_with_transformers", table.__getitem__)
    source: Any = SimpleNamespace(key=1, encode=lambda: ids)
    text = Text(load_adapter(path), [source], "img")
    before, after = forge.step(["a (man:1.3) img in a hat"], Writing([Person(text, Schedule(weight=1.0))]))
    man = before["crossattn"][0, 2].expand(3, -1) / 1.3
    torch.testing.assert_close(after["crossattn"][0, 2:5], oracle.fused(encoder, man, ids) * 1.3, atol=3e-5, rtol=1e-5)
    torch.testing.assert_close(after["crossattn"][0, :2], before["crossattn"][0, :2], atol=0, rtol=0)
    forget_hosts()
