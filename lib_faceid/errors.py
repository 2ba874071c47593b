"""Every error this package raises on purpose. A host catches `FaceIDError` once, at its edge.

    FaceIDError
    ├── UnitError              a setting is unknown, of the wrong type or out of range
    ├── FileError              a model file is missing, damaged or of a kind that cannot be used
    │   └── WrongFamilyError   a good file, but of another family (InstantID, a LoRA, ...)
    ├── MismatchError          two good things that do not belong together (SD 1.5 adapter, SDXL checkpoint)
    ├── PhotoError             a picture cannot be read
    ├── NoFaceError            a picture was read, and no face was found in it
    ├── MissingModelError      a model this machine does not have yet (face models, CLIP ViT-H)
    │   ├── DownloadError      it was to be fetched, and did not arrive (offline, disk full, cut off, cancelled)
    │   └── LicenceError       it may be fetched once its licence is accepted
    ├── MissingPackageError    a Python package cannot be imported
    └── HostError              the program around us cannot do what was asked (a TensorRT UNet, ...)

Every message says what was found, what was expected, and what to do.
"""

from __future__ import annotations

__all__ = [
    "DownloadError",
    "FaceIDError",
    "FileError",
    "HostError",
    "LicenceError",
    "MismatchError",
    "MissingModelError",
    "MissingPackageError",
    "NoFaceError",
    "PhotoError",
    "UnitError",
    "WrongFamilyError",
]


class FaceIDError(Exception):
    """The root of the tree above; `str(error)` is a sentence for the user.

    >>> try:
    ...     load_adapter("nothing.bin")
    ... except FaceIDError as error:
    ...     print(type(error).__name__)
    FileError
    """

    status_code = 422  # what a web API answers with: the request was understood and cannot be carried out


class UnitError(FaceIDError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class FileError(FaceIDError):
    """A model file is missing, damaged or of a kind that cannot be used."""


class WrongFamilyError(FileError):
    """A good file, but of another family."""


class MismatchError(FaceIDError):
    """Two good things that do not belong together."""


class PhotoError(FaceIDError):
    """A picture cannot be read."""


class NoFaceError(FaceIDError):
    """A picture was read, and no face was found in it."""


class MissingModelError(FaceIDError):
    """A model this machine does not have yet."""


class DownloadError(MissingModelError):
    """A model was to be fetched, and did not arrive. What did arrive is kept for the next try."""


class LicenceError(MissingModelError):
    """A model may be fetched once its licence is accepted."""


class MissingPackageError(FaceIDError):
    """A Python package cannot be imported."""


class HostError(FaceIDError):
    """The program around us cannot do what was asked."""
