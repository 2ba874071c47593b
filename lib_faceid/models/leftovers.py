"""Files that systems and programs leave beside people's own: never a photo, a model or a saved person."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_leftover"]

# Windows and KDE; those of macOS (._name, .DS_Store) and of Linux begin with a dot.
NAMES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "folder.db", "icon\r"})
# Of archives made on macOS, of NAS (Synology keeps thumbnails there, which are pictures), of Windows.
FOLDERS = frozenset({"__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "system volume information"})
# What is on its way: browsers, rsync, this program.
SUFFIXES = (".part", ".crdownload", ".partial", ".tmp", "~")


def is_leftover(path: Path, folder: Path | None = None) -> bool:
    """Return whether a file is hidden or left behind, by its name; and by those of its folders below `folder`."""
    folders = path.relative_to(folder).parts[:-1] if folder is not None else ()
    if any(name.startswith(".") or name.lower() in FOLDERS for name in folders):
        return True
    name = path.name.lower()
    return name.startswith(".") or name in NAMES or name in FOLDERS or name.endswith(SUFFIXES)
