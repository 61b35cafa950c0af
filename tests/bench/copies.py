"""Many ids of one photo: each a cold picture, for the price of a few hard links."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from libs.pictures import FULL, LADDER, rendition_name

MAX_LINKS: Final = 60_000  # ext4 takes 65,000


class Copies:
    """Further ids of an uploaded picture in the folder store; laid out as libs/objects/folder.py does."""

    def __init__(self, objects: Path, image_id: str) -> None:
        self._objects = objects
        names = (FULL, *(rung.name for rung in LADDER))
        self._names = [name for name in names if self.path(image_id, name).exists()]
        self._image_id = image_id
        self._made = 0

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
        self._made += 1
        copy = shutil.copyfile if self._made % MAX_LINKS == 0 else os.link
        for name in self._names:
            copy(self.path(self._image_id, name), self.path(image_id, name))
        if copy is shutil.copyfile:
            self._image_id = image_id  # the further ones are links to this one
        return image_id

    def path(self, image_id: str, name: str) -> Path:
        """Of a rendition."""
        kind, owner, leaf = rendition_name(image_id, name).split("/")
        return self._objects / kind / owner[-2:] / owner / leaf


class Files:
    """The same for a server that reads files of a folder by their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
        folder.mkdir(parents=True)

    def make(self, photo: Path, count: int) -> list[str]:
        """So many new names of `photo`, which has to be on the folder's disk."""
        names = [f"{secrets.token_hex(8)}{photo.suffix}" for _ in range(count)]
        for name in names:
            os.link(photo, self._folder / name)
        return names
