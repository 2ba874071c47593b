"""Get the face models, when the user says yes: from their official address, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from lib_faceid.errors import FileError, MissingModelError

__all__ = ["BUFFALO_L", "Pack", "download_pack", "offer_pack"]

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 30

Report = Callable[[int, int], None]
"""Is called with the bytes that are here, and all bytes."""


@dataclass(frozen=True)
class Pack:
    """A zip archive of face models, and what is needed of it."""

    name: str
    url: str
    size_bytes: int
    sha256: str
    files: Mapping[str, str]
    """Name of each file that is used -> its SHA-256. Nothing else is unpacked."""
    licence: str

    @property
    def description(self) -> str:
        """What a user should know before saying yes."""
        return (
            f"{self.name}: {self.size_bytes / 1e6:.0f} MB from {self.url}\n"
            f"SHA-256 {self.sha256}\nLicence: {self.licence}"
        )


BUFFALO_L = Pack(
    "buffalo_l",
    "https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
    288_621_354,
    "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
    {
        "det_10g.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
        "w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    },
    "InsightFace's model weights are for non-commercial research only.",
)


def offer_pack(folder: Path, *, yes: bool, pack: Pack = BUFFALO_L, say: Callable[[str], None] = print) -> bool:
    """Offer to download the pack into `folder`; return whether it is there now.

    Only a person at a terminal is asked; `yes` is the answer given beforehand. Raises what `download_pack` raises.
    """
    say(f"There are no face models on this machine. They can be downloaded to {folder}:\n{pack.description}")
    if not yes:
        if not sys.stdin.isatty():
            say("Nothing was downloaded: nobody is here to be asked. --yes says yes.")
            return False
        if input("Download them now? [y/N] ").strip().lower() not in ("y", "yes"):
            return False
    from tqdm import tqdm

    with tqdm(total=pack.size_bytes, unit="B", unit_scale=True, desc=pack.name) as bar:

        def report(done_bytes: int, _total: int) -> None:
            bar.update(done_bytes - bar.n)

        download_pack(folder, pack, report)
    return True


def download_pack(folder: Path, pack: Pack = BUFFALO_L, report: Report = lambda _done, _total: None) -> None:
    """Put the pack's files into `folder`. A download that was cut off goes on where it ended.

    Raises MissingModelError when the network fails, FileError when what came is not the official file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{pack.name}.zip.part"
    try:
        _fetch(pack, part, report)
    except (urllib.error.URLError, HTTPException, OSError) as error:
        kept = part.stat().st_size if part.exists() else 0
        raise MissingModelError(
            f"{pack.url} could not be downloaded ({getattr(error, 'reason', None) or error}). "
            f"{kept:,} of {pack.size_bytes:,} bytes are here; try again to get the rest."
        ) from error
    _check(part, pack.sha256)
    _unpack(part, pack.files, folder)
    part.unlink()


def _fetch(pack: Pack, part: Path, report: Report) -> None:
    """Fill `part` up to the pack's size."""
    done = part.stat().st_size if part.exists() else 0
    if done >= pack.size_bytes:
        return
    request = urllib.request.Request(pack.url, headers={"Range": f"bytes={done}-"} if done else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own constant
        goes_on = answer.status == 206  # a server may also send the whole file again
        done = done if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            while done < pack.size_bytes and (chunk := answer.read(CHUNK_BYTES)):
                done += file.write(chunk)
                report(done, pack.size_bytes)
    if done < pack.size_bytes:
        raise OSError("the connection ended early")


def _unpack(archive: Path, files: Mapping[str, str], folder: Path) -> None:
    """Unpack just these files, by their own names: no path inside the archive decides where anything goes."""
    try:
        with zipfile.ZipFile(archive) as content:
            entries = {PurePosixPath(entry.filename).name: entry for entry in content.infolist()}
            for name, sha256 in files.items():
                part = folder / f"{name}.part"
                with content.open(entries[name]) as source, part.open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK_BYTES)
                _check(part, sha256)
                part.replace(folder / name)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FileError(f"{archive.stem} does not hold {' and '.join(files)} ({error}).") from error


def _check(path: Path, sha256: str) -> None:
    """Delete the file and raise FileError when it is not the official one."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        path.unlink()
        raise FileError(
            f"{path.name.removesuffix('.part')} has the SHA-256 {digest.hexdigest()}, {sha256} was expected. "
            f"It was deleted; try again, and do not use it if this happens twice."
        )
