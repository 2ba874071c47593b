"""What of a run nobody looks for, as bytes: JSON, packed to a fifth.

Bodies are short and alike, so names and usual values stand in a dictionary that packing begins with. It is part of the
file's form: it is never changed, as nothing that was packed with it could be read.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any, cast

from lib_faceid.errors import FileError

__all__ = ["MAX_BODY_BYTES", "packed", "plain", "unpacked"]

MAX_BODY_BYTES = 32 * 1024 * 1024

# What comes most often stands last.
DICTIONARY = (
    b'"negative prompt":"Denoising strength":"0.5","Hires upscale":"2","Hires upscaler":"Latent","Clip skip":"2",'
    b'"ADetailer model":"face_yolov8n.pt","VAE":"vae-ft-mse-840000-ema-pruned.safetensors","Lora hashes":"'
    b'"system":"Linux","device":"NVIDIA GeForce RTX ","device":"CPU","threads":"python":"3.11."diffusers":"0.36.0",'
    b'"host":"webui","host":"this program","torch":"2.9.1+cu128","algorithm":1,"ours":"0.1.0"},"diagnosis":null,'
    b'"faceid-portrait","faceid-plus_sd15","ip-adapter-faceid-plusv2_sdxl","ip-adapter-faceid-plusv2_sd15",'
    b'"variant":"plusv2","structure":"lora":"start":"end":"layer_weights":"weight_type":"region":"feather":"clip_crop":'
    b'"adetailer":"unlike":"batch":"one each","fade":"noise":"face":"combine":"purpose":"image"},"adapter_sha256":"'
    b'"face":null,"looks_like":null,"shares_with":null,"likeness":null,"box":null,"is_comparable":false,"note":"no face'
    b'{"checkpoint":"v1-5-pruned-emaonly","checkpoint_sha256":"sd_xl_base_1.0","versions":{"settings":{"Steps":"25",'
    b'"Steps":"20","Sampler":"DPM++ 2M","Sampler":"Euler a","Sampler":"DDIM","Schedule type":"Karras","CFG scale":"7",'
    b'"Seed":"","Size":"512x512","Size":"512x768","Size":"1024x1024","Model hash":"","Model":"","Version":"v1.10.1",'
    b'"FaceID 0":"adapter: ip-adapter-faceid-plusv2_sd15, variant: plusv2, weight: 0.8, refs: , algo: 1",'
    b'"units":[{"number":0,"settings":{"adapter":"ip-adapter-faceid","variant":"faceid","weight":0.],"references":["'
    b'"],"people":["],"unlike":[],'
    b'"pictures":[{"seed":,"score":{"version":1,"likeness":0.5,"recogniser":"w600k_mbf-","units":[{"unit":0,"likeness":'
    b'0.5,"box":[0.3,0.,0.],"note":"","looks_like":null,"shares_with":null,"face":{"size_px":1'
    b',"detector_score":0.8,"yaw_degrees":-1,"pitch_degrees":-,"roll_degrees":,"sharpness":0.,"contrast":40,"dark":0.0,'
    b'"bright":0.0,"blockiness":1.0,"eyes_contrast":0.,"mouth_contrast":0.,"flatness":0.,"edges":0.,"certainty":0.0},'
    b'"is_comparable":true}],"faces":1,"others":0,"size_px":[512,768],"note":""}}],'
    b'"path":".png","sha256":"","pixels_sha256":"/outputs/txt2img-images/2026-'
)


def packed(values: Mapping[str, Any]) -> bytes:
    """Return plain values as bytes."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    packing = zlib.compressobj(9, zdict=DICTIONARY)
    return packing.compress(text) + packing.flush()


def unpacked(body: bytes) -> dict[str, Any]:
    """Return the values of bytes that `packed` made. Raises FileError for others."""
    try:
        unpacking = zlib.decompressobj(zdict=DICTIONARY)
        text = unpacking.decompress(body, MAX_BODY_BYTES)
        if not unpacking.eof:
            raise ValueError("it is cut off, or too large")
        values = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise FileError(f"A run in the journal is damaged ({error}). Forget it, or restore the file.") from error
    if not isinstance(values, dict):
        raise FileError("A run in the journal is damaged (it is no object). Forget it, or restore the file.")
    return cast("dict[str, Any]", values)


def plain(value: Any) -> Any:
    """Return a value as JSON gives it back: text without half characters, no number that is none, lists, plain keys.

    Values of other kinds become their text.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(one) for key, one in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in cast("list[Any]", value)]
    return plain(str(value))
