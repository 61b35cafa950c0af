"""Many ids of one photo: each a cold picture, for the price of a few hard links."""

import os
import secrets
from pathlib import Path

from libs.pictures import FULL, LADDER, rendition_name


class Copies:
    """Further ids of an uploaded picture in the folder store; the layout is that of libs/objects/folder.py."""

    def __init__(self, objects: Path, image_id: str) -> None:
        self._objects = objects
        names = (FULL, *(rung.name for rung in LADDER))
        self._names = [name for name in names if self.path(image_id, name).exists()]
        self._image_id = image_id

    def make(self, count: int) -> list[str]:
        """So many new ids."""
        return [self._make() for _ in range(count)]

    @staticmethod
    def names(count: int) -> list[str]:
        """So many ids, of no picture."""
        return [f"img_{secrets.token_hex(8)}" for _ in range(count)]

    def _make(self) -> str:
        image_id = f"img_{secrets.token_hex(8)}"
        self.path(image_id, FULL).parent.mkdir(parents=True)
        for name in self._names:
            os.link(self.path(self._image_id, name), self.path(image_id, name))
        return image_id

    def path(self, image_id: str, name: str) -> Path:
        """Of a rendition."""
        kind, owner, leaf = rendition_name(image_id, name).split("/")
        return self._objects / kind / owner[-2:] / owner / leaf


class Files:
    """The same for a server that reads files of a folder by their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, photo: Path, count: int) -> list[str]:
        """So many new names of `photo`, which has to be on the folder's disk."""
        names = [f"{secrets.token_hex(8)}{photo.suffix}" for _ in range(count)]
        for name in names:
            os.link(photo, self._folder / name)
        return names
