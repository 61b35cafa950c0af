"""What the services agree on about a picture: ids, object names, formats, limits and the rendition ladder."""

import re
import secrets
from enum import StrEnum
from typing import Final

import msgspec

IMAGE_ID: Final = re.compile(r"img_[0-9a-f]{16}")

MAX_UPLOAD_BYTES: Final = 10 * 1024 * 1024
MAX_SIDE: Final = 12_000  # pixels, of an upload
MAX_PIXELS: Final = 50_000_000  # of an upload
MAX_OUTPUT_SIDE: Final = 16_383  # pixels; what WebP can hold
MAX_OUTPUT_PIXELS: Final = 16_777_216
MAX_REQUESTED_SIDE: Final = 4096
DEFAULT_QUALITY: Final = 85


class Format(StrEnum):
    JPEG = "jpg"
    PNG = "png"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        return "image/jpeg" if self is Format.JPEG else f"image/{self.value}"


class Rung(msgspec.Struct, frozen=True):
    """A master that smaller pictures are rendered from: its shorter side is at most `side` pixels."""

    name: str
    side: int
    raw: bool  # plain pixels: decoding a small JPEG costs more than the resize after it


LADDER: Final = (Rung("320", 320, raw=True), Rung("512", 512, raw=True), Rung("1280", 1280, raw=False))
FULL: Final = "full"
MAX_RUNG_ASPECT: Final = 4  # a longer picture would make its rungs larger than they are worth
RUNG_MARGIN: Final = 0.8  # of its size; nearer to it, a second resize would show


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """What rides with the bytes of a rendition.

    `width`, `height`: of this rendition. `format`: of these bytes, or "raw" (8-bit sRGB, `bands` 3 or 4).
    `full_width`, `full_height`, `uploaded`: of the upright picture and the format that was uploaded.
    """

    width: int
    height: int
    bands: int
    format: str
    full_width: int
    full_height: int
    uploaded: Format

    def meta(self) -> dict[str, str]:
        """As an object's metadata."""
        return {name: str(value) for name, value in msgspec.structs.asdict(self).items()}

    @classmethod
    def of(cls, meta: dict[str, str]) -> "Rendition":
        return msgspec.convert(meta, cls, strict=False)


def new_image_id() -> str:
    """`img_` and 64 random bits."""
    return f"img_{secrets.token_hex(8)}"


def is_image_id(text: str) -> bool:
    return IMAGE_ID.fullmatch(text) is not None


def original_name(image_id: str) -> str:
    return f"originals/{image_id}"


def rendition_name(image_id: str, name: str) -> str:
    return f"renditions/{image_id}/{name}"


def rungs(width: int, height: int) -> list[tuple[Rung, int, int]]:
    """The rungs of a picture of this size, smallest first, with their own width and height.

    The last is the picture itself where it is no larger than its rung: then there is none above it.
    """
    shorter, longer = sorted((width, height))
    if longer > shorter * MAX_RUNG_ASPECT:
        return []
    steps: list[tuple[Rung, int, int]] = []
    for rung in LADDER:
        scale = min(1.0, rung.side / shorter)
        if scale == 1.0 and not rung.raw:
            break  # `full` is as good
        steps.append((rung, max(1, round(width * scale)), max(1, round(height * scale))))
        if scale == 1.0:
            break
    return steps


def likely_rung(side: int | None) -> str:
    """The rendition for an output whose longer side is `side` pixels (None: the picture's own size).

    It depends on the request alone, so that most variants cost one fetch, of a picture whose size is unknown.
    """
    return next((rung.name for rung in LADDER if side and side <= rung.side * RUNG_MARGIN), FULL)


def best_rung(width: int, height: int, side: int | None) -> str:
    """The same, of a `width` x `height` picture, which may lack the likely one."""
    steps = rungs(width, height)
    likely = likely_rung(side)
    if likely in (rung.name for rung, _, _ in steps):
        return likely
    if steps and steps[-1][1] == width:
        return steps[-1][0].name  # its own pixels, better than `full` where that is lossy
    return FULL


def object_names(image_id: str) -> list[str]:
    """Every object that an upload of this id can have made, so that no store is ever listed."""
    names = (FULL, *(rung.name for rung in LADDER))
    return [original_name(image_id), *(rendition_name(image_id, name) for name in names)]
