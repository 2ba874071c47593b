"""Every parser of ours with good inputs for it: what is to be tried with mutants of them."""

from __future__ import annotations

import io
import json
import os
import pickle
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from fuzz.mutants import bytes_of, text_of, value_of
from lib_faceid.api.bodies import person_in, reference_in, units_in
from lib_faceid.app.parameters import parameters_from
from lib_faceid.encoders.clip_vision import check_clip_vision
from lib_faceid.errors import FaceIDError, MismatchError
from lib_faceid.faces.analyser import load_face_analyser
from lib_faceid.faces.analyser import unload as unload_faces
from lib_faceid.methods.loading import load_adapter
from lib_faceid.models import catalogue
from lib_faceid.models.catalogue import catalogue as published
from lib_faceid.models.folders import Roots
from lib_faceid.models.licences import is_licence_accepted
from lib_faceid.people.card import card_of
from lib_faceid.people.names import safe_name
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import PhotoNote, Record, read_record
from lib_faceid.units.infotext import pasted, unit_from_infotext
from lib_faceid.units.layer_weights import read_factors
from lib_faceid.units.presets import read_presets
from lib_faceid.units.region import box_of, figures, which_face
from lib_faceid.units.tags import units_of_tags
from lib_faceid.units.unit import FIELDS

__all__ = ["PARSERS", "Parser"]

V = torch.randn(512, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Parser:
    """One parser: `run` reads an input, and may raise FaceIDError alone."""

    name: str
    seeds: Callable[[], list[Any]]
    mutate: Callable[[Any, Random], Any]
    run: Callable[[Any], object]
    share: int = 1
    """How often it is tried, relative to the others."""


def _in_file(read: Callable[[Path], object], name: str = "a.bin") -> Callable[[bytes], object]:
    def run(content: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            return read(path)

    return run


def _torch(value: Any, *, legacy: bool = False, protocol: int = 2) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    return file.getvalue()


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@cache
def _adapters() -> list[bytes]:
    width = 768
    projection = {"proj.0.weight": torch.ones(2, 512), "proj.0.bias": torch.ones(2), "norm.weight": torch.ones(width)}
    projection |= {"proj.2.weight": torch.ones(4 * width, 2), "proj.2.bias": torch.ones(4 * width)}
    projection |= {"norm.bias": torch.ones(width)}
    layers = {f"{n}.to_{kv}_ip.weight": torch.ones(2, width) for n in (1, 3) for kv in "kv"}
    layers |= {f"0.to_q_lora.{end}.weight": torch.ones(2, 2) for end in ("down", "up")}
    flat = {f"image_proj.{key}": t for key, t in projection.items()} | {f"ip_adapter.{k}": t for k, t in layers.items()}
    name = "down_blocks.0.attentions.{}.transformer_blocks.0.attn2.processor.to_{}_ip.weight"
    trained = {f"image_proj_model.{key}": t for key, t in projection.items()}
    trained |= {f"unet.{name.format(n, kv)}": torch.ones(2, width) for n in (0, 1) for kv in "kv"}
    nested = {"image_proj": projection, "ip_adapter": layers}
    return [save(flat), _torch(nested), _torch(nested, legacy=True), save(trained), _torch({"state_dict": trained})]


@cache
def _people() -> list[bytes]:
    record = Record((PhotoNote("0" * 64, 1.0),), "notes", np.zeros((8, 8, 3), np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        Identity(V[None], recogniser="w600k_r50").save(path, record)
        content = path.read_bytes()
    reactor = {"bbox": torch.ones(4), "kps": torch.ones(5, 2), "det_score": torch.ones(1), "embedding": V}
    plain = [content, save(reactor), _torch(V), _torch({"embedding": V}, legacy=True), _npy(V.numpy())]
    plain += [pickle.dumps({"e": V.numpy()}, protocol) for protocol in (0, 2, 4)]
    return [*plain, json.dumps({"embedding": V.tolist()}).encode(), ",".join(map(str, V.tolist())).encode()]


@cache
def _encoders() -> list[bytes]:
    vision = "vision_model.embeddings"
    named = {f"{vision}.class_embedding": torch.ones(1280), f"{vision}.patch_embedding.weight": torch.ones(8, 3, 2, 2)}
    open_clip = {"visual.class_embedding": torch.ones(8), "visual.conv1.weight": torch.ones(8, 3, 2, 2)}
    open_clip |= {"visual.transformer.resblocks.0.attn.in_proj_weight": torch.ones(24, 8)}
    return [save(named), save(open_clip), _torch(named)]


@cache
def _packs() -> list[bytes]:
    folder = Path(os.environ.get("FACEID_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    return [path.read_bytes() for path in sorted(folder.rglob("det_500m.onnx"))[:1]]


def _read_adapter(path: Path) -> None:
    adapter = load_adapter(path)
    assert adapter.image_proj
    with suppress(MismatchError):  # it reads other features than these
        adapter.encode(Identity(V[None]))


def _read_person(path: Path) -> None:
    card_of(path)
    with suppress(FaceIDError):
        read_record(path)
    Identity.load(path).median()


def _read_pack(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "det_500m.onnx").write_bytes(content)
        (Path(folder) / "w600k_mbf.onnx").write_bytes(content)
        try:
            load_face_analyser(Path(folder))
        finally:
            unload_faces()


def _read_json(read: Callable[[Path], object]) -> Callable[[Any], object]:
    return lambda value: _in_file(read, "a.json")(json.dumps(value).encode(errors="surrogatepass"))


def _read_catalogue(path: Path) -> None:
    catalogue._read(path)  # type: ignore[reportPrivateUsage]


def _read_licences(path: Path) -> None:
    folder = path.parent / "faceid"
    folder.mkdir()
    path.rename(folder / "accepted_licences.json")
    is_licence_accepted(published()[0].licence, Roots((path.parent,)))


def _read_request(value: Any) -> None:
    if isinstance(value, dict):
        for read in (units_in, person_in, lambda body: reference_in(body, "first")):
            with suppress(FaceIDError):
                read(value)


def _read_tags(text: str) -> None:
    units_of_tags(text, text[:40], lambda _: ("Anna",))


def _read_infotext(text: str) -> None:
    unit_from_infotext(text)
    params = {"FaceID 0": text, "FaceID 1": None}
    for name in FIELDS:
        pasted(params, 0, name)
    parameters_from(text)


def _read_places(text: str) -> None:
    for read in (box_of, figures, which_face):
        with suppress(FaceIDError):
            read(text)


UNIT = {"image": "aGVsbG8=", "weight": 0.8, "region": "left", "layer_weights": "1,0.5", "start": 0.1, "face": "largest"}
INFO = "adapter: a, variant: faceid, weight: 0.8, region: box 0 0 0.5 1, refs: 01234567+89abcdef, algo: 1"
SETTINGS = f'a face\nNegative prompt: bad\nSteps: 20, Sampler: DDIM, CFG scale: 7, Seed: 1, FaceID 0: "{INFO}"'
LICENCES = {"insightface": {"name": "a", "sentence": "b", "on": "2026-01-01"}}
PRESET = {"Mine": {"weight": 0.8, "structure": 1.0, "lora": 0.6, "start": 0.0, "end": 1.0}}
LISTED = json.loads((Path(catalogue.__file__).parent / "catalogue.json").read_text("utf-8"))

PARSERS: tuple[Parser, ...] = (
    Parser("adapters", _adapters, bytes_of, _in_file(_read_adapter), share=6),
    Parser("people", _people, bytes_of, _in_file(_read_person, "a.safetensors"), share=6),
    Parser("CLIP layouts", _encoders, bytes_of, _in_file(check_clip_vision), share=3),
    Parser("face packs", _packs, bytes_of, _read_pack),
    Parser("infotext", lambda: [INFO, SETTINGS], text_of, _read_infotext, share=3),
    Parser(
        "tags",
        lambda: ["a <faceid:Anna:0.8:left:end=0.9> b"],
        text_of,
        lambda t: units_of_tags(t, t[:40], lambda _: ("Anna",)),
        3,
    ),
    Parser("names", lambda: ["Anna Müller"], text_of, safe_name),
    Parser("layer weights", lambda: ["1, 0.5, 0", "3:0.5, 4:1"], text_of, read_factors, share=2),
    Parser("regions", lambda: ["box 0.1 0.2 0.5 0.6", "column 2 of 3", "largest"], text_of, _read_places, share=2),
    Parser("presets", lambda: [PRESET], value_of, _read_json(read_presets), share=2),
    Parser("requests", lambda: [{"units": [UNIT]}, UNIT, {"first": UNIT}], value_of, _read_request, share=4),
    Parser("catalogue", lambda: [LISTED], value_of, _read_json(_read_catalogue)),
    Parser("licences", lambda: [LICENCES], value_of, _read_json(_read_licences)),
)
