"""What a request may name as a picture, and the picture itself.

Base64 and data URLs are pictures; nothing else is read. A path or a web address is followed only where whoever runs
this program allows it, and then no further than the one folder, or than public machines.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lib_faceid.errors import PhotoError
from lib_faceid.pictures.photo import MAX_BASE64_BYTES, decode_base64, photo_name
from lib_faceid.pictures.public_web import fetch_public
from lib_faceid.pictures.sources import PhotoSource

__all__ = ["BASE64_ONLY", "RequestPolicy", "photo_from_request"]

MAX_PATH_LETTERS = 4096
SEND_IT = "Send the picture itself, as base64 or as a data URL"


@dataclass(frozen=True)
class RequestPolicy:
    """What a request may name besides the picture itself. By default nothing."""

    folder: Path | None = None
    """Pictures in it, at any depth, may be named by their path, absolute or from there."""
    are_urls_allowed: bool = False
    """Whether pictures may be fetched from public http and https addresses."""


BASE64_ONLY = RequestPolicy()


def photo_from_request(image: object, policy: RequestPolicy = BASE64_ONLY) -> PhotoSource:
    """Return the bytes of the picture that a request's text holds or names; pixels are given back as they are.

    So is a `Path`, which no request can send: this program named the file. The bytes may be anything: `read_photo`
    decides whether they are a picture. Raises PhotoError for what the policy
    does not allow, for more than 20 MiB, and for what is neither text nor pixels.
    """
    if isinstance(image, (Image.Image, np.ndarray, bytes, Path)):
        return image
    if not isinstance(image, str):
        raise PhotoError(f"A picture is {_article(image)}; a text was expected. {SEND_IT}.")
    text = image.strip()
    if text[:8].lower().startswith(("http://", "https://")):
        if not policy.are_urls_allowed:
            raise PhotoError(f"The picture is a web address, and those are not fetched. {SEND_IT}; or allow them.")
        return fetch_public(text)
    if _is_path(text):
        if policy.folder is None:
            raise PhotoError(f"The picture is a path, and no files are read by request. {SEND_IT}; or allow a folder.")
        return _read_inside(policy.folder, text)
    return decode_base64(text)


def _is_path(text: str) -> bool:
    """Whether the text cannot be base64 and may be a path: a picture's file has a dot in its name, base64 has none."""
    is_data_url = text[:5].lower() == "data:"
    return not is_data_url and len(text) <= MAX_PATH_LETTERS and any(letter in text for letter in ".\\:~")


def _read_inside(folder: Path, text: str) -> bytes:
    try:
        return _read_file(_inside(folder, text), photo_name(text))
    except (OSError, ValueError, RuntimeError) as error:  # letters that no path has, or links that go round
        raise PhotoError(f"{photo_name(text)} cannot be opened in the allowed folder. {SEND_IT}.") from error


def _inside(folder: Path, text: str) -> Path:
    """Return the real path of a file of that folder. Raises PhotoError, the same for all that is outside.

    The text is judged before the disk is asked: on Windows, looking at a path of another machine would be a request.
    """
    real_folder = folder.resolve(strict=True)
    for base in (real_folder, folder.absolute()):
        named = Path(os.path.normpath(base / text))
        if named.is_relative_to(base) and (real := named.resolve()).is_relative_to(real_folder):
            return real
    raise PhotoError(f"{photo_name(text)} is not in the folder that requests may read. {SEND_IT}.")


def _read_file(path: Path, name: str) -> bytes:
    """Return the content of a plain file. The opened file is judged, not what has its name a moment later."""
    flags = os.O_RDONLY
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # the last link; pipes, which would wait; Windows
        flags |= getattr(os, flag, 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise PhotoError(f"{name} does not exist in the allowed folder. Check its name.") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PhotoError(f"{name} is not a file, a picture was expected. Name a file inside it.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BASE64_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BASE64_BYTES:
        raise PhotoError(f"{name} is larger than {MAX_BASE64_BYTES >> 20} MiB. Make it smaller.")
    return content


def _article(value: object) -> str:
    return "missing" if value is None else f"of the type {type(value).__name__}"
