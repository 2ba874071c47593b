"""Names of saved people: what is harmless as a file's name on every system."""

from __future__ import annotations

import re
import unicodedata

from lib_faceid.errors import UnitError

__all__ = ["MAX_NAME", "MAX_NAME_BYTES", "folded", "harmless_name", "safe_name"]

MAX_NAME = 60
# Of UTF-8: encrypted folders (eCryptfs) have 143 bytes for a file's name, and while it is written it has 26 more.
MAX_NAME_BYTES = 117
# Not allowed in a file's name somewhere, or with a meaning to a shell or a prompt.
HARMFUL = re.compile(r"[\\/:*?\"<>|\x00-\x1f\x7f$`~%&;!#{}\[\]]+")
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(name: str) -> str:
    """Return a name that is harmless as a file's name everywhere; raise UnitError where nothing is left of it.

    It has at most 60 letters and 117 bytes: what is longer is cut.
    """
    # Cut before it is composed: that takes the square of the accents' number.
    text = "".join(letter for letter in unicodedata.normalize("NFC", name[: 4 * MAX_NAME]) if letter.isprintable())
    text = HARMFUL.sub("-", text).lstrip(" .-")[:MAX_NAME]
    text = text.encode(errors="ignore")[:MAX_NAME_BYTES].decode(errors="ignore").rstrip(" .-")
    if not text:
        found = repr(name[:40]) if name.strip() else "An empty text"
        raise UnitError(f"{found} is no name for a person. Use letters and digits.")
    return f"{text}_" if WINDOWS_DEVICES.fullmatch(text) else text


def harmless_name(stem: str) -> str:
    """Return what the person in a file of that name is called."""
    try:
        return safe_name(stem)
    except UnitError:
        return "unnamed"


def folded(name: str) -> str:
    """Return what two names have in common that some disk takes for one: capitals, and accents in one piece or two."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
