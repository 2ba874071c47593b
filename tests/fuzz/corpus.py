"""What broke a parser once, as small as it still did, and why. Each stays tried for good (`tests/test_fuzz.py`)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors.torch import save

__all__ = ["FOUND"]


def _torch(value: Any, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def _dicts(levels: int) -> Any:
    value: Any = torch.ones(1)
    for _ in range(levels):
        value = {"a": value, "b": value}
    return value


def _holding_itself() -> dict[str, Any]:
    value: dict[str, Any] = {"t": torch.ones(1)}
    value["a"] = value
    return value


def _npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(2048)


def _safetensors(header: bytes, size: int = 4) -> bytes:
    return len(header).to_bytes(8, "little") + header + bytes(size)


def _person(**metadata: str) -> bytes:
    return save({"id_embeddings": torch.ones(1, 512)}, {"format": "faceid-identity-1", **metadata})


_PHOTO = {"sha256": "0" * 64, "weight": 0, "report": None}

FOUND: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "adapters": {
        "dicts that unfold to 2^40": lambda: _torch(_dicts(40)),
        "a dict that holds itself": lambda: _torch(_holding_itself()),
        "the same, legacy": lambda: _torch(_holding_itself(), legacy=True),
        "stride 0: 2 KB for 28 GB": lambda: _torch({"image_proj": {"a": torch.ones(1).half().expand(1000, 10**7)}}),
        "meta": lambda: _torch({"image_proj": {"norm.weight": torch.ones(768, device="meta")}}),
        "sparse": lambda: _torch({"image_proj": {"norm.weight": torch.eye(3).to_sparse()}}),
        "an empty name": lambda: save({"": torch.ones(1), "1.to_k_ip.weight": torch.ones(1, 768)}),
        "a layer of 5000 digits": lambda: save({f"ip_adapter.{'5' * 5000}.to_k_ip.weight": torch.ones(1, 768)}),
        "null for metadata": lambda: _safetensors(
            b'{"__metadata__":null,"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        ),
        "four-bit floats": lambda: _safetensors(b'{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}'),
        "a memo number of 2^32": lambda: b"\x80\x02}r\xff\xff\xff\xff.",
        "200,000 tuples in each other": lambda: b"\x80\x02" + b"(" * 200_000 + b"t" * 200_000 + b".",
    },
    "people": {
        "a weight of 10^400": lambda: _person(
            record=json.dumps({"photos": [_PHOTO]}).replace('"weight": 0', f'"weight": {10**400}')
        ),
        "stride 0: 2 KB for 4 GB": lambda: _torch({"embedding": torch.ones(1).half().expand(10**9)}),
        "a zip archive without its directory": lambda: _torch(torch.ones(512))[:-40] + bytes(18),
        "a .npy with half a header": lambda: _npy("{'descr': '<f4', 'shape': (512,"),
        "JSON nested 100,000 deep": lambda: b"[" * 100_000,
        "embeddings that are zeros at unit length": lambda: save({"embedding": torch.full((512,), 1e-40)}),
    },
    "infotext": {
        "names that never end": lambda: "\nSteps: 20, " + "a " * 20_000,
        "quotes that never end": lambda: "Steps: 20, " + 'a: "' * 20_000,
        "two million nines": lambda: "Steps: 20, " + "9" * 400_000,
    },
    "tags": {
        "tags that begin and never end": lambda: "<faceid:" * 10_000,
        "a setting of 2,000 letters in lines": lambda: "<faceid:Anna:0.8:l" + "9" * 1000 + "\n\n" + "9" * 900 + ">",
        "a name of accents": lambda: "<faceid:" + "\u0301\u0316" * 40_000 + ">",
    },
    "names": {"accents": lambda: "\u0301\u0316" * 60_000},
    "layer weights": {
        "a long factor": lambda: "3:" + "0.5 " * 5000,
        "a factor in lines": lambda: "3:0.1\n\n9",
        "digits that end in a letter, which took the square of their number": lambda: "3:" + "9" * 100_000 + "x",
    },
    "requests": {"a long name": lambda: {"a" * 10**6: 1}},
    "catalogue": {"no list": list, "an entry of another kind": lambda: {"licences": [1], "entries": []}},
}
"""Parser -> what it was -> the input."""
